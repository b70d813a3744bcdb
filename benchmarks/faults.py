"""Faults at random moments of a run on a whole installation: what is lost, doubled, done again, and for how long?

    python benchmarks/faults.py --times 5                    # all of them, in rounds of one each
    python benchmarks/faults.py --times 2 --fault "driver"   # one

A flow run curates films through all stages of the curation, with fake models: its driver is a Ray job on a cluster of
two nodes, its states are in a Prefect server on Postgres (benchmarks/stack.py). In each round every fault strikes once,
in random order, in runs of its kind (a Ray job, one with its tables in S3, ...). When a run has ended, each row of each
table is compared with that of a run that nobody disturbed. Runs that hang are cancelled, until nothing is left of them.
The outcome of each strike is appended to a file when its run has ended. The same command goes on with the rest, and
prints the table of all. The faults are in benchmarks/strikes.py.
"""

import argparse
import fcntl
import itertools
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import fakes
import stack as stacks
from killed import difference
from prefect import flow
from strikes import CANCELS, STRIKES

from flows.server.home import home
from flows.server.keeper import kept
from flows.server.lock import alone
from flows.server.rescue import HOOKS, watch
from storage.root import Storage
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig, connect
from tasks.progress import silent
from tasks.training.engine.fit import fit
from tasks.training.engine.job import FitConfig

_RUN_LIMIT = 900.0  # seconds
_CANCEL_LIMIT = 120.0
_HEAD = """
| fault | times | rows lost | duplicated | films restarted | of these finished | recovery | longest | left |
|---|---|---|---|---|---|---|---|---|""".strip()
Work = tuple[str, str]
"""A stage, and a film."""

CLUSTER = ClusterConfig(object_store_mb=128, workers=2, decoders=2)


@flow(name="curated", **HOOKS)
def curated(storage: str, log: str, films: int, keyframes: int, hangs: str = "") -> None:
    """The flow that is struck.

    Args:
        log: a file that gets a line for each film that a stage begins.
        hangs: "start" hangs before Ray is up, "work" with Ray, "training" in the workers of Ray Train.
    """
    place = Storage(storage)
    with kept(), alone(place):
        watch()
        if hangs == "work":
            connect(CLUSTER)
        if hangs == "training":
            fit(place, "toy", "0", partial(hang, log, hangs), FitConfig(workers=2), CLUSTER, silent)
        if hangs:
            hang(log, hangs)
        fakes.curate(place, fakes.film_ids(films), fakes.Fakes(keyframes, decoding=0.05, model=0.02, log=log), CLUSTER)


def hang(log: str, where: str) -> NoReturn:
    """Hears of no signal that Python can hear of."""
    fakes.Fakes(0, log=log).begin("hangs", where)
    while True:
        with suppress(BaseException):
            time.sleep(1e6)


@dataclass
class Outcome:
    """What came of one strike; all that strike a run share what it lost, a row at least if it did not finish."""

    fault: str
    seconds: float = 0.0  # until the next commit, or until nothing is left
    lost: int = 0
    doubled: int = 0
    again: int = 0  # films begun in a stage for another time
    finished_again: int = 0  # of them, those that were committed before
    left: list[str] = field(default_factory=list)

    def count(self, log: Sequence[Work], struck: int, finished: Set[Work]) -> None:
        """Counts what was begun again since the strike, which came after so many lines of the log."""
        again = [work for place, work in enumerate(log) if place >= struck and work in log[:place]]
        self.again = len(again)
        self.finished_again = len(set(again) & finished)

    @property
    def bad(self) -> int:
        return self.lost + self.doubled + len(self.left)


def read(results: Path) -> list[Outcome]:
    return [Outcome(**json.loads(line)) for line in fakes.lines(str(results))]


def append(results: Path, outcomes: Iterable[Outcome]) -> None:
    with results.open("a") as file:
        file.writelines(f"{json.dumps(asdict(outcome))}\n" for outcome in outcomes)


def row(fault: str, outcomes: Sequence[Outcome]) -> str:
    """The line of the table."""
    counts = [
        sum(getattr(outcome, name) for outcome in outcomes) for name in ("lost", "doubled", "again", "finished_again")
    ]
    seconds = [outcome.seconds for outcome in outcomes]
    left = ", ".join(found for outcome in outcomes for found in outcome.left)
    cells = (fault, len(outcomes), *counts, f"{statistics.median(seconds):.0f} s", f"{max(seconds):.0f} s", left)
    return f"| {' | '.join(map(str, cells))} |"


def rescue(parts: stacks.Stack) -> None:
    """What cron does: calls flows.server.rescue every minute, for which the benchmark's flow is one of ours."""
    code = "from flows.server import rescue; rescue._ours = lambda client, run: True; print(*rescue.reap())"
    while True:
        time.sleep(60)
        subprocess.run([sys.executable, "-c", code], env=parts.environment, capture_output=True, check=False)


def main() -> None:
    """Prints the table line by line, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="of each fault; 0 only prints the table")
    parser.add_argument("--fault", default="", help="only those whose name has this in it")
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--keyframes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, default=Path("faults.jsonl"), help="gets a line for each strike")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if any(lacking(of, kind, args.times, args) for of in (STRIKES, CANCELS) for kind in stacks.KINDS):
        strike(args)
    told = [outcome for outcome in read(args.results) if args.fault in outcome.fault]
    print(_HEAD)
    for fault in (*STRIKES, *CANCELS):
        if found := [outcome for outcome in told if outcome.fault == fault]:
            print(row(fault, found))
    bad = sum(outcome.bad for outcome in told)
    result = {"name": "faults_lost_doubled_and_left", "value": bad, "unit": "rows and left-overs", "baseline": None}
    print(json.dumps(result | {"ratio": None, "n": len(told)}))


def strike(args: argparse.Namespace) -> None:
    """Strikes until every fault wanted has struck so often, in rounds."""
    folder = tempfile.TemporaryDirectory(prefix="md", ignore_cleanup_errors=True)
    with folder as name, stacks.stack(Path(name)) as parts:
        os.environ.update((name, value) for name, value in parts.environment.items() if name.startswith("AWS_"))
        threading.Thread(target=rescue, args=(parts,), daemon=True).start()
        bench = Bench(parts, args)
        for times, kind in itertools.product(range(1, args.times + 1), stacks.KINDS):
            while strikes := lacking(STRIKES, kind, times, args):
                append(args.results, bench.struck(strikes, kind))
            for fault in lacking(CANCELS, kind, times, args):
                append(args.results, [bench.cancelled(fault)])


def lacking(faults: Mapping[str, tuple[object, str]], kind: str, times: int, args: argparse.Namespace) -> list[str]:
    """Those wanted of a kind that have not struck so often."""
    struck = Counter(outcome.fault for outcome in read(args.results))
    return [name for name, (_, of) in faults.items() if of == kind and args.fault in name and struck[name] < times]


class Bench:
    """One installation, which goes from fault to fault, and the tables of a run that nobody disturbed."""

    def __init__(self, parts: stacks.Stack, args: argparse.Namespace) -> None:
        self.parts, self.args, self.draw = parts, args, random.Random(args.seed)
        self.number = 0
        self.deployments = {kind: parts.deploy("faults.curated", kind) for kind in stacks.KINDS}
        self.whole: Any = None

    def undisturbed(self) -> Any:
        """Rows by table; made once."""
        if self.whole is None:
            began = time.monotonic()
            storage, _, run = self.begin("job")
            assert self.finished(run), "the undisturbed run failed"
            self.whole = fakes.everything(storage)
            print(f"undisturbed: {time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
        return self.whole

    def begin(self, kind: str, **more: Any) -> tuple[Storage, str, str]:
        """A new storage, the log of its run, and the run's id."""
        self.number += 1
        folder = self.parts.folder / f"run{self.number}"
        folder.mkdir()
        options = f"endpoint_override=127.0.0.1:{self.parts.s3}&scheme=http"
        places = {"s3": f"s3://faults/run{self.number}?{options}", "disk": str(self.parts.small_disk / folder.name)}
        parameters = {"storage": places.get(kind, str(folder / "out")), "log": str(folder / "log")}
        size = {"films": self.args.films, "keyframes": self.args.keyframes}
        return (
            Storage(parameters["storage"]),
            parameters["log"],
            self.parts.run(self.deployments[kind], parameters | size | more),
        )

    def struck(self, faults: Sequence[str], kind: str) -> list[Outcome]:
        """A run that is struck at random moments by these faults, in random order; it may end before the last."""
        whole, works = self.undisturbed(), self.args.films * len(fakes.STAGES)
        order, outcomes = self.draw.sample(faults, len(faults)), list[Outcome]()
        storage, log, run = self.begin(kind)
        seen, finished = 0, set[Work]()
        with suppress(TimeoutError):
            while order:
                left = max(1, works - len(set(begun(log))))
                self.comes_to(seen + self.draw.randint(1, max(1, 2 * left // (len(order) + 1))), log, run)
                time.sleep(self.draw.uniform(0, 2))
                if self.over(run) or len(set(begun(log))) == works:
                    break
                if outcomes:
                    outcomes[-1].count(begun(log), seen, finished)
                outcomes.append(Outcome(order.pop(), seconds=_RUN_LIMIT))
                seen, finished = len(begun(log)), done(storage)
                began, before = time.monotonic(), commits(storage)
                STRIKES[outcomes[-1].fault][0](self.parts, run, self.draw)
                self.goes_on(storage, before, run)
                outcomes[-1].seconds = time.monotonic() - began
                told = f"  {outcomes[-1].fault}, at film {seen} of {works}: {outcomes[-1].seconds:.0f} s"
                print(told, file=sys.stderr, flush=True)
        ended = self.finished(run)
        jobs = ", ".join(job for job in self.parts.jobs() if run in job)
        print(f"flow run {run}: {self.parts.state(run)}, Ray jobs: {jobs or 'none'}", file=sys.stderr, flush=True)
        assert ended or outcomes, f"a run of kind {kind!r} that nothing struck has failed"
        if not ended:
            self.cancel(run)
        lost, doubled = difference(whole, fakes.everything(storage))
        for outcome in outcomes:
            outcome.lost, outcome.doubled = lost or int(not ended), doubled
        for outcome in outcomes[-1:]:
            outcome.count(begun(log), seen, finished)
        return outcomes

    def cancelled(self, fault: str) -> Outcome:
        """A run that hangs and is cancelled: seconds until nothing is left of it."""
        hangs, kind = CANCELS[fault]
        storage, log, run = self.begin(kind, hangs=hangs)
        self.comes_to(1, log, run)
        time.sleep(self.draw.uniform(0, 5))
        began = time.monotonic()
        self.cancel(run)
        with suppress(TimeoutError):
            self.nothing_left(storage, run)
        outcome = Outcome(fault, seconds=time.monotonic() - began, left=self.left(storage, run))
        print(f"  {fault}: {outcome.seconds:.0f} s", file=sys.stderr, flush=True)
        return outcome

    def cancel(self, run: str) -> None:
        """What the button in the UI does."""
        self.parts.call(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})

    def nothing_left(self, storage: Storage, run: str) -> None:
        stacks.until(lambda: not self.left(storage, run), "the end of all of it", _CANCEL_LIMIT)

    def left(self, storage: Storage, run: str) -> list[str]:
        """What there still is of a run that was cancelled."""
        mark = f"PREFECT__FLOW_RUN_ID={run}"
        found = [
            f"process {' '.join(command)}"
            for process, command in stacks.commands()
            if mark in stacks.environment(process)
        ]
        found += [f"placement group {group}" for group in self.parts.placement_groups()]
        found += [f"Ray worker {process}" for process in self.parts.ray_workers()]
        found += [
            f"job {job}" for job, state in self.parts.jobs().items() if run in job and state in ("PENDING", "RUNNING")
        ]
        if self.parts.state(run) != "CANCELLED":
            found.append(f"state {self.parts.state(run)}")
        with (home(storage) / "lock").open("a") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                found.append("lock")
        return found

    def comes_to(self, goal: int, log: str, run: str) -> None:
        """Waits until so many films have been begun, or the run is over."""
        stacks.until(lambda: len(fakes.lines(log)) >= goal or self.over(run), f"line {goal} of {log}", _RUN_LIMIT)

    def goes_on(self, storage: Storage, before: int, run: str) -> None:
        """Waits until there is a commit more, or the run is over."""
        stacks.until(lambda: commits(storage) > before or self.over(run), "the next commit", _RUN_LIMIT)

    def over(self, run: str) -> bool:
        """Whether it has ended; one that failed or crashed may be taken up again."""
        state = self.parts.state(run)
        return state in ("COMPLETED", "CANCELLED") or (state in ("FAILED", "CRASHED") and self.parts.age(run) > 120)

    def finished(self, run: str) -> bool:
        with suppress(TimeoutError):
            stacks.until(lambda: self.over(run), "the end of the run", _RUN_LIMIT)
        return self.parts.state(run) == "COMPLETED"


def begun(log: str) -> list[Work]:
    """The log's lines."""
    return [(line.split()[0], line.split()[1]) for line in fakes.lines(log)]


def commits(storage: Storage) -> int:
    """Number of commits that recorded finished films."""
    return len(storage.list("tables/work/_delta_log"))


def done(storage: Storage) -> set[Work]:
    """What is committed."""
    tables = Tables(storage)
    return {(stage, film) for stage in fakes.STAGES for film, _ in tables.done(stage)}


if __name__ == "__main__":
    main()
