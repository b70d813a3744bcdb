"""What does it cost to run again, when nothing is left to do, and when one film has come?

    python benchmarks/rerun.py --films 1000 --keyframes 10

A thousand films go through the stages named, with fake models that take no time; then the same again, which starts no
Ray, and again with one more film. The full run is the engine's alone, so with real models the share is smaller. The
peer is what one would write by hand: a marker file for each film and stage, looked for one by one.
"""

import argparse
import json
import tempfile
import time
from pathlib import Path

import fakes

from storage.root import Storage
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig


def main() -> None:
    """Prints a line a run and the share as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--keyframes", type=int, default=10)
    parser.add_argument("--stages", nargs="+", default=["keyframes", "characters"], choices=fakes.STAGES)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    cluster = ClusterConfig(object_store_mb=128)
    with tempfile.TemporaryDirectory() as folder:
        log = str(Path(folder) / "log")
        storage, made = Storage(f"{folder}/out"), fakes.Fakes(args.keyframes, log=log)
        films = fakes.film_ids(args.films + 1)

        def run(count: int) -> float:
            began = time.monotonic()
            fakes.curate(storage, films[:count], made, cluster, args.stages)
            return time.monotonic() - began

        full = run(args.films)
        print(f"{args.films} films, {len(args.stages)} stages: {full:.1f} s")
        again, markers = [], []
        for _ in range(args.runs):
            again.append(run(args.films))
            markers.append(by_hand(Path(folder) / "markers", films[: args.films], args.stages))
        noop, peer = sorted(again)[args.runs // 2], sorted(markers)[args.runs // 2]
        print(f"again, nothing to do: {noop:.2f} s, {noop / full:.2%} of it; marker files {peer:.2f} s")
        seen = len(fakes.lines(log))
        one = run(args.films + 1)
        begun = fakes.lines(log)[seen:]
        print(f"with one film more: {one:.1f} s, begun: {begun}")
        if len(begun) != len(args.stages) or {line.split()[1] for line in begun} != {films[-1]}:
            raise SystemExit("more than the one film was worked on")
        began = time.monotonic()
        counts = Tables(storage).count()
        print(f"status counts {sum(counts.values())} rows in {time.monotonic() - began:.2f} s")
    result = {"name": "rerun_with_nothing_to_do", "value": round(noop / full, 5), "unit": "share of the full run"}
    print(json.dumps(result | {"baseline": round(peer / full, 5), "ratio": round(noop / peer, 2), "n": args.runs}))


def by_hand(folder: Path, films: list[str], stages: list[str]) -> float:
    for stage in stages:
        (folder / stage).mkdir(parents=True, exist_ok=True)
        for film_id in films:
            (folder / stage / film_id).touch()
    began = time.monotonic()
    if not all((folder / stage / film_id).exists() for stage in stages for film_id in films):
        raise SystemExit("a marker is missing")
    return time.monotonic() - began


if __name__ == "__main__":
    main()
