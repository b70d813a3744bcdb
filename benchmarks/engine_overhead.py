"""How much of a GPU's time does the engine leave unused?

    python benchmarks/engine_overhead.py --runs 5

A sleeping model takes 30 ms a keyframe on a "GPU", and reading a keyframe's picture takes 20 ms on a CPU. One worker
goes through all films: at the pace of its slower side, if reading never keeps the model waiting. In turns with it the
same job as Ray Data does it by default: read_parquet, map_batches that decodes, map_batches with a model in an actor.
Ray runs already; wall time starts with the job and ends when its rows are committed.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import fakes

from storage.root import Storage
from tasks.cluster import ClusterConfig, connect


def main() -> None:
    """Prints a line a run and the median figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keyframes", type=int, default=2000)
    parser.add_argument("--films", type=int, default=40)
    parser.add_argument("--decoding", type=float, default=0.02)
    parser.add_argument("--model", type=float, default=0.03)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    cluster = ClusterConfig(object_store_mb=256)
    connect(cluster)
    each = args.keyframes // args.films
    ideal = max(args.decoding, args.model) * each * args.films
    busy = args.model * each * args.films
    films = fakes.film_ids(args.films)
    ours, peers = [], []
    for run in range(args.runs):
        with tempfile.TemporaryDirectory() as folder:
            storage = Storage(folder)
            fakes.curate(storage, films, fakes.Fakes(each), cluster, ["keyframes"])
            costs = fakes.Fakes(each, decoding=args.decoding, model=args.model)
            began = time.monotonic()
            fakes.curate(storage, films, costs, cluster, ["keyframes", "characters"])
            ours.append(time.monotonic() - began)
            peers.append(tried(partial(ray_data, storage.url("tables/keyframes"), Path(folder) / "peer", args)))
        for name, walls in (("engine", ours), ("Ray Data's defaults", peers)):
            print(f"run {run + 1}, {name}: wall {walls[-1]:.1f} s, {walls[-1] / ideal:.2f} of ideal; ", end="")
            print(
                f"model busy {busy / walls[-1]:.2f} of the time, {ideal / walls[-1]:.2f} of what the slower side allows"
            )
    mine, peer = statistics.median(ours) / ideal, statistics.median(peers) / ideal
    print(f"medians of {args.runs}: wall {mine:.2f} of ideal beside {peer:.2f}; ", end="")
    print(f"model busy {1 / mine:.2f} of what the slower side allows beside {1 / peer:.2f}")
    result = {"name": "engine_overhead", "value": round(mine, 3), "unit": "wall time / ideal time"}
    print(json.dumps(result | {"baseline": round(peer, 3), "ratio": round(mine / peer, 3), "n": args.runs}))


def tried(run: Callable[[], float]) -> float:
    """Where aiohttp isn't installed, two of Ray's threads now and then trip over each other looking for it."""
    try:
        return run()
    except Exception as error:
        if "HTTPFileSystem" not in str(error):
            raise
        return tried(run)


def ray_data(table: str, out: Path, args: argparse.Namespace) -> float:
    """Seconds that the same job takes as a plain chain of Ray Data with its defaults."""
    import ray
    from deltalake import DeltaTable

    files = DeltaTable(table).file_uris()
    began = time.monotonic()
    keyframes = ray.data.read_parquet(files).select_columns(["row_id", "image"])
    decoded = keyframes.map_batches(partial(_decode, args.decoding))
    found = decoded.map_batches(
        _Detect, fn_constructor_args=(args.model,), compute=ray.data.ActorPoolStrategy(size=1), num_cpus=1
    )
    found.write_parquet(str(out))
    return time.monotonic() - began


def _decode(seconds: float, batch: dict[str, Any]) -> dict[str, Any]:
    time.sleep(seconds * len(batch["row_id"]))
    return batch


class _Detect:
    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        time.sleep(self.seconds * len(batch["row_id"]))
        return {"row_id": batch["row_id"]}


if __name__ == "__main__":
    main()
