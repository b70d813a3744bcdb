"""The storyboard of a snapshot's movies: training keyframes, dreamt ones, the models and the figures.

Collects rows and figures, renders the page (tasks.movies.page), and publishes movie, page and figures together.
"""

import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, Field

from storage.fingerprint import fingerprint
from storage.layout import PUBLISHED
from storage.publish import publish
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks.curation.pipeline import BACKENDS
from tasks.figures import measure
from tasks.movies.movie import names
from tasks.movies.page import (
    Half,
    HalfKind,
    Keyframe,
    MadeWith,
    Page,
    Portrait,
    portrait,
    render,
    tile,
)
from tasks.progress import Progress
from tasks.references import spread
from tasks.rows import Row, box
from tasks.shown import clock, counted, listed, picture
from tasks.stage import Work

LABELS = {
    "rebuilt": "rebuilt through its tokens",
    "dreamt": "dreamt from the script",
    "few_shot": "dreamt, with reference frames",
}
_SHOWN = ("keyframes", "captions", "scripts", "faces")  # tables of a snapshot whose rows are shown
_BACKEND = ["backend", "revision", "licence"]
_KEYFRAME = ["row_id", "film_id", "second", "shot"]
_FACE = ["row_id", "film_id", "character", "score", "x0", "y0", "x1", "y1"]
_END_BYTES = 1 << 16


class StoryboardConfig(BaseModel, frozen=True, extra="forbid"):
    """What the storyboard shows of a run."""

    keyframes: int = Field(120, ge=2, description="keyframes shown at most, evenly spread over the films")
    width: int = Field(320, ge=16, description="width of a picture in pixels")
    characters: int = Field(12, ge=0, description="characters shown at most, those with most faces first")
    tiles: tuple[str, ...] = Field(
        (
            "rebuilt_top1_train",
            "rebuilt_psnr_train",
            "nll_right_script",
            "nll_shuffled_script",
            "nll_unconditional",
            "lt_few_shot",
        ),
        description="names of the figures on top",
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
    """Writes movies/<movie_id>/storyboard.html and metrics.json, unless they exist, and publishes them.

    Args:
        snapshot: within `work`.
        work: as tasks.movies.render returns it.
        movie_id: as tasks.movies.movie returns it.
        metrics: as tasks.figures.measure.run returns it.

    Returns:
        URLs of movie.mp4, storyboard.html and metrics.json, as storage.publish has them.
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
    if all(map(storage.record.made, PUBLISHED)) and all(
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
    figures = measure.read(storage, metrics)
    titles = {film.film_id: film.name for film in snapshot.of_part("test")}
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
        figures=tuple(tile(name, figure) for name, figure in figures.items() if figure.value is not None),
        cast=story.cast(),
        made_with=tuple(story.made_with()),
        footer=f"Snapshot {snapshot.id}, movie {movie_id}, page {key}, made by moviedreamer.",
    )


class _Story:
    """What a page tells of all keyframes, in Arrow; of those that are shown their rows, read one keyframe at a time."""

    def __init__(self, config: StoryboardConfig, storage: Storage, snapshot: Snapshot, work: Work) -> None:
        self.config, self.snapshot = config, snapshot
        curated, tables = snapshot.work, Tables(storage)
        self.rows = {name: FilmRows(storage, name, curated[name]) for name in _SHOWN}
        self.rows["renders"] = FilmRows(storage, "renders", work["renders"])
        self.backends = {name: tables.distinct(name, curated[name], _BACKEND) for name in BACKENDS}
        self.films = {film.film_id: film for film in snapshot.films}
        keyframes = tables.read("keyframes", curated["keyframes"], _KEYFRAME)
        self.halves: dict[Part, pa.Table] = {half: snapshot.rows_of(half, keyframes) for half in ("train", "test")}
        self.keyframes = pa.concat_tables(self.halves.values())
        faces = tables.read("faces", curated["faces"], _FACE).filter(pc.field("character") >= 0)
        self.faces = faces.filter(pc.is_in(faces["row_id"], self.keyframes["row_id"]))
        self.shown = {
            "train": self._spread(_rebuilt(self.halves["train"], tables, work)),
            "test": self._spread(self.halves["test"]),
        }

    def lead(self) -> str:
        shots, characters = _each(self.keyframes, "shot").num_rows, _each(self.faces, "character").num_rows
        counts = counted(self.keyframes.num_rows, "keyframe"), counted(shots, "shot"), counted(characters, "character")
        seen = f"{counts[0]}, {counts[1]}, {counts[2]} seen more than once."
        if self.snapshot.by_films:
            held_out = [film.name for film in self.snapshot.of_part("test")]
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
        shown, total = len(self.shown[half]), self.halves[half].num_rows
        return said if shown == total else f"{said}; {shown} of {total} keyframes are shown"

    def half(self, kind: HalfKind, title: str, chip: str, half: Part) -> Half:
        return Half(kind, title, chip, self.spans(half), len(self.shown[half]), self._frames(half))

    def _frames(self, half: Part) -> Iterator[Keyframe]:
        before = None
        for row in self.shown[half]:
            here = (row["film_id"], row["shot"])
            title = f"{self.films[row['film_id']].name}, " if len(self.films) > 1 else ""
            yield self._keyframe(row, f"{title}shot {row['shot'] + 1}" if here != before else "")
            before = here

    def cast(self) -> tuple[Portrait, ...]:
        """The best face, by score times size, of the characters with the most faces."""
        counts = _each(self.faces, "character").sort_by(
            [("row_id_count", "descending"), ("film_id", "ascending"), ("character", "ascending")]
        )
        first: list[Row] = counts.slice(0, self.config.characters).to_pylist()
        return tuple(self._portrait(one["film_id"], one["character"]) for one in first)

    def _portrait(self, film_id: str, character: int) -> Portrait:
        mine = (pc.field("film_id") == film_id) & (pc.field("character") == character)
        faces = self.faces.filter(mine).to_pylist()
        best = max(faces, key=lambda row: row["score"] * (row["x1"] - row["x0"]))
        (keyframe,) = self._of("keyframes", best)
        count = len({row["row_id"] for row in faces})
        name = self._name(film_id, character)
        return portrait(name, keyframe["image"], box(best), 96, counted(count, "keyframe"))

    def made_with(self) -> Iterable[MadeWith]:
        for name, backends in self.backends.items():
            for backend, revision, licence in backends:
                yield MadeWith(name, backend, revision, licence)

    def _spread(self, keyframes: pa.Table) -> list[Row]:
        places = pa.array(spread(keyframes.num_rows, self.config.keyframes // 2), pa.int64())
        chosen: list[Row] = keyframes.take(places).to_pylist()
        return chosen

    def _keyframe(self, row: Row, begins: str) -> Keyframe:
        row_id, width = row["row_id"], self.config.width
        (image,) = (one["image"] for one in self._of("keyframes", row))
        (script,) = self._of("scripts", row)
        (caption,) = (one for one in self._of("captions", row) if one["subject"] == "frame")
        made = {one["variant"]: one["image"] for one in self._of("renders", row)}
        written = f"template ({script['reason']})" if script["written_by"] == "template" else f"{script['backend']}"
        pictures = [picture("original", image, width)]
        size = width, pictures[0].height
        pictures += [picture(label, made[name], *size, made=True) for name, label in LABELS.items() if name in made]
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
            faces=tuple(portrait(self._who(face), image, box(face), 64) for face in self._of("faces", row)),
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
        return self._name(face["film_id"], face["character"]) if face["character"] >= 0 else "someone"

    def _name(self, film_id: str, character: int) -> str:
        """People of different films are different people."""
        name = f"Character {character + 1}"
        return name if len(self.films) == 1 else f"{name} of {self.films[film_id].name}"


def _each(rows: pa.Table, what: str) -> pa.Table:
    """Each shot or character of each film, and how many rows it has, as row_id_count."""
    return rows.group_by(["film_id", what]).aggregate([("row_id", "count")])


def _rebuilt(keyframes: pa.Table, tables: Tables, work: Work) -> pa.Table:
    """The rebuilt keyframes, or all if none was rebuilt."""
    renders = tables.read("renders", work["renders"], ["row_id", "variant"])
    rebuilt = renders.filter(pc.field("variant") == "rebuilt")["row_id"]
    mine = keyframes.filter(pc.is_in(keyframes["row_id"], rebuilt))
    return mine if mine.num_rows else keyframes
