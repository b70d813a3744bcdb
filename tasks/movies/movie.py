"""Keyframes become a movie (section 3.5): each second of a film that is held out is one second of movie.

Super-resolution brings the keyframes to the movie's size first, for those who watch: nothing is measured after it.

A film's own sound of exactly these seconds goes with it, and its plots as subtitles. One movie a film, in
movies/<movie_id>/: movie.mp4, movie-2.mp4, ... in the order of the snapshot.
"""

import tempfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain, pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models import animator, upscaler
from models.animator import AnimatorConfig, Clip, InterpolateConfig
from models.upscaler import RealEsrganConfig, UpscalerConfig
from storage.decoding.pictures import decode
from storage.errors import FilmError
from storage.films import manifest
from storage.films.provenance import Named
from storage.fingerprint import fingerprint
from storage.movies.clips import Codec
from storage.movies.movie import WrittenMovie, write_movie
from storage.movies.sound import AudioTrack, Span
from storage.remote import fetched, reached
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from storage.tables.filmrows import FilmRows
from storage.tables.rejects import Reject
from storage.tables.tables import Tables
from tasks.movies.render import Variant
from tasks.progress import Progress
from tasks.stage import Work

STAGE = "movie"

Image = NDArray[np.uint8]


class MovieConfig(BaseModel, frozen=True, extra="forbid"):
    """How keyframes become a movie."""

    upscaler: UpscalerConfig = Field(
        RealEsrganConfig(),
        description="super-resolution to the movie's size; of kind none, the movie has the keyframes' size",
    )
    animator: AnimatorConfig = Field(InterpolateConfig(), description="from keyframes to moving pictures")
    width: int = Field(896, ge=32, multiple_of=2, description="width of the movie in pixels")
    height: int = Field(512, ge=32, multiple_of=2, description="height of the movie in pixels")
    variant: Variant = Field("few_shot", description="which keyframes are animated")
    fps: int = Field(24, ge=1, description="frames a second")
    seconds: float = Field(1.0, gt=0, description="seconds of movie from each keyframe")
    codec: Codec = Field("h264", description="encoding of the pictures: h264 plays everywhere, av1 is smaller")
    mark: str = Field("", description='words in a corner of each picture, such as "AI-generated"; "": none')

    @property
    def clip(self) -> float:
        """Seconds that the frames of one keyframe last."""
        return max(1, round(self.seconds * self.fps)) / self.fps


@dataclass(frozen=True)
class Scene:
    """One keyframe of the movie, with what its second of film holds."""

    row_id: str
    second: int
    shot: int
    image: bytes
    plot: str


def movie_id(config: MovieConfig, snapshot: Snapshot, work: Work) -> str:
    """Names the movies of a snapshot, and the folder under movies/ that they share with their storyboard."""
    return fingerprint("movie", config, snapshot.id, work["renders"])


def names(snapshot: Snapshot) -> dict[str, str]:
    """film_id -> file name of its movie, for the films of which something is held out."""
    return {
        film.film_id: f"movie-{place}.mp4" if place > 1 else "movie.mp4"
        for place, film in enumerate(snapshot.of_part("test"), start=1)
    }


def run(
    config: MovieConfig,
    storage: Storage,
    snapshot: Snapshot,
    work: Work,
    progress: Progress,
    films: Sequence[str] = (),
) -> str:
    """Writes the missing movies, each whole or not at all.

    Args:
        films: as the user gives them, with the options by which their object store is reached.
        work: as tasks.movies.render returns it, with `config.variant` among the variants.

    Returns:
        the id of the movies. One whose sound cannot be read is silent, and the table `rejects` says why.

    Raises:
        ValueError: when the keyframes were not rendered in that variant.
    """
    key, tables = movie_id(config, snapshot, work), Tables(storage)
    for film in snapshot.of_part("test"):
        rel = f"movies/{key}/{names(snapshot)[film.film_id]}"
        if storage.exists(rel):
            continue
        told = _scenes(config, storage, film, work)
        source = _sound_source(tables, snapshot, film)
        place = reached(source, chain([storage.source("")], _with_rows(films)))
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as folder, _local(place) as (sound, lost):
            path = Path(folder) / "movie.mp4"
            silent = write(config, path, film.title, told, sound, progress).silent or lost
            told_of = [Reject.of(FilmError("silent", silent), source, film.film_id, STAGE)] if silent else []
            tables.judge(STAGE, [source], [reject.model_copy(update={"fingerprint": key}) for reject in told_of])
            storage.upload(path, rel)
    return key


def _sound_source(tables: Tables, snapshot: Snapshot, film: SnapshotFilm) -> str:
    """The film's path or URI, "" if it has no sound."""
    work = {film.film_id: snapshot.work["keyframes"][film.film_id]}
    (row,) = tables.read("films", work, ["source", "has_audio"]).to_pylist()
    return str(row["source"]) if row["has_audio"] else ""


def _with_rows(films: Sequence[str]) -> Iterator[str]:
    """The inputs of the user, and the films that manifests among them name."""
    yield from films
    for given in filter(manifest.is_manifest, films):
        yield from (one.source for one in manifest.read(given) if isinstance(one, Named))


@contextmanager
def _local(source: str) -> Iterator[tuple[Path | None, str]]:
    """The film's file while the block runs; None for no film, and for one that cannot be fetched, with the reason."""
    with ExitStack() as stack:
        path, lost = None, ""
        if source:
            try:
                path = stack.enter_context(fetched(source, patient=True))
            except FilmError as error:
                lost = error.detail
        yield path, lost


def _scenes(config: MovieConfig, storage: Storage, film: SnapshotFilm, work: Work) -> list[Scene]:
    mine = {stage: {film.film_id: keys[film.film_id]} for stage, keys in work.items()}
    tables = Tables(storage)
    renders = FilmRows(storage, "renders", work["renders"])
    images = {
        row["row_id"]: row["image"]
        for rows in renders.batches(film.film_id, ["row_id", "variant", "image"])
        for row in rows.to_pylist()
        if row["variant"] == config.variant
    }
    scripts = tables.read("scripts", mine["scripts"], ["row_id", "plots"]).to_pylist()
    plots = {row["row_id"]: " ".join(row["plots"]) for row in scripts}
    features = tables.read("features", mine["features"], ["row_id", "second", "shot"]).to_pylist()
    held_out = [row for row in features if film.part(row["second"]) == "test"]
    if missing := [row["row_id"] for row in held_out if row["row_id"] not in images]:
        raise ValueError(f"keyframe {missing[0]!r} was not rendered as {config.variant!r}: add it to render.variants")
    return [
        Scene(row["row_id"], row["second"], row["shot"], images[row["row_id"]], plots[row["row_id"]])
        for row in held_out
    ]


def write(
    config: MovieConfig, path: Path, title: str, scenes: Sequence[Scene], source: Path | None, progress: Progress
) -> WrittenMovie:
    """The movie of some scenes at `path`, with the sound of the film `source`; None for a silent one."""
    shown = _shown(config, scenes)
    height, width = shown(0).shape[:2]
    spans, out_of_step = heard(config, str(source), scenes)
    audio = AudioTrack(source, spans) if source and spans else None
    frames = _frames(config, title, scenes, shown, progress)
    words = subtitles(scenes, config.clip)
    comment = "; ".join(
        f"{step}: {made_by['kind']}, revision {made_by['revision']}, licence {made_by['licence']}"
        for step, made_by in made_with(config).items()
    )
    size = (width, height)
    written = write_movie(path, frames, size, config.fps, audio, words, comment, config.codec, config.mark)
    return replace(written, silent=written.silent or (out_of_step if source else ""))


def made_with(config: MovieConfig) -> dict[str, dict[str, str]]:
    """Kind, revision and licence of the upscaler and of the animator."""
    return {
        step: {"kind": chosen.kind, "revision": chosen.revision, "licence": chosen.licence}
        for step, chosen in (("upscaler", config.upscaler), ("animator", config.animator))
    }


def heard(config: MovieConfig, source: str, scenes: Sequence[Scene]) -> tuple[list[Span], str]:
    """The spans of the film's sound that go with the scenes; none, and why, in another pace than the film's."""
    step = min((after.second - before.second for before, after in pairwise(scenes)), default=config.clip)
    if step != config.clip:
        return [], f"{config.clip:g} s of movie for each {step:g} s of {source!r}: sound keeps its own pace"
    return [(scene.second, scene.second + config.clip) for scene in scenes], ""


def _shown(config: MovieConfig, scenes: Sequence[Scene]) -> Callable[[int], Image]:
    """The picture of a scene by its index, at the movie's size; the last few are cached."""
    enlarger = upscaler.build(config.upscaler)
    return lru_cache(maxsize=4)(  # a clip's keyframe, both neighbours and the shot's first
        lambda place: enlarger.upscale(decode(scenes[place].image), config.width, config.height)
    )


def _frames(
    config: MovieConfig, title: str, scenes: Sequence[Scene], shown: Callable[[int], Image], progress: Progress
) -> Iterator[Image]:
    """All frames of the movie; a clip sees its neighbours inside the shot, and nothing across a cut."""
    moving = animator.build(config.animator)
    what, first = f"movie of {title}", 0
    for place, scene in enumerate(scenes):
        progress(what, place, len(scenes))
        before = place > 0 and scenes[place - 1].shot == scene.shot
        after = place + 1 < len(scenes) and scenes[place + 1].shot == scene.shot
        if not before:
            first = place
        clip = Clip(
            shown(place),
            config.clip,
            config.fps,
            seed=zlib.crc32(scene.row_id.encode()),
            previous=shown(place - 1) if before else None,
            next=shown(place + 1) if after else None,
            anchor=shown(first),
            prompt=scene.plot,
        )
        yield from moving.animate(clip)
    progress(what, len(scenes), len(scenes))


def subtitles(scenes: Sequence[Scene], seconds: float) -> list[tuple[float, float, str]]:
    """(start, end, plot) in seconds of the movie; a plot that continues stays on the screen."""
    lines: list[tuple[float, float, str]] = []
    for place, scene in enumerate(scenes):
        start, end = place * seconds, (place + 1) * seconds
        if lines and lines[-1][2] == scene.plot and scenes[place - 1].shot == scene.shot:
            lines[-1] = (lines[-1][0], end, scene.plot)
        else:
            lines.append((start, end, scene.plot))
    return lines
