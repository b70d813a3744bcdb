"""A curation stage: extracts one keyframe per second, with shot and motion, and the film's metadata (app. C)."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from storage.decoding.child import decode_in_child
from storage.decoding.decode import DecodedFilm, KeyframesConfig
from storage.errors import FilmError
from storage.films.films import FilmSource, film_rows
from storage.films.provenance import UNKNOWN
from storage.remote import fetched
from storage.root import Storage
from storage.tables.delta import replace_rows
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.curation.drawn_films import drawn_film, keyframes_of
from tasks.curation.ingest import Ingested, require_films
from tasks.made import Made
from tasks.progress import Progress
from tasks.stage import Stage, Work, run_stage

_MOVED = 1000  # films whose rows are replaced in one commit: each commit may rewrite the table's files


def run(
    config: KeyframesConfig, storage: Storage, ingested: Ingested, cluster: ClusterConfig, progress: Progress
) -> Work:
    """Decodes each film in a separate process; writes rows to `keyframes` and `films`.

    Raises:
        NoFilmsError: no film is left; the message gives the reason for each.
    """
    films = ingested.films
    done = run_stage(
        STAGE,
        [config, films, Path.cwd()],  # workers may have another working directory
        storage,
        {"ingest": {film_id: film_id for film_id in films}},
        cluster,
        progress,
        sources={film_id: film.address for film_id, film in films.items()},
    )[STAGE.name]
    tables = Tables(storage)
    mine = [reject for reject in tables.rejects() if reject.stage == STAGE.name and reject.film_id in films]
    require_films(list(done), [*ingested.rejects, *mine])
    _follow_moved_films(tables, done, films)
    return {STAGE.name: done}


def _make(
    config: KeyframesConfig, films: Mapping[str, FilmSource], folder: Path, storage: Storage, work: Work
) -> Callable[[str], Iterator[Made]]:
    def decode(film_id: str) -> Iterator[Made]:
        film = films[film_id]
        with _decoded(film, config, folder) as decoded:
            if decoded.film_id != film_id:
                raise FilmError("decode_failed", f"{film.address!r} was changed while it was read")
            for rows in decoded.batches():
                yield Made({"keyframes": rows})
            note = FilmError("partly_decoded", decoded.damage) if decoded.damage else None
            yield Made({"films": film_rows(film, decoded.probe)}, note)

    return decode


@contextmanager
def _decoded(film: FilmSource, config: KeyframesConfig, folder: Path) -> Iterator[DecodedFilm]:
    if drawn := drawn_film(film.source):
        with keyframes_of(drawn, config) as decoded:
            yield decoded
    else:
        with fetched(film.source, folder, patient=True) as path, decode_in_child(path, config) as decoded:
            yield decoded


def _follow_moved_films(tables: Tables, done: Mapping[str, str], films: Mapping[str, FilmSource]) -> None:
    """Updates paths and metadata in the table `films` if they have changed."""
    rows = tables.read("films", done)
    moved: list[dict[str, Any]] = []
    for row in rows.to_pylist():
        film = films[row["film_id"]]
        known = {name: value for name, value in row.items() if value is not None}
        now = UNKNOWN | known | {"source": film.address} | film.said.given()
        if now != row:
            moved.append(now)
    replace_films(tables.storage, moved)


def replace_films(storage: Storage, rows: Sequence[Mapping[str, Any]]) -> None:
    """Replaces the rows of the table `films` with the same films and fingerprints."""
    for start in range(0, len(rows), _MOVED):
        some = pa.Table.from_pylist(rows[start : start + _MOVED], schema=SCHEMAS["films"])
        where = {name: list(map(str, some[name].to_pylist())) for name in ("film_id", "fingerprint")}
        replace_rows(storage, "films", some, where)


def _identity(config: KeyframesConfig, *_: object) -> object:
    return config.identity()


STAGE = Stage(
    "keyframes",
    inputs=("ingest",),
    tables=("keyframes", "films"),
    make=_make,
    settings=("keyframes",),
    identity=_identity,
    decodes=True,
)
