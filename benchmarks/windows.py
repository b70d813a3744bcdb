"""How fast does a trainer get a window of 128 consecutive keyframes?

    python benchmarks/windows.py --films 100 --keyframes 400 --windows 200

A window is drawn at random: a film, and a first second. Beside the project's reader, on the same rows: plain Parquet
with row groups of 128 rows through pyarrow's dataset filter, and Lance, asked for by the same two columns with an
index on the film (pip install pylance==14.0.2). Features of 28 KB a keyframe first, then pictures.
"""

import argparse
import json
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fakes
import numpy as np
import pyarrow as pa

from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.datafiles import RowBuffer
from storage.tables.delta import FILE_BYTES
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import SCHEMAS, row_id

WINDOW = 128
Reader = Callable[[str, int], Any]


def main() -> None:
    """Prints a line a table and reader, and the worse of the two tables as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=100)
    parser.add_argument("--keyframes", type=int, default=400)
    parser.add_argument("--windows", type=int, default=200)
    parser.add_argument("--image-bytes", type=int, default=30_000)
    args = parser.parse_args()
    films, worst = fakes.film_ids(args.films), {}
    for table, make in (("features", features), ("keyframes", pictures)):
        with tempfile.TemporaryDirectory() as folder:
            whole = pa.concat_tables([make(film_id, args) for film_id in sorted(films)])
            readers = {
                "engine": engine(Path(folder), table, whole, films),
                "pyarrow": parquet(Path(folder), table, whole),
                "lance": lance(Path(folder), table, whole),
            }
            p50 = measure(readers, films, args)
        for name, seconds in p50.items():
            print(f"{table}, {name}: p50 {seconds * 1e3:.2f} ms")
        worst[table] = p50
    ratios = {
        table: p50["engine"] / min(value for name, value in p50.items() if name != "engine")
        for table, p50 in worst.items()
    }
    table = max(ratios, key=lambda name: ratios[name])
    mine, peers = worst[table]["engine"], {name: value for name, value in worst[table].items() if name != "engine"}
    result = {"name": f"window_of_{table}_p50", "value": round(mine * 1e3, 3), "unit": "ms"}
    best = min(peers.values())
    result |= {"baseline": round(best * 1e3, 3), "ratio": round(mine / best, 3), "n": args.windows}
    print(json.dumps(result))


def measure(readers: dict[str, Reader], films: list[str], args: argparse.Namespace) -> dict[str, float]:
    """Median seconds of each reader on the same windows, one after the other."""
    draw = random.Random(0)
    took: dict[str, list[float]] = {name: [] for name in readers}
    for _ in range(args.windows):
        film_id, first = draw.choice(films), draw.randrange(args.keyframes - WINDOW)
        for name, read in readers.items():
            began = time.perf_counter()
            rows = read(film_id, first)
            took[name].append(time.perf_counter() - began)
            assert rows.num_rows == WINDOW, (name, rows.num_rows)
            assert rows["second"][0].as_py() == first, name
    return {name: statistics.median(seconds) for name, seconds in took.items()}


def engine(folder: Path, table: str, whole: pa.Table, films: list[str]) -> Reader:
    storage = Storage(str(folder / "engine"))
    run, buffer = Batches(storage, table, [table]), RowBuffer(storage, table, FILE_BYTES)
    each = whole.num_rows // len(films)
    for start in range(0, whole.num_rows, each):
        buffer.add(whole.slice(start, each))
    done = {"film_id": films[0], "stage": table, "fingerprint": "f", "rows": whole.num_rows, "attempts": 1}
    run.commit({table: buffer.close()}, pa.Table.from_pylist([done], SCHEMAS["work"]))
    rows = FilmRows(storage, table, dict.fromkeys(films, "f"))
    return lambda film_id, first: rows.between(film_id, row_id(film_id, first), row_id(film_id, first + WINDOW - 1))


def parquet(folder: Path, table: str, whole: pa.Table) -> Reader:
    import pyarrow.dataset as ds
    import pyarrow.parquet as pq

    path = folder / f"{table}.parquet"
    pq.write_table(whole, path, row_group_size=WINDOW)
    dataset = ds.dataset(path)

    def read(film_id: str, first: int) -> pa.Table:
        second = ds.field("second")
        return dataset.to_table(filter=(ds.field("film_id") == film_id) & (second >= first) & (second < first + WINDOW))

    return read


def lance(folder: Path, table: str, whole: pa.Table) -> Reader:
    import lance

    dataset = lance.write_dataset(whole, str(folder / f"{table}.lance"))
    dataset.create_scalar_index("film_id", "BTREE")

    def read(film_id: str, first: int) -> pa.Table:
        asked = f"film_id = '{film_id}' AND second >= {first} AND second < {first + WINDOW}"
        return dataset.to_table(filter=asked)

    return read


def features(film_id: str, args: argparse.Namespace) -> pa.Table:
    """15 sentences with their mirror images, and five faces: float16."""
    draw, count = np.random.default_rng(int(film_id[:8], 16)), args.keyframes
    noise = draw.bytes(count * 15 * 384 * 2)
    size = 15 * 384 * 2
    return rows_of(
        "features",
        film_id,
        count,
        {
            "sentences": [noise[size * n : size * (n + 1)] for n in range(count)],
            "sentences_flipped": [noise[size * n : size * (n + 1)] for n in range(count)],
            "sentence_width": [384] * count,
            "face_width": [128] * count,
            "sentence_kinds": [[0] * 5 + [1] * 5 + [2] * 5] * count,
            "faces": [draw.bytes(5 * 128 * 2) for _ in range(count)],
            "face_characters": [[0, 1, 2, 3, 4]] * count,
        },
    )


def pictures(film_id: str, args: argparse.Namespace) -> pa.Table:
    draw, count = np.random.default_rng(int(film_id[:8], 16)), args.keyframes
    rest: dict[str, list[Any]] = {name: [0.0] * count for name in ("pts", "to_cut", "motion")}
    rest |= {"look": [0] * count, "width": [896] * count, "height": [512] * count}
    return rows_of("keyframes", film_id, count, rest | {"image": [draw.bytes(args.image_bytes) for _ in range(count)]})


def rows_of(table: str, film_id: str, count: int, columns: dict[str, list[Any]]) -> pa.Table:
    said: dict[str, Any] = {
        "row_id": [row_id(film_id, second) for second in range(count)],
        "film_id": [film_id] * count,
        "fingerprint": ["f"] * count,
        "second": list(range(count)),
        "shot": [second // 5 for second in range(count)],
    }
    schema = SCHEMAS[table]
    return pa.table([pa.array((said | columns)[column.name], column.type) for column in schema], schema=schema)


if __name__ == "__main__":
    main()
