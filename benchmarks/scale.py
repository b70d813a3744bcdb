"""Does memory grow with the number of rows that go through the stages?

    python benchmarks/scale.py --rows 100000 --keyframes 250

Synthetic films go through every stage of the curation with fake models. The memory of all processes (shared pages
counted once) is looked at every second, and for each stage the mean over its last third is compared with that over its
second: what grows with the rows grows there. Beside the figure, for docs/scale.md, each stage's rows a second: what the
engine alone allows on this machine, models at no cost.
"""

import argparse
import json
import os
import statistics
import tempfile
import threading
import time
from collections import defaultdict

import fakes
from memory import resident

from storage.root import Storage
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig, connect


def main() -> None:
    """Prints a line a stage and the largest growth as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=20_000)
    parser.add_argument("--keyframes", type=int, default=250)
    args = parser.parse_args()
    cluster = ClusterConfig(object_store_mb=256)
    connect(cluster)
    films = fakes.film_ids(args.rows // args.keyframes)
    seen: dict[str, list[float]] = defaultdict(list)
    stage, stopped = "", threading.Event()

    def look() -> None:
        while not stopped.wait(1.0):
            seen[stage].append(resident(os.getpid()))

    threading.Thread(target=look, daemon=True).start()
    growth: dict[str, float] = {}
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(folder)
        for place, stage in enumerate(fakes.STAGES):
            began = time.monotonic()
            fakes.curate(storage, films, fakes.Fakes(args.keyframes), cluster, fakes.STAGES[: place + 1])
            took, third = time.monotonic() - began, len(seen[stage]) // 3
            print(f"{stage}: {args.rows / took:.0f} keyframes/s in {took:.0f} s, ", end="")
            if third < 2:
                print("too short to tell whether memory grows")
                continue
            second, last = (statistics.mean(some) for some in (seen[stage][third:-third], seen[stage][-third:]))
            growth[stage] = last / second
            print(f"memory {second:.0f} MiB, then {last:.0f} MiB")
        stopped.set()
        counts = Tables(storage).count()
        print("rows:", ", ".join(f"{table} {count}" for table, count in counts.items() if count))
        keyframes = len(films) * args.keyframes
        if any(counts[stage] != keyframes for stage in ("keyframes", "scripts", "features")):
            raise SystemExit(f"rows are missing, or there twice: {counts}, of {keyframes} keyframes")
    worst = max(growth, key=lambda name: growth[name])
    result = {"name": f"memory_growth_of_{worst}", "value": round(growth[worst], 3), "unit": "last third over second"}
    print(json.dumps(result | {"baseline": 1.0, "ratio": round(growth[worst], 3), "n": args.rows}))


if __name__ == "__main__":
    main()
