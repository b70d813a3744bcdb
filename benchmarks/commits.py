"""Does a commit cost more, the more commits there have been?

    python benchmarks/commits.py --commits 400

Batches of one small film each are committed, one after the other, as a stage does it: its table and `work`. In turns
with them the same rows are appended as one would do it by hand, to two tables opened for each film. It is CPU time that
is compared: a busy machine hardly changes it.
"""

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable

import fakes
import pyarrow as pa
from deltalake import write_deltalake

from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.checks import checked
from storage.tables.datafiles import write_file
from storage.tables.schemas import SCHEMAS


def main() -> None:
    """Prints what the first and the last commits cost, and the growth as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commits", type=int, default=400)
    args = parser.parse_args()
    ours, peers = [], []
    with tempfile.TemporaryDirectory() as folder:
        storage = Storage(f"{folder}/out")
        batches = Batches(storage, "keyframes", ["keyframes"])
        for film_id in fakes.film_ids(args.commits):
            rows = checked("keyframes", film_id, "f", fakes.keyframe_rows(film_id, 0, 4, b"x", (1, 1)))
            done = {"film_id": film_id, "stage": "keyframes", "fingerprint": "f", "rows": 4, "attempts": 1}
            work = pa.Table.from_pylist([done], schema=SCHEMAS["work"])

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


def seconds(work: Callable[[], None]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


if __name__ == "__main__":
    main()
