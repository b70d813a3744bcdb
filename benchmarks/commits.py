"""Does a commit cost more, the more commits there have been? Are any lost when many write at once?

    python benchmarks/commits.py --commits 400
    python benchmarks/commits.py --commits 2000 --writers 10

Batches of one small film each are committed, one after the other, as a stage does it: its table and `work`. In turns
with them the same rows are appended as one would do it by hand, to two tables opened for each film. It is CPU time that
is compared: a busy machine hardly changes it.

With writers, so many processes commit to the same two tables at once, each as a stage of its own, while this one reads.
All that a reader sees must be what was there after some whole number of each writer's batches, never less than before.
The peer is as many processes that append to one table by hand.
"""

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import fakes
import pyarrow as pa
from deltalake import DeltaTable, write_deltalake

from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.datafiles import write_file
from storage.tables.schemas import SCHEMAS, checked

ROWS = 4  # of a film


def main() -> None:
    """Prints the figures, the last of them as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=400)
    parser.add_argument("--writers", type=int, default=0)
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "PLACE", "NUMBER"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, place, number = args.child
        {"batches": write_batches, "by hand": append_by_hand}[what](place, int(number), args.commits)
    elif args.writers:
        with tempfile.TemporaryDirectory() as folder:
            together(Path(folder), args.commits, args.writers)
    else:
        one_after_the_other(args)


def one_after_the_other(args: argparse.Namespace) -> None:
    ours, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(f"{folder}/out")
        batches = Batches(storage, "keyframes", ["keyframes"])
        for film_id in fakes.film_ids(args.commits):
            rows, work = film(film_id, "keyframes")

            def commit(rows: pa.Table = rows, work: pa.Table = work) -> None:
                batches.commit({"keyframes": [write_file(storage, "keyframes", [rows])]}, work)

            def append(rows: pa.Table = rows, work: pa.Table = work) -> None:
                for name, table in (("rows", rows), ("work", work)):
                    write_deltalake(f"{folder}/{name}", table, mode="append")

            ours.append(seconds(commit))
            peers.append(seconds(append))
    some = max(1, args.commits // 5)
    growth = []
    for name, took in (("batches", ours), ("appended by hand", peers)):
        first, last = statistics.median(took[:some]), statistics.median(took[-some:])
        growth.append(last / first)
        print(
            f"{name}: {1000 * first:.0f} ms of CPU in the first {some} commits, {1000 * last:.0f} ms in the last {some}"
        )
    result = {"name": "growth_of_a_commits_cost", "value": round(growth[0], 2), "unit": "last fifth over first"}
    more = {"baseline": round(growth[1], 2), "ratio": round(growth[0] / growth[1], 2), "n": args.commits}
    print(json.dumps(result | more))


def together(folder: Path, commits: int, writers: int) -> None:
    """Prints what was lost and doubled when all write at once, and what a reader saw that it mustn't."""
    began = time.monotonic()
    running = start("batches", folder / "ours", writers, commits // 2 // writers)
    storage, reads, torn = Storage(str(folder / "ours")), 0, 0
    before: Counter[str] = Counter()
    while any(one.poll() is None for one in running):
        if DeltaTable.is_deltatable(storage.url("tables/work")):
            done = DeltaTable(storage.url("tables/work")).to_pyarrow_table(columns=["film_id", "stage"])
            rows = DeltaTable(storage.url("tables/keyframes")).to_pyarrow_table(columns=["film_id"])
            seen, there = Counter(done["stage"].to_pylist()), Counter(rows["film_id"].to_pylist())
            numbers = Counter(done["film_id"].to_pylist())
            whole = all(numbers[film_id(n, at)] == 1 for n in range(writers) for at in range(seen[stage(n)]))
            torn += not (whole and seen >= before and all(there[film] == ROWS for film in numbers))
            reads, before = reads + 1, seen
    failed = sum(one.wait() != 0 for one in running)
    wanted = {film_id(n, at) for n in range(writers) for at in range(commits // 2 // writers)}
    lost, doubled = faults(storage.url("tables/work"), wanted, 1), faults(storage.url("tables/keyframes"), wanted, ROWS)
    print(
        f"batches: {commits} commits by {writers} writers in {time.monotonic() - began:.0f} s, {failed} writers failed"
    )
    print(f"work: lost {lost[0]}, doubled {lost[1]}; keyframes: lost {doubled[0]}, doubled {doubled[1]}")
    print(f"a reader beside them: {reads} reads, {torn} of a state that never was")
    running = start("by hand", folder / "hand", writers, commits // writers)
    stopped = sum(one.wait() != 0 for one in running)
    wanted = {film_id(n, at) for n in range(writers) for at in range(commits // writers)}
    missing, twice = faults(str(folder / "hand"), wanted, 1)
    print(f"appended by hand: lost {missing}, doubled {twice}; {stopped} writers were stopped by an error")
    result = {"name": "concurrent_commits_lost_or_doubled", "value": sum(lost) + sum(doubled) + torn, "unit": "commits"}
    print(json.dumps(result | {"baseline": missing + twice, "ratio": None, "n": commits}))


def start(what: str, place: Path, writers: int, each: int) -> "list[subprocess.Popen[bytes]]":
    command = [sys.executable, __file__, "--commits", str(each), "--child", what, str(place)]
    quiet = subprocess.DEVNULL if what == "by hand" else None
    return [subprocess.Popen([*command, str(number)], stderr=quiet) for number in range(writers)]


def faults(table: str, wanted: set[str], rows: int) -> tuple[int, int]:
    """(films without rows, films with a wrong number of rows)."""
    found = Counter(DeltaTable(table).to_pyarrow_table(columns=["film_id"])["film_id"].to_pylist())
    return len(wanted - found.keys()), sum(count != rows for count in found.values())


def stage(writer: int) -> str:
    return f"writer-{writer}"


def film_id(writer: int, number: int) -> str:
    return f"{writer:08x}{number:08x}"


def write_batches(place: str, writer: int, count: int) -> None:
    batches = Batches(storage := Storage(place), stage(writer), ["keyframes"])
    for number in range(count):
        rows, work = film(film_id(writer, number), stage(writer))
        batches.commit({"keyframes": [write_file(storage, "keyframes", [rows])]}, work)


def append_by_hand(place: str, writer: int, count: int) -> None:
    for number in range(count):
        write_deltalake(place, film(film_id(writer, number), stage(writer))[1], mode="append")


def film(film_id: str, stage: str) -> tuple[pa.Table, pa.Table]:
    """A small film's keyframes, and its row of `work`."""
    rows = checked("keyframes", film_id, "f", fakes.keyframe_rows(film_id, 0, ROWS, b"x", (1, 1)))
    done = {"film_id": film_id, "stage": stage, "fingerprint": "f", "rows": ROWS, "attempts": 1}
    return rows, pa.Table.from_pylist([done], schema=SCHEMAS["work"])


def seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
