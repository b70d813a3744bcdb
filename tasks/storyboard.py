"""The storyboard of a snapshot's movies: what was learnt from, what was dreamt, by whom, and how well.

Gathers rows and figures, lets tasks.page make the page, and publishes movie, page and figures together.
"""

from collections import Counter
from collections.abc import Iterable, Sequence

from pydantic import BaseModel, Field

from storage.fingerprint import fingerprint
from storage.publish import PUBLISHED, publish
from storage.root import Storage
from storage.snapshot import Part, Snapshot, SnapshotFilm
from storage.tables import Tables
from tasks import evaluate, rows
from tasks.movie import names
from tasks.page import Half, Keyframe, MadeWith, Page, Portrait, clock, listed, picture, portrait, render, tile
from tasks.progress import Progress
from tasks.references import spread
from tasks.rows import Row
from tasks.stage import Work

LABELS = {
    "rebuilt": "rebuilt through its tokens",
    "dreamt": "dreamt from the script",
    "few_shot": "dreamt, with reference frames",
}
MADE = ("characters", "faces", "captions", "scripts")  # tables whose rows name their backend


class StoryboardConfig(BaseModel, frozen=True, extra="forbid"):
    """What of a run is shown.

    Args:
        keyframes: shown at most, evenly spread over the films.
        width: of a picture, in pixels.
        characters: shown at most, those with most faces first.
        tiles: names of the figures on top.
    """

    keyframes: int = Field(default=120, ge=2)
    width: int = Field(default=320, ge=16)
    characters: int = Field(default=12, ge=0)
    tiles: tuple[str, ...] = (
        "rebuilt_top1_train",
        "rebuilt_psnr_train",
        "nll_right_script",
        "nll_shuffled_script",
        "nll_unconditional",
        "lt_few_shot",
    )


def run(
    config: StoryboardConfig,
    storage: Storage,
    snapshot: Snapshot,
    work: Work,
    movie_id: str,
    metrics: str,
    progress: Progress,
) -> list[str]:
    """Writes movies/<movie_id>/storyboard.html and metrics.json, unless they are there, and publishes them.

    Args:
        work: as tasks.render returns it.
        movie_id: as tasks.movie returns it.
        metrics: as tasks.evaluate returns it.

    Returns:
        URLs of movie.mp4, storyboard.html and metrics.json at the root of the storage.
    """
    folder, figures = f"movies/{movie_id}", storage.read_bytes(metrics)
    page, last = f"{folder}/storyboard.html", f"{folder}/metrics.json"
    key = fingerprint("storyboard", config, movie_id, metrics)
    if not storage.exists(last) or storage.read_bytes(last) != figures or key.encode() not in storage.read_bytes(page):
        progress("storyboard", 0, 1)
        html = render(_page(config, storage, snapshot, work, movie_id, metrics, key))
        storage.write_bytes(page, html.encode())
        storage.write_bytes(last, figures)
        progress("storyboard", 1, 1)
    if all(map(storage.exists, PUBLISHED)) and all(
        storage.read_bytes(name) == storage.read_bytes(f"{folder}/{name}") for name in PUBLISHED[1:]
    ):
        return [storage.url(name) for name in PUBLISHED]
    return publish(storage, movie_id)


def _page(
    config: StoryboardConfig, storage: Storage, snapshot: Snapshot, work: Work, movie_id: str, metrics: str, key: str
) -> Page:
    story = _Story(config, storage, snapshot, work)
    figures = evaluate.read(storage, metrics)
    titles = {film.film_id: film.title for film in snapshot.of_part("test")}
    links = [(name, f"Movie: {titles[film_id]}" if len(titles) > 1 else "Watch the movie")
             for film_id, name in names(snapshot).items()]  # fmt: skip
    side = "films" if snapshot.by_films else "half"
    return Page(
        title=listed(list(titles.values())),
        lead=story.lead(),
        halves=(
            Half("learnt", f"Training {side}", "learnt from", story.spans("train"), story.half("train")),
            Half("dreamt", f"Held-out {side}", "held out", story.spans("test"), story.half("test")),
        ),
        links=(*links, ("metrics.json", "Figures as JSON")),
        tiles=tuple(tile(name, figures[name]) for name in config.tiles if name in figures),
        figures=tuple(tile(name, figure) for name, figure in figures.items()),
        cast=story.cast(),
        made_with=tuple(story.made_with()),
        footer=f"Snapshot {snapshot.id}, movie {movie_id}, page {key}, made by moviedreamer.",
    )


class _Story:
    """The rows behind a page, joined by their ids."""

    def __init__(self, config: StoryboardConfig, storage: Storage, snapshot: Snapshot, work: Work) -> None:
        self.config, self.snapshot = config, snapshot
        tables = Tables(storage)
        read: dict[str, list[Row]] = {
            name: tables.read(name, work[name]).to_pylist() for name in ("keyframes", "renders", *MADE)
        }
        self.backends = {
            name: Counter((r["backend"], r["revision"], r["licence"]) for r in read[name]) for name in MADE
        }
        self.films = {film.film_id: film for film in snapshot.films}
        self.keyframes = [row for row in read["keyframes"] if self.films[row["film_id"]].part(row["second"])]
        self.images: dict[str, bytes] = {row["row_id"]: row["image"] for row in self.keyframes}
        self.renders = {(row["row_id"], row["variant"]): row["image"] for row in read["renders"]}
        self.scripts = {row["row_id"]: row for row in read["scripts"]}
        self.captions = {row["row_id"]: row for row in read["captions"] if row["subject"] == "frame"}
        self.faces = rows.grouped([row for row in read["faces"] if row["row_id"] in self.images])
        self.names = _names(snapshot.films, [row for of_row in self.faces.values() for row in of_row])

    def lead(self) -> str:
        shots = len({(row["film_id"], row["shot"]) for row in self.keyframes})
        counts = _count(len(self.keyframes), "keyframe"), _count(shots, "shot"), _count(len(self.names), "character")
        seen = f"{counts[0]}, {counts[1]}, {counts[2]} seen more than once."
        if self.snapshot.by_films:
            held_out = [film.title for film in self.snapshot.of_part("test")]
            return (
                f"{seen} The models never saw {listed(held_out)}: there each keyframe is dreamt from its script alone, "
                "and once more with a few other keyframes of the film to go by."
            )
        return (
            f"{seen} The models learnt from the first half. The "
            "second half they never saw: there each keyframe is dreamt from its script alone, and once more with a few "
            "reference frames of the first half to go by."
        )

    def spans(self, half: Part) -> str:
        spans = [film.train if half == "train" else film.test for film in self.snapshot.of_part(half)]
        said = listed([f"{clock(span[0])} to {clock(span[1] + 1)}" for span in spans if span], ", ")
        shown = len(self._shown(half))
        total = sum(self._in_half(row, half) for row in self.keyframes)
        return said if shown == total else f"{said}; {shown} of {total} keyframes are shown"

    def half(self, half: Part) -> tuple[Keyframe, ...]:
        made, before = [], None
        for row in self._shown(half):
            here = (row["film_id"], row["shot"])
            title = f"{self.films[row['film_id']].title}, " if len(self.films) > 1 else ""
            made.append(self._keyframe(row, f"{title}shot {row['shot'] + 1}" if here != before else ""))
            before = here
        return tuple(made)

    def cast(self) -> tuple[Portrait, ...]:
        """The best face of each character, by score times size."""
        of_character: dict[tuple[str, int], list[Row]] = {}
        for row in (row for of_row in self.faces.values() for row in of_row):
            of_character.setdefault((row["film_id"], row["character"]), []).append(row)
        cast = []
        for key, name in list(self.names.items())[: self.config.characters]:
            best = max(of_character[key], key=lambda row: row["score"] * (row["x1"] - row["x0"]))
            count = len({row["row_id"] for row in of_character[key]})
            cast.append(portrait(name, self.images[best["row_id"]], _box(best), 96, _count(count, "keyframe")))
        return tuple(cast)

    def made_with(self) -> Iterable[MadeWith]:
        for name, backends in self.backends.items():
            for backend, revision, licence in sorted(backends):
                yield MadeWith(name, backend, revision, licence)

    def _shown(self, half: Part) -> list[Row]:
        mine = [row for row in self.keyframes if self._in_half(row, half)]
        return [mine[place] for place in spread(len(mine), self.config.keyframes // 2)]

    def _in_half(self, row: Row, half: Part) -> bool:
        return self.films[row["film_id"]].part(row["second"]) == half

    def _keyframe(self, row: Row, begins: str) -> Keyframe:
        row_id, width = row["row_id"], self.config.width
        script, caption = self.scripts[row_id], self.captions[row_id]
        written = f"{script['backend']}" if script["written_by"] == "llm" else f"template ({script['reason']})"
        pictures = [picture("original", row["image"], width)]
        for variant, label in LABELS.items():
            if image := self.renders.get((row_id, variant)):
                pictures.append(picture(label, image, width, made=True))
        return Keyframe(
            row_id=row_id,
            clock=clock(row["second"]),
            shot=row["shot"] + 1,
            pictures=tuple(pictures),
            script=(
                ("Characters", tuple(script["characters"])),
                ("Scene Elements", tuple(script["scene_elements"])),
                ("Plots", tuple(script["plots"])),
            ),
            by=f"Caption by {caption['backend']}, script by {written}",
            faces=tuple(portrait(self._who(face), row["image"], _box(face), 64) for face in self.faces.get(row_id, [])),
            begins=begins,
        )

    def _who(self, face: Row) -> str:
        if face["rejected"]:
            return f"not in the face bank: {face['rejected'].replace('_', ' ')}"
        return self.names.get((face["film_id"], face["character"]), "someone")


def _names(films: Sequence[SnapshotFilm], faces: Sequence[Row]) -> dict[tuple[str, int], str]:
    """(film_id, character) -> a name, those with most faces first; people of different films are different people."""
    counts = Counter((row["film_id"], row["character"]) for row in faces if row["character"] >= 0)
    ordered = sorted(counts, key=lambda key: (-counts[key], key))
    titles = {film.film_id: film.title for film in films}
    if len(titles) == 1:
        return {key: f"Character {key[1] + 1}" for key in ordered}
    return {key: f"Character {key[1] + 1} of {titles[key[0]]}" for key in ordered}


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _box(row: Row) -> tuple[float, float, float, float]:
    return row["x0"], row["y0"], row["x1"], row["y1"]
