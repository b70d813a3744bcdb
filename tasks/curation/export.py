"""Exports a snapshot as WebDataset shards, for other trainers.

exports/<id>/<split>-<number>.tar    for each keyframe <row_id>.webp (or .jpg) and <row_id>.json: script, captions, ...
exports/<id>/<split>-<number>.json   the shard's index; written after the shard, marks it complete
exports/<id>/index.json              all shards and films; written last
"""

import hashlib
import io
import json
import tarfile
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field

from storage import snapshot as snapshots
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.evolve import add_columns
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import film_of
from storage.tables.tables import Tables
from tasks.progress import Progress
from tasks.rows import Row, grouped

_FORMAT = 2  # version of the members' format
_BLOCK = 512  # bytes of a header; members are padded to a multiple
_END = tarfile.RECORDSIZE + 2 * _BLOCK  # maximum bytes of zeros at the end
_CHUNK = 128  # keyframes whose pictures are in memory at once
_PARTS: tuple[Part, ...] = ("train", "test")
_EDGES = ("x0", "y0", "x1", "y1")
_SAID = ("title", "movie", "year", "origin", "licence", "availability")


class ExportConfig(BaseModel, frozen=True, extra="forbid"):
    """The snapshot, and the size of shards."""

    snapshot: str = Field("", description='id of the snapshot; "": the newest')
    shard_mb: float = Field(256.0, gt=0, description="largest shard in MB (10^6 bytes)")


class Shard(BaseModel, frozen=True, extra="forbid"):
    """One file of an export; `first` and `last` are row ids."""

    name: str
    split: Part
    samples: int
    bytes: int
    sha256: str
    first: str
    last: str


@dataclass(frozen=True)
class Sample:
    """A keyframe as members of a shard: extension -> bytes."""

    row_id: str
    members: dict[str, bytes]

    @property
    def size(self) -> int:
        """Its bytes in a shard."""
        return sum(_BLOCK + -(-len(data) // _BLOCK) * _BLOCK for data in self.members.values())


def run(config: ExportConfig, storage: Storage, progress: Progress) -> str:
    """Writes the missing shards; the same snapshot and settings give the same bytes.

    Returns:
        the path of index.json in the storage.

    Raises:
        StorageError: there is no such snapshot, or the storage cannot be read or written.
    """
    snapshot = snapshots.load(storage, config.snapshot or snapshots.newest(storage))
    add_columns(storage, "films")
    films = _films(storage, snapshot)
    folder = f"exports/{fingerprint('export', _FORMAT, config.shard_mb, snapshot.id, films)}"
    if not storage.exists(f"{folder}/index.json"):
        shards = {part: list(_shards(config, storage, snapshot, films, part, folder, progress)) for part in _PARTS}
        index = {
            "format": "webdataset",
            "snapshot": snapshot.id,
            "samples": {part: sum(shard.samples for shard in mine) for part, mine in shards.items()},
            "shards": [shard.model_dump() for mine in shards.values() for shard in mine],
            "films": films,
        }
        storage.write_bytes(f"{folder}/index.json", _json(index, indent=1))
    return f"{folder}/index.json"


def samples(storage: Storage, snapshot: Snapshot, films: dict[str, Row], part: Part, after: str) -> Iterator[Sample]:
    """The keyframes of a part after the row `after` ("" for all), by film and time."""
    tables = {name: FilmRows(storage, name, done) for name, done in snapshot.work.items()}
    for film in sorted(snapshot.of_part(part), key=lambda one: one.film_id):
        if film.film_id < film_of(after):
            continue
        batches = tables["keyframes"].batches(film.film_id, ["row_id", "second"])
        seconds = [row for batch in batches for row in batch.to_pylist()]
        row_ids = [row["row_id"] for row in seconds if film.part(row["second"]) == part]
        for start in range(0, len(row_ids), _CHUNK):
            chunk = [row_id for row_id in row_ids[start : start + _CHUNK] if row_id > after]
            if chunk:
                yield from _samples(tables, film.film_id, chunk, part, films[film.film_id])


def _samples(
    tables: Mapping[str, FilmRows], film_id: str, row_ids: Sequence[str], part: Part, said: Row
) -> Iterator[Sample]:
    def rows(table: str, *columns: str) -> dict[str, list[Row]]:
        return grouped(tables[table].between(film_id, row_ids[0], row_ids[-1], ["row_id", *columns]).to_pylist())

    box = (*_EDGES, "score")
    keyframes = rows("keyframes", "film_id", "second", "pts", "shot", "to_cut", "motion", "width", "height", "image")
    scripts = rows("scripts", "characters", "scene_elements", "plots", "text", "written_by")
    captions = rows("captions", "subject", "text")
    persons = rows("characters", "character_id", *box)
    faces = rows("faces", "face_id", "character_id", "character", "rejected", *box)
    for row_id in row_ids:
        (keyframe,), (script,) = keyframes[row_id], scripts[row_id]
        image = keyframe.pop("image")
        of = {caption["subject"]: caption["text"] for caption in captions[row_id]}
        data = keyframe | {
            "split": part,
            "film": said,
            "caption": of["frame"],
            "persons": [_boxed(one) | {"caption": of[one["character_id"]]} for one in persons.get(row_id, [])],
            "faces": [_boxed(one) for one in faces.get(row_id, [])],
            "script": {name: value for name, value in script.items() if name != "row_id"},
        }
        yield Sample(row_id, {_ending(image): image, "json": _json(data)})


def _shards(
    config: ExportConfig,
    storage: Storage,
    snapshot: Snapshot,
    films: dict[str, Row],
    part: Part,
    folder: str,
    progress: Progress,
) -> Iterator[Shard]:
    """First the finished shards, then those that this run writes."""
    count, last, total = 0, "", len(snapshot.of_part(part))
    while storage.exists(f"{folder}/{part}-{count:06d}.json"):
        shard = Shard.model_validate_json(storage.read_bytes(f"{folder}/{part}-{count:06d}.json"))
        count, last = count + 1, shard.last
        yield shard
    order = {film.film_id: place for place, film in enumerate(snapshot.of_part(part), start=1)}
    what = f"films to {part} shards"
    for some in _filled(samples(storage, snapshot, films, part, last), int(config.shard_mb * 1_000_000)):
        shard = _write(storage, folder, f"{part}-{count:06d}.tar", part, some)
        storage.write_bytes(f"{folder}/{part}-{count:06d}.json", shard.model_dump_json(indent=1).encode())
        count += 1
        progress(what, order[film_of(shard.last)], total)
        yield shard
    progress(what, total, total)


def _filled(stream: Iterator[Sample], limit: int) -> Iterator[list[Sample]]:
    """The samples of one shard at a time, at least one."""
    some: list[Sample] = []
    size = _END
    for sample in stream:
        if some and size + sample.size > limit:
            yield some
            some, size = [], _END
        some.append(sample)
        size += sample.size
    if some:
        yield some


def _write(storage: Storage, folder: str, name: str, part: Part, some: Sequence[Sample]) -> Shard:
    with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
        path = Path(scratch) / name
        with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
            for sample in some:
                for ending, data in sample.members.items():
                    member = tarfile.TarInfo(f"{sample.row_id}.{ending}")  # owned by nobody, of 1970, on any machine
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        storage.upload(path, f"{folder}/{name}")
        return Shard(
            name=name,
            split=part,
            samples=len(some),
            bytes=path.stat().st_size,
            sha256=digest,
            first=some[0].row_id,
            last=some[-1].row_id,
        )


def _films(storage: Storage, snapshot: Snapshot) -> dict[str, Row]:
    """film_id -> what is said of the film."""
    rows = Tables(storage).read("films", snapshot.work["keyframes"], ["film_id", *_SAID]).to_pylist()
    return {row["film_id"]: {name: row[name] or "" for name in _SAID} | {"year": row["year"] or 0} for row in rows}


def _boxed(row: Row) -> Row:
    """With the four edges as one list, 0-1 of the picture."""
    rest = {name: value for name, value in row.items() if name not in ("row_id", *_EDGES)}
    return {"box": [round(row[edge], 6) for edge in _EDGES]} | rest


def _ending(image: bytes) -> str:
    return "jpg" if image[:3] == b"\xff\xd8\xff" else "webp"


def _json(data: Any, indent: int | None = None) -> bytes:
    return (json.dumps(data, indent=indent, ensure_ascii=False, sort_keys=True) + "\n").encode()
