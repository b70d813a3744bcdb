"""What do Prefect and Ray cost beside a bare loop, and how soon is the first row there?

    python benchmarks/flow_overhead.py --minutes 10

One stage goes through films with a model that sleeps 30 ms a keyframe: as a flow with a Prefect API and a Ray of its
own, one worker, and commits; and as a loop that reads a film's keyframes from the same table, decodes them, calls
the model, and writes a Parquet file. Each has a process of its own, and is timed from its start to its end.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import fakes

from flows.server.home import make
from flows.server.keeper import kept
from flows.server.local_api import local_api
from flows.server.lock import alone
from storage.decoding.pictures import decode
from storage.root import Storage
from tasks.cluster import ClusterConfig

_EACH = 50  # keyframes of a film
_MODEL = 0.03  # seconds a keyframe
_CLUSTER = ClusterConfig(object_store_mb=128, workers=1, decoders=1)


def main() -> None:
    """Prints both times, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--child", nargs=2, metavar=("WHAT", "STORAGE"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    count = round(args.minutes * 60 / _MODEL / _EACH)
    films = fakes.film_ids(count)
    if args.child:
        {"keyframes": keyframes, "flow": flow_of, "loop": loop}[args.child[0]](Storage(args.child[1]), films)
        return
    with tempfile.TemporaryDirectory() as folder:
        took = {}
        for what in ("keyframes", "flow", "loop"):
            began = time.monotonic()
            command = [sys.executable, __file__, "--minutes", str(args.minutes), "--child", what, folder]
            with subprocess.Popen(command) as child:
                if what == "flow":
                    while child.poll() is None and not Path(folder, "tables/characters/_delta_log").exists():
                        time.sleep(0.05)
                    print(f"first rows after {time.monotonic() - began:.1f} s", flush=True)
            if child.returncode:
                raise SystemExit(f"{what} ended with exit code {child.returncode}")
            took[what] = time.monotonic() - began
            print(f"{what}: {took[what]:.1f} s; the model sleeps for {count * _EACH * _MODEL:.0f} s of it", flush=True)
    result = {"name": "flow_overhead", "value": round(took["flow"], 1), "unit": "s", "baseline": round(took["loop"], 1)}
    print(json.dumps(result | {"ratio": round(took["flow"] / took["loop"], 3), "n": 1}))


def keyframes(storage: Storage, films: list[str]) -> None:
    fakes.curate(storage, films, fakes.Fakes(_EACH), _CLUSTER, ["keyframes"])


def flow_of(storage: Storage, films: list[str]) -> None:
    with kept(), alone(storage), local_api(make(storage)) as ready:
        from prefect import flow

        @flow
        def characters() -> None:
            fakes.curate(storage, films, fakes.Fakes(_EACH, model=_MODEL), _CLUSTER, ["keyframes", "characters"])

        ready()
        characters()


def loop(storage: Storage, films: list[str]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from deltalake import DeltaTable

    model, table = fakes.Model(_MODEL), DeltaTable(storage.url("tables/keyframes"))
    for film_id in films:
        rows = table.to_pyarrow_table(filters=[("film_id", "=", film_id)], columns=["row_id", "image"])
        found = model.detect([decode(image) for image in rows["image"].to_pylist()])
        persons = pa.array([len(people) for people in found])
        pq.write_table(rows.select(["row_id"]).append_column("persons", persons), storage.url(f"{film_id}.parquet"))


if __name__ == "__main__":
    main()
