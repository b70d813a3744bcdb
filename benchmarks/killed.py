"""Killed with SIGKILL at random moments and run again: what is lost, doubled, or done again?

    python benchmarks/killed.py --films 50 --keyframes 40 --kills 20

Fifty films go through all stages of the curation, with fake models. The process group is killed when a random number
of further films has been begun, and the same command goes on. At the end all tables, row by row, are compared with
those of a run that nobody disturbed. Work that is done again must not have been committed before: what a kill costs is
what was in flight. The peers are in benchmarks/peers.py: rows appended to a Delta table by hand, Ray Data's checkpoint,
and Daft's checkpoint store with Delta. The baseline is the best of them.
"""

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import fakes
import peers

from storage.root import Storage
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig

Rows = dict[str, list[dict[str, Any]]]


def main() -> None:
    """Prints a line a kill and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=50)
    parser.add_argument("--keyframes", type=int, default=40)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--child", nargs=2, metavar=("STORAGE", "LOG"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        curate(args.child[0], args.child[1], args.films, args.keyframes)
        return
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), args)


def curate(storage: str, log: str, films: int, keyframes: int) -> None:
    made = fakes.Fakes(keyframes, decoding=0.001, model=0.002, log=log)
    fakes.curate(Storage(storage), fakes.film_ids(films), made, ClusterConfig(object_store_mb=128))


def measure(folder: Path, args: argparse.Namespace) -> None:
    whole, killed, log = folder / "whole", folder / "killed", folder / "log"
    began = time.monotonic()
    finish(start(args, whole, folder / "other log"))
    print(f"undisturbed: {time.monotonic() - began:.0f} s", flush=True)
    draw, works, again = random.Random(args.seed), args.films * len(fakes.STAGES), 0
    committed: set[tuple[str, str]] = set()
    repeated = 0
    for kill in range(args.kills + 1):
        seen = len(fakes.lines(str(log)))
        left = works - len(committed)
        goal = draw.randint(1, max(1, 2 * left // (args.kills + 1 - kill))) if kill < args.kills else None
        child = start(args, killed, log)
        if goal is None:
            finish(child)
        else:
            while child.poll() is None and len(fakes.lines(str(log))) < seen + goal:
                time.sleep(0.01)
            time.sleep(draw.uniform(0, 0.2))
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        begun = {(line.split()[0], line.split()[1]) for line in fakes.lines(str(log))[seen:]}
        repeated += len(begun & committed)
        tables = Tables(Storage(str(killed)))
        before, committed = committed, {(stage, film) for stage in fakes.STAGES for film, _ in tables.done(stage)}
        again += len(begun - committed)
        print(f"kill {kill + 1}: {len(begun)} films begun, {len(committed - before)} committed", flush=True)
    lost, doubled = difference(fakes.everything(Storage(str(whole))), fakes.everything(Storage(str(killed))))
    print(f"rows lost {lost}, doubled or changed {doubled}", flush=True)
    print(f"films that were begun in a stage: {again} in flight at a kill, {repeated} committed before and done again")
    others = [
        peers.killed(name, folder / name, args.films, args.keyframes, args.kills, random.Random(args.seed))
        for name in peers.PEERS
    ]
    best = min((other for other in others if other is not None), default=None)
    result = {"name": "killed_lost_and_doubled", "value": lost + doubled, "unit": "rows"}
    print(json.dumps(result | {"baseline": best, "ratio": None, "n": args.kills}))


def start(args: argparse.Namespace, storage: Path, log: Path) -> "subprocess.Popen[bytes]":
    size = ["--films", str(args.films), "--keyframes", str(args.keyframes)]
    command = [sys.executable, __file__, *size, "--child", str(storage), str(log)]
    return subprocess.Popen(command, start_new_session=True)


def finish(child: "subprocess.Popen[bytes]") -> None:
    if child.wait():
        raise SystemExit(f"the run ended with exit code {child.returncode}")


def difference(whole: Rows, killed: Rows) -> tuple[int, int]:
    """Rows that the second has not, and those that it has beyond the first."""
    lost = doubled = 0
    for table in whole:
        wanted, found = (Counter(map(repr, rows[table])) for rows in (whole, killed))
        lost += sum((wanted - found).values())
        doubled += sum((found - wanted).values())
    return lost, doubled


if __name__ == "__main__":
    main()
