"""One film kills its worker, one hangs and one eats memory: what becomes of the others?

    python benchmarks/quarantine.py --films 50 --limit 45

The stage that decodes goes through all films, with fake pictures. The peer is Ray Data with its defaults: flat_map over
the same films to Parquet, of which one kills its process and none hangs or eats memory; it is stopped after `limit`
seconds, for Ray tries the deadly row again without end. A film is settled when it is done, or given up with a reason,
by a run that came to its end; what a run that did not has written is printed, and counts for nothing.
"""

import argparse
import ctypes
import json
import signal
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import fakes
import ray

from storage.root import Storage
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig, connect

KEYFRAMES = 70
FAULTS = ("segfault", "hang", "memory")


def main() -> None:
    """Prints who is done and who is not and why, and the films settled as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=50)
    parser.add_argument("--limit", type=int, default=45)
    args = parser.parse_args()
    films = fakes.film_ids(args.films)
    faults = dict(zip(sorted(films)[3 :: args.films // len(FAULTS)], FAULTS, strict=False))
    cluster = ClusterConfig(object_store_mb=128, patience=10, film_memory=0.5, decoders=2)
    connect(cluster)
    with tempfile.TemporaryDirectory() as folder:
        mine = engine(Storage(str(Path(folder, "engine"))), films, faults, cluster)
        peer = ray_data(Path(folder, "peer"), films, next(iter(faults)), args.limit)
    ray.shutdown()  # its workers' messages come before the figures
    result = {"name": "films_settled_beside_bad_ones", "value": mine, "unit": "films", "baseline": peer}
    print(json.dumps(result | {"ratio": round(mine / peer, 3) if peer else None, "n": args.films}))


def engine(storage: Storage, films: Sequence[str], faults: dict[str, str], cluster: ClusterConfig) -> int:
    """Films that are done or quarantined."""
    began = time.monotonic()
    made = fakes.Fakes(KEYFRAMES, faults=faults)
    done = len(fakes.curate(storage, films, made, cluster, ["keyframes"])["keyframes"])
    print(f"engine: {done} of {len(films)} films done after {time.monotonic() - began:.0f} s")
    rejects = list(Tables(storage).rejects())
    for one in rejects:
        print(f"  quarantined ({faults.get(one.film_id, 'healthy')}): {one.reason}, attempts {one.attempts}")
    return done + len(rejects)


def ray_data(out: Path, films: Sequence[str], deadly: str, limit: int) -> int:
    """Films of which all rows are written, 0 when the job does not come to its end."""
    import pyarrow.parquet as pq

    def decode(row: dict[str, Any]) -> list[dict[str, Any]]:
        if row["item"] == deadly:
            ctypes.string_at(0)
        image = fakes.picture((32, 18), int(row["item"][:8], 16))
        rows: list[dict[str, Any]] = fakes.keyframe_rows(row["item"], 0, KEYFRAMES, image, (32, 18)).to_pylist()
        return rows

    def stop(*_: object) -> None:
        raise TimeoutError(f"stopped after {limit} s")

    began, failure = time.monotonic(), ""
    signal.signal(signal.SIGALRM, stop)
    signal.alarm(limit)
    try:
        ray.data.from_items(list(films)).flat_map(decode).write_parquet(str(out))
    except Exception as error:  # whatever Ray makes of it, it is what the job ended with
        failure = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    signal.alarm(0)
    files = sorted(out.rglob("*.parquet"))
    rows = [film for file in files for film in pq.read_table(file, columns=["film_id"])["film_id"].to_pylist()]
    done = sum(rows.count(film) == KEYFRAMES for film in films)
    print(
        f"Ray Data: {done} of {len(films)} films written after {time.monotonic() - began:.0f} s; {failure or 'ended'}"
    )
    return 0 if failure else done


if __name__ == "__main__":
    main()
