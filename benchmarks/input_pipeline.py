"""How much of its time does a trainer spend on its steps, and not on waiting for the next batch?

    python benchmarks/input_pipeline.py --steps 300 --batch 16

A step is 50 ms of sleep, as a CPU sees a GPU's. A batch is frames and features of shuffled keyframes, decoded. Beside
the project's dataloader over a snapshot, on the same keyframes: Ray Data's iter_batches over Parquet files with a
shuffle buffer, and torch's DataLoader over a folder of files, both with two workers.
"""

import argparse
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
import windows
from PIL import Image
from torch.utils.data import DataLoader, Dataset

from models.training import rows_of_step
from storage.decoding.pictures import decode, encode
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm
from storage.tables.batches import Batches
from storage.tables.datafiles import RowBuffer
from storage.tables.delta import FILE_BYTES
from storage.tables.schemas import SCHEMAS
from tasks.training.engine import dataloader
from tasks.training.examples import Examples
from tasks.training.views import keyframe_ids

STEP = 0.05  # seconds
SIZE = (256, 448)
WIDTH = 384  # of a sentence
Feed = Iterable[Any]


def main() -> None:
    """Prints a line a pipeline, and the project's figure beside the better of the others as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=20)
    parser.add_argument("--keyframes", type=int, default=200, help="of each film")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--batch", type=int, default=16)
    args = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        tables = drawn(args)
        made: dict[str, Callable[[], Feed]] = {
            "engine": engine(Path(folder), tables, args),
            "torch": files(Path(folder), tables, args),
            "ray": ray_data(Path(folder), tables, args),
        }
        busy = {}
        for name, make in made.items():
            first, busy[name] = measure(make(), args.steps)
            print(f"{name}: busy {100 * busy[name]:.1f} %, first batch after {first:.2f} s")
    baseline = max(share for name, share in busy.items() if name != "engine")
    result = {"name": "input_pipeline_busy", "value": round(100 * busy["engine"], 1), "unit": "%"}
    result |= {"baseline": round(100 * baseline, 1), "ratio": round(busy["engine"] / baseline, 3), "n": args.steps}
    print(json.dumps(result))


def measure(batches: Feed, steps: int) -> tuple[float, float]:
    """(seconds until the first batch, share of the time from then on that was not spent waiting for one)."""
    began = time.perf_counter()
    iterator = iter(batches)
    batch, first, waited = next(iterator), time.perf_counter(), 0.0
    for step in range(steps):
        assert batch["frames"].shape[1:] == (3, *SIZE), batch["frames"].shape
        assert len(batch["sentences"]) == len(batch["frames"])
        time.sleep(STEP)
        if step + 1 < steps:
            asked = time.perf_counter()
            batch = next(iterator)
            waited += time.perf_counter() - asked
    return first - began, 1 - waited / (time.perf_counter() - first)


def drawn(args: argparse.Namespace) -> dict[str, pa.Table]:
    """The tables of all films: soft pictures with some grain, of 20 KB each, and 28 KB of features."""
    random = np.random.default_rng(0)
    images = []
    for _ in range(64):
        coarse = Image.fromarray(random.integers(0, 255, (8, 14, 3)).astype(np.uint8))
        soft = np.asarray(coarse.resize(SIZE[::-1], Image.Resampling.BICUBIC)).astype(np.float32)
        grain = random.normal(0, 4, (*SIZE, 1))
        images.append(encode((soft + grain).clip(0, 255).astype(np.uint8), 90))
    print(f"pictures of {sum(map(len, images)) / len(images) / 1000:.0f} KB")
    films = sorted(fakes.film_ids(args.films))
    keyframes = [
        fakes.keyframe_rows(film_id, 0, args.keyframes, b"", SIZE[::-1]).append_column(
            "fingerprint", pa.array(["f"] * args.keyframes)
        )
        for film_id in films
    ]
    whole = pa.concat_tables(keyframes).select([name for name in SCHEMAS["keyframes"].names if name != "image"])
    picked = [images[number % len(images)] for number in range(whole.num_rows)]
    whole = whole.append_column("image", pa.array(picked, pa.large_binary())).select(SCHEMAS["keyframes"].names)
    features = pa.concat_tables([windows.features(film_id, args) for film_id in films])
    return {"keyframes": whole, "features": features}


def sentences(blob: bytes) -> torch.Tensor:
    return torch.from_numpy(np.frombuffer(blob, np.float16).reshape(-1, WIDTH).copy())


@dataclass
class Reading:
    """A Trainable, as far as the dataloader knows it, that only reads."""

    examples: Examples
    steps: int
    size: int
    readers: ThreadPoolExecutor

    def batch(self, step: int, rank: int, world: int) -> dict[str, torch.Tensor]:
        rows = rows_of_step(len(self.examples), self.size, 0, step, rank, world, self.examples.window).tolist()
        frames_BHW3 = np.stack(list(self.readers.map(self.examples.read, rows)))
        return {
            "frames": torch.from_numpy(frames_BHW3).permute(0, 3, 1, 2),
            "sentences": torch.stack([sentences(self.examples.features(row)["sentences"]) for row in rows]),
        }


def engine(folder: Path, tables: dict[str, pa.Table], args: argparse.Namespace) -> Callable[[], Feed]:
    storage = Storage(str(folder / "engine"))
    films = sorted(fakes.film_ids(args.films))
    for table, whole in tables.items():
        run, buffer = Batches(storage, table, [table]), RowBuffer(storage, table, FILE_BYTES)
        for start in range(0, whole.num_rows, args.keyframes):
            buffer.add(whole.slice(start, args.keyframes))
        done = [
            {"film_id": film_id, "stage": table, "fingerprint": "f", "rows": args.keyframes, "attempts": 1}
            for film_id in films
        ]
        run.commit({table: buffer.close()}, pa.Table.from_pylist(done, SCHEMAS["work"]))
    spans = (0, args.keyframes - 1)
    named = tuple(SnapshotFilm(film_id=film_id, title=film_id, train=spans, test=None) for film_id in films)
    snapshot = Snapshot.of(named, {table: dict.fromkeys(films, "f") for table in tables}, {})

    def batches() -> Iterator[Any]:
        examples = Examples(storage, snapshot.work, keyframe_ids(storage, snapshot, "train"))
        reading: Any = Reading(examples, args.steps, args.batch, ThreadPoolExecutor(2))
        for shares in dataloader.steps(reading, 0, 1, 0, 1, torch.device("cpu")):
            yield shares[0].batch

    return batches


class Files(Dataset[dict[str, torch.Tensor]]):
    """A folder with a picture and a file of features for each keyframe."""

    def __init__(self, folder: Path, row_ids: list[str]) -> None:
        self.folder, self.row_ids = folder, row_ids

    def __len__(self) -> int:
        return len(self.row_ids)

    def __getitem__(self, place: int) -> dict[str, torch.Tensor]:
        path = self.folder / self.row_ids[place]
        pixels = decode(path.with_suffix(".webp").read_bytes())
        vectors = np.load(BytesIO(path.with_suffix(".npy").read_bytes()))
        return {"frames": torch.from_numpy(pixels.copy()).permute(2, 0, 1), "sentences": torch.from_numpy(vectors)}


def files(folder: Path, tables: dict[str, pa.Table], args: argparse.Namespace) -> Callable[[], Feed]:
    place = folder / "files"
    place.mkdir()
    row_ids: list[str] = []
    images, vectors = tables["keyframes"].select(["row_id", "image"]), tables["features"].select(["sentences"])
    for picture, told in zip(images.to_pylist(), vectors.to_pylist(), strict=True):
        row_ids.append(picture["row_id"])
        (place / f"{row_ids[-1]}.webp").write_bytes(picture["image"])
        np.save(place / f"{row_ids[-1]}.npy", sentences(told["sentences"]).numpy())

    def batches() -> Iterator[Any]:
        loader = DataLoader(Files(place, row_ids), args.batch, shuffle=True, num_workers=2, drop_last=True)
        while True:
            yield from loader

    return batches


def ray_data(folder: Path, tables: dict[str, pa.Table], args: argparse.Namespace) -> Callable[[], Feed]:
    place = folder / "parquet"
    place.mkdir()
    both = tables["keyframes"].select(["row_id", "image"])
    both = both.append_column("sentences", tables["features"]["sentences"])
    for start in range(0, both.num_rows, args.keyframes):
        pq.write_table(
            both.slice(start, args.keyframes), place / f"{start:06d}.parquet", row_group_size=Examples.window
        )

    def batches() -> Iterator[Any]:
        os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_BACKEND_LOG_LEVEL": "fatal"}
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level=logging.ERROR)
        ray.data.DataContext.get_current().enable_progress_bars = False
        dataset = ray.data.read_parquet(str(place)).map_batches(_decoded, batch_size=args.batch)
        while True:
            yield from dataset.iter_batches(
                batch_size=args.batch, prefetch_batches=4, local_shuffle_buffer_size=1024, drop_last=True
            )

    return batches


def _decoded(batch: dict[str, Any]) -> dict[str, Any]:
    return {
        "frames": np.stack([decode(image).transpose(2, 0, 1) for image in batch["image"]]),
        "sentences": np.stack([np.frombuffer(blob, np.float16).reshape(-1, WIDTH) for blob in batch["sentences"]]),
    }


if __name__ == "__main__":
    main()
