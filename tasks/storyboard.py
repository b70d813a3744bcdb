"""The storyboard of a snapshot's movies: what was learnt from, what was dreamt, by whom, and how well.

Gathers rows and figures, lets tasks.page make the page, and publishes movie, page and figures together.
"""

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa
from pydantic import BaseModel, Field

from storage.filmrows import FilmRows
from storage.fingerprint import fingerprint
from storage.publish import PUBLISHED, publish
from storage.root import Storage
from storage.snapshot import Part, Snapshot, SnapshotFilm
from storage.tables import Tables
from tasks import evaluate, rows
from tasks.movie import names
from tasks.page import (
    Half,
    HalfKind,
    Keyframe,
    MadeWith,
    Page,
    Portrait,
    clock,
    listed,
    picture,
    portrait,
    render,
    tile,
)
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
_SHOWN = ("keyframes", "renders", "captions", "scripts")  # tables whose rows are shown
_BACKEND = ["backend", "revision", "licence"]
_KEYFRAME = ["row_id", "film_id", "second", "shot"]
_FACE = ["row_id", "film_id", "character", "score", "x0", "y0", "x1", "y1", "rejected"]
_END_BYTES = 1 << 16


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
    if not storage.exists(last) or storage.read_bytes(last) != figures or key.encode() not in _end(storage, page):
        progress("storyboard", 0, 1)
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
            written = Path(scratch) / "storyboard.html"
            with written.open("w", encoding="utf-8") as file:
                file.writelines(render(_page(config, storage, snapshot, work, movie_id, metrics, key)))
            storage.upload(written, page)
        storage.write_bytes(last, figures)
        progress("storyboard", 1, 1)
    if all(map(storage.exists, PUBLISHED)) and all(
        _end(storage, name) == _end(storage, f"{folder}/{name}") for name in PUBLISHED[1:]
    ):
        return [storage.url(name) for name in PUBLISHED]
    return publish(storage, movie_id)


def _end(storage: Storage, rel: str) -> bytes:
    """The end of a file: all of the figures, and of a page its footer, which names what the page was made from."""
    with storage.open(rel) as file:
        file.seek(max(0, file.size() - _END_BYTES))
        return bytes(file.read())


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
            story.half("learnt", f"Training {side}", "learnt from", "train"),
            story.half("dreamt", f"Held-out {side}", "held out", "test"),
        ),
        links=(*links, ("metrics.json", "Figures as JSON")),
        tiles=tuple(tile(name, figures[name]) for name in config.tiles if name in figures),
        figures=tuple(tile(name, figure) for name, figure in figures.items()),
        cast=story.cast(),
        made_with=tuple(story.made_with()),
        footer=f"Snapshot {snapshot.id}, movie {movie_id}, page {key}, made by moviedreamer.",
    )


class _Story:
    """What a page tells of all keyframes; of those that are shown their rows, read one keyframe at a time."""

    def __init__(self, config: StoryboardConfig, storage: Storage, snapshot: Snapshot, work: Work) -> None:
        self.config, self.snapshot = config, snapshot
        self.rows = {name: FilmRows(storage, name, work[name]) for name in _SHOWN}
        tables = Tables(storage)
        self.backends = {name: _backends(tables.read(name, work[name], _BACKEND)) for name in MADE}
        self.films = {film.film_id: film for film in snapshot.films}
        keyframes: list[Row] = tables.read("keyframes", work["keyframes"], _KEYFRAME).to_pylist()
        self.keyframes = [row for row in keyframes if self.films[row["film_id"]].part(row["second"])]
        told = {row["row_id"] for row in self.keyframes}
        faces: list[Row] = tables.read("faces", work["faces"], _FACE).to_pylist()
        self.faces = rows.grouped([row for row in faces if row["row_id"] in told])
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

    def half(self, kind: HalfKind, title: str, chip: str, half: Part) -> Half:
        return Half(kind, title, chip, self.spans(half), len(self._shown(half)), self._frames(half))

    def _frames(self, half: Part) -> Iterator[Keyframe]:
        before = None
        for row in self._shown(half):
            here = (row["film_id"], row["shot"])
            title = f"{self.films[row['film_id']].title}, " if len(self.films) > 1 else ""
            yield self._keyframe(row, f"{title}shot {row['shot'] + 1}" if here != before else "")
            before = here

    def cast(self) -> tuple[Portrait, ...]:
        """The best face of each character, by score times size."""
        of_character: dict[tuple[str, int], list[Row]] = {}
        for row in (row for of_row in self.faces.values() for row in of_row):
            of_character.setdefault((row["film_id"], row["character"]), []).append(row)
        cast = []
        for key, name in list(self.names.items())[: self.config.characters]:
            best = max(of_character[key], key=lambda row: row["score"] * (row["x1"] - row["x0"]))
            count = len({row["row_id"] for row in of_character[key]})
            (keyframe,) = self._of("keyframes", best)
            cast.append(portrait(name, keyframe["image"], _box(best), 96, _count(count, "keyframe")))
        return tuple(cast)

    def made_with(self) -> Iterable[MadeWith]:
        for name, backends in self.backends.items():
            for backend, revision, licence in backends:
                yield MadeWith(name, backend, revision, licence)

    def _shown(self, half: Part) -> list[Row]:
        mine = [row for row in self.keyframes if self._in_half(row, half)]
        return [mine[place] for place in spread(len(mine), self.config.keyframes // 2)]

    def _in_half(self, row: Row, half: Part) -> bool:
        return self.films[row["film_id"]].part(row["second"]) == half

    def _keyframe(self, row: Row, begins: str) -> Keyframe:
        row_id, width = row["row_id"], self.config.width
        (image,) = (one["image"] for one in self._of("keyframes", row))
        (script,) = self._of("scripts", row)
        (caption,) = (one for one in self._of("captions", row) if one["subject"] == "frame")
        made = {one["variant"]: one["image"] for one in self._of("renders", row)}
        written = f"{script['backend']}" if script["written_by"] == "llm" else f"template ({script['reason']})"
        pictures = [picture("original", image, width)]
        pictures += [picture(label, made[name], width, made=True) for name, label in LABELS.items() if name in made]
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
            faces=tuple(portrait(self._who(face), image, _box(face), 64) for face in self.faces.get(row_id, [])),
            begins=begins,
        )

    def _of(self, table: str, row: Row) -> list[Row]:
        """The rows of a table that belong to one keyframe."""
        some = self.rows[table]
        if row["film_id"] not in some.work:
            return []
        found: list[Row] = some.between(row["film_id"], row["row_id"], row["row_id"]).to_pylist()
        return found

    def _who(self, face: Row) -> str:
        if face["rejected"]:
            return f"not in the face bank: {face['rejected'].replace('_', ' ')}"
        return self.names.get((face["film_id"], face["character"]), "someone")


def _backends(rows: pa.Table) -> list[tuple[str, str, str]]:
    """Backend, revision and licence of those that made some rows."""
    return sorted(tuple(row.values()) for row in rows.group_by(_BACKEND).aggregate([]).to_pylist())


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
