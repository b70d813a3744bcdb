"""Films, models and costs that are not real, for benchmarks of the engine: the stages themselves are the real ones.

Each film's rows are derived from its id, so that two runs make the same.
"""

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pyarrow as pa

from models.captioner import FRAME, Caption, FrameFacts
from models.detector import Person
from models.face import DlibConfig, Face
from models.writer import ScriptFacts
from models.writer.script import Script
from storage.errors import FilmError
from storage.films.provenance import UNKNOWN
from storage.root import Storage
from storage.tables.schemas import SCHEMAS, row_id
from tasks.cluster import ClusterConfig
from tasks.curation.pipeline import CURATION
from tasks.made import Made, ReadsAhead, Step
from tasks.made import Work as FilmWork
from tasks.progress import Progress, silent
from tasks.stage import Stage, Work, run_stage

STAGES = tuple(stage.name for stage in CURATION)
_PART = 64


@dataclass(frozen=True)
class Fakes:
    """What the films are like and what the models cost.

    Args:
        keyframes: of each film.
        size: width and height of a picture of noise.
        decoding, model: seconds a keyframe.
        log: a file that gets a line for each film that a stage begins.
        faults: film_id -> "segfault", "hang" or "memory", in the stage that decodes.
    """

    keyframes: int
    size: tuple[int, int] = (32, 18)
    decoding: float = 0.0
    model: float = 0.0
    log: str = ""
    faults: Mapping[str, str] = field(default_factory=dict)

    def begin(self, stage: str, film_id: str) -> None:
        if self.log:
            file = os.open(self.log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, f"{stage} {film_id}\n".encode())
            os.close(file)


def film_ids(count: int) -> list[str]:
    return [hashlib.sha256(str(number).encode()).hexdigest()[:16] for number in range(count)]


def curate(
    storage: Storage,
    films: Sequence[str],
    fakes: Fakes,
    cluster: ClusterConfig,
    stages: Sequence[str] = STAGES,
    progress: Progress = silent,
) -> Work:
    """All stages, one after the other, as flows.curation has them."""
    work: Work = {"ingest": {film_id: film_id for film_id in films}}
    sources = {film_id: f"films/{film_id}.mp4" for film_id in films}
    for stage in CURATION:
        if stage.name in stages:
            make = partial(_decoder, fakes) if stage.decodes else partial(_stage, stage, fakes)
            work = run_stage(replace(stage, make=make, identity=_fake), [], storage, work, cluster, progress, sources)
    return work


def picture(size: tuple[int, int], seed: int) -> bytes:
    """A JPEG of noise, which no codec makes small."""
    from PIL import Image

    noise = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3)).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "JPEG", quality=90)
    return file.getvalue()


def keyframe_rows(film_id: str, first: int, count: int, image: bytes, size: tuple[int, int]) -> pa.Table:
    seconds = range(first, first + count)
    columns: dict[str, Any] = {
        "row_id": [row_id(film_id, second) for second in seconds],
        "film_id": [film_id] * count,
        "second": list(seconds),
        "pts": [float(second) for second in seconds],
        "shot": [second // 5 for second in seconds],
        "to_cut": [1.0] * count,
        "motion": [2.0] * count,
        "look": [0] * count,
        "image": [image] * count,
        "width": [size[0]] * count,
        "height": [size[1]] * count,
    }
    schema = SCHEMAS["keyframes"]
    return pa.table({name: pa.array(values, schema.field(name).type) for name, values in columns.items()})


def _fake() -> str:
    return "fake"


def _decoder(fakes: Fakes, storage: Storage, work: Work) -> Callable[[str], Iterator[Step | Made]]:
    def decode(film_id: str) -> Iterator[Step | Made]:
        fakes.begin("keyframes", film_id)
        image = picture(fakes.size, int(film_id[:8], 16))
        for first in range(0, fakes.keyframes, _PART):
            count = min(_PART, fakes.keyframes - first)
            time.sleep(fakes.decoding * count)
            yield Made({"keyframes": keyframe_rows(film_id, first, count, image, fakes.size)})
            yield Step(first + count, fakes.keyframes)
            _misbehave(fakes.faults.get(film_id, ""), film_id)
        film = {"source": f"films/{film_id}.mp4", "title": film_id, "seconds": float(fakes.keyframes), "fps": 24.0}
        more = {"width": fakes.size[0], "height": fakes.size[1], "has_audio": False, "licence": "none"}
        yield Made({"films": pa.Table.from_pylist([film | more | UNKNOWN])})

    return decode


def _misbehave(fault: str, film_id: str) -> None:
    match fault:
        case "segfault":
            import ctypes

            ctypes.string_at(0)
        case "hang":
            time.sleep(1e6)
        case "memory":
            eaten = []
            while True:
                eaten.append(np.ones(1 << 21))  # 16 MiB
                time.sleep(0.01)
        case "broken":
            raise FilmError("decode_failed", f"{film_id!r} does not decode")


def _stage(stage: Stage, fakes: Fakes, storage: Storage, work: Work) -> FilmWork:
    """The real stage with a fake model."""
    from importlib import import_module

    if stage.settings:
        backend = stage.settings[0]  # the package's name, too
        setattr(import_module(stage.make.__module__), backend, SimpleNamespace(build=lambda _: Model(fakes.model)))
    if fakes.decoding:
        real = import_module("storage.decoding.pictures").decode
        setattr(import_module("tasks.rows"), "decode", partial(_slowly, fakes.decoding, real))  # noqa: B010
    made = stage.make(*(DlibConfig() if name == "face" else None for name in stage.settings), storage, work)

    def begun(film_id: str) -> Made | Iterator[Step | Made]:
        fakes.begin(stage.name, film_id)
        return made(film_id)

    return ReadsAhead(begun, made.expect) if isinstance(made, ReadsAhead) else begun


def _slowly(seconds: float, decode: Callable[[bytes], Any], image: bytes) -> Any:
    time.sleep(seconds)
    return decode(image)


@dataclass
class Model:
    """Every backend of the curation; takes `seconds` a picture or text."""

    seconds: float
    name: str = "fake"
    revision: str = "1"
    licence: str = "none"
    width: int = 384

    def too_long(self, texts: Sequence[str]) -> list[str]:
        return []

    def detect(self, images: Sequence[Any]) -> list[list[Person]]:
        self._work(len(images))
        return [[Person((0.1, 0.1, 0.5, 0.9), 0.9)] for _ in images]

    def faces(self, images: Sequence[Any]) -> list[list[Face]]:
        self._work(len(images))
        some = np.random.default_rng(0).normal(size=128).astype(np.float32)
        return [
            [Face((0.2, 0.2, 0.4, 0.4), 0.9, embedding=some)] if place % 16 == 0 else []
            for place, _ in enumerate(images)
        ]

    def caption(self, frames: Sequence[FrameFacts]) -> list[list[Caption]]:
        self._work(len(frames))
        return [
            [
                Caption(frame.row_id, FRAME, f"A grey picture, {frame.row_id}."),
                *(Caption(frame.row_id, place, "A person.") for place in range(len(frame.persons))),
            ]
            for frame in frames
        ]

    def write(self, facts: Sequence[ScriptFacts]) -> list[Script]:
        self._work(len(facts))
        return [
            Script(one.row_id, tuple(one.character_captions), ("A grey room.",), (one.frame_caption,), "llm")
            for one in facts
        ]

    def encode(self, texts: Sequence[str]) -> Any:
        self._work(len(texts))
        return np.stack([np.full(384, len(text), np.float32) for text in texts])

    def _work(self, count: int) -> None:
        time.sleep(self.seconds * count)


def everything(storage: Storage) -> dict[str, list[dict[str, Any]]]:
    """All rows that lie in the tables, finished or not, each table sorted by its id; not how many attempts it took."""
    from storage.tables.delta import open_table
    from storage.tables.schemas import KEYS

    found = {}
    for name, keys in KEYS.items():
        table = open_table(storage, name)
        rows = table.to_pyarrow_table().to_pylist() if table else []
        for row in rows:
            row.pop("attempts", None)
        found[name] = sorted(rows, key=lambda row, keys=keys: [row[key] for key in keys])
    return found


def lines(log: str) -> list[str]:
    return Path(log).read_text().splitlines() if Path(log).exists() else []
