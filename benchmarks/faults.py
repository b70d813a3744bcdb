"""Faults at random moments of a run on a whole installation: what is lost, doubled, done again, and for how long?

    python benchmarks/faults.py --times 5                    # all of them
    python benchmarks/faults.py --times 2 --fault "driver"   # one

A flow run curates films through all stages of the curation, with fake models: its driver is a Ray job on a cluster of
two nodes, its states are in a Prefect server on Postgres (benchmarks/stack.py). Each fault strikes several times, in
random order, in runs of its kind (a Ray job, one with its tables in S3, ...). At the end every row of every table is
compared with that of a run that nobody disturbed. Then runs that hang are cancelled, until nothing is left of them.
"""

import argparse
import fcntl
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence, Set
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import fakes
import stack as stacks
from killed import difference
from prefect import flow

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

_RUN_LIMIT = 1500.0  # seconds
_CANCEL_LIMIT = 120.0
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
class Row:
    """What became of one fault's strikes; a run that did not finish has lost a row at least."""

    lost: int = 0
    doubled: int = 0
    again: int = 0  # films begun in a stage for another time
    finished_again: int = 0  # of them, those that were committed before
    seconds: list[float] = field(default_factory=list)  # of each strike
    left: list[str] = field(default_factory=list)

    def count(self, log: Sequence[Work], struck: int, finished: Set[Work]) -> None:
        """Adds what was begun again since the strike, which came after so many lines of the log."""
        again = [work for place, work in enumerate(log) if place >= struck and work in log[:place]]
        self.again += len(again)
        self.finished_again += len(set(again) & finished)

    def told(self, name: str) -> str:
        took = f"{sum(self.seconds) / len(self.seconds):.0f} s, at most {max(self.seconds):.0f} s"
        again = f"{self.again}, finished before: {self.finished_again}"
        cells = (name, len(self.seconds), self.lost, self.doubled, again, took, ", ".join(self.left))
        return f"| {' | '.join(map(str, cells))} |"


def worker(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    stacks.until(parts.ray_workers, "a Ray worker")
    kill(draw.choice(parts.ray_workers()))


def node(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    address = draw.choice(stacks.NODES)
    for process in stacks.family(parts.raylets()[address]):
        kill(process)
    parts.kill(address, group=True)
    parts.start_node(address)


def driver(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    stacks.until(lambda: parts.drivers(run), "the driver")
    for process in parts.drivers(run):
        kill(process)


def submitter(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    """The process that waits for the Ray job."""
    for process, command in stacks.commands():
        if command[-1] == "flows.server.ray_job" and f"PREFECT__FLOW_RUN_ID={run}" in stacks.environment(process):
            kill(process)


def prefect_worker(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    parts.kill("worker")
    parts.start_worker()


def machine(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    """The Prefect worker and the flow's process at once."""
    stacks.until(lambda: parts.drivers(run), "the driver")
    parts.kill("worker")
    for process in parts.drivers(run):
        kill(process)
    parts.start_worker()


def rescue(parts: stacks.Stack) -> None:
    """What cron does: calls flows.server.rescue every minute, for which the benchmark's flow is one of ours."""
    code = "from flows.server import rescue; rescue._ours = lambda client, run: True; print(*rescue.reap())"
    while True:
        time.sleep(60)
        subprocess.run([sys.executable, "-c", code], env=parts.environment, capture_output=True, check=False)


def prefect_server(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    parts.kill("server", group=True)
    parts.start_prefect()


def postgres(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    parts.control_postgres("restart", "-m", "immediate")


def s3(mood: str) -> "Strike":
    """The object store behaves so for 20 s."""

    def strike(parts: stacks.Stack, run: str, draw: random.Random) -> None:
        parts.proxy.mood = mood
        time.sleep(20)
        parts.proxy.mood = ""

    return strike


def full(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    """The disk that holds the storage is full for 20 s."""
    ballast = parts.small_disk / "ballast"
    with suppress(OSError), ballast.open("wb") as file:
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    time.sleep(20)
    ballast.unlink()


def clock(parts: stacks.Stack, run: str, draw: random.Random) -> None:
    """The clock of all processes of the run jumps by up to a day, back or forth (libfaketime)."""
    (parts.folder / "clock").write_text(f"{draw.randint(-86400, 86400):+d}")


Strike = Callable[[stacks.Stack, str, random.Random], None]
STRIKES: Mapping[str, tuple[Strike, str]] = {
    "SIGKILL of a Ray worker": (worker, "job"),
    "SIGKILL of a Ray node": (node, "job"),
    "SIGKILL of the job's driver": (driver, "job"),
    "SIGKILL of the process that waits for the job": (submitter, "job"),
    "SIGKILL of the Prefect worker": (prefect_worker, "job"),
    "SIGKILL of the Prefect worker, flow in its process": (prefect_worker, "process"),
    "SIGKILL of the flow's process": (driver, "process"),
    "SIGKILL of Prefect worker and flow's process at once": (machine, "process"),
    "restart of the Prefect server": (prefect_server, "job"),
    "restart of Postgres": (postgres, "job"),
    "S3 answers 500": (s3("500"), "s3"),
    "S3 answers 503": (s3("503"), "s3"),
    "S3 drops connections": (s3("silent"), "s3"),
    "S3 drops every third request": (s3("unheard"), "s3"),
    "S3 drops every third answer of a commit": (s3("unanswered"), "s3"),
    "full disk": (full, "disk"),
    "clock jump": (clock, "clock"),
}
"""Fault -> who strikes, and what kind of run: a Ray job, with its storage in a folder, in S3 or on a small disk; or a
process of the Prefect worker, which is a driver on the cluster, or has a Ray of its own and a clock that can jump."""

CANCELS: Mapping[str, tuple[str, str]] = {
    "cancel of a hung flow, Ray job": ("work", "job"),
    "cancel of a hung training, Ray job": ("training", "job"),
    "cancel of a hung flow, process": ("work", "process"),
    "cancel of a flow that hangs before Ray, process": ("start", "process"),
}


def main() -> None:
    """Prints the table line by line, and the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=5, help="of each fault")
    parser.add_argument("--fault", default="", help="only those whose name has this in it")
    parser.add_argument("--films", type=int, default=12)
    parser.add_argument("--keyframes", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    rows: dict[str, Row] = {}
    print("| fault | times | rows lost | rows doubled | films begun again | until it goes on | left |")
    print("|---|---|---|---|---|---|---|")
    folder = tempfile.TemporaryDirectory(prefix="md", ignore_cleanup_errors=True)
    with folder as name, stacks.stack(Path(name)) as parts:
        os.environ.update((name, value) for name, value in parts.environment.items() if name.startswith("AWS_"))
        threading.Thread(target=rescue, args=(parts,), daemon=True).start()
        bench = Bench(parts, args)
        for kind in stacks.KINDS:
            strikes = {name: strike for name, (strike, of) in STRIKES.items() if of == kind and args.fault in name}
            found = bench.struck(strikes, kind) if strikes else {}
            cancels = {name: hangs for name, (hangs, of) in CANCELS.items() if of == kind and args.fault in name}
            found |= {name: bench.cancelled(hangs, kind) for name, hangs in cancels.items()}
            for fault, row in found.items():
                print(row.told(fault), flush=True)
            rows |= found
    bad = sum(row.lost + row.doubled + len(row.left) for row in rows.values())
    result = {"name": "faults_lost_doubled_and_left", "value": bad, "unit": "rows and left-overs", "baseline": None}
    print(json.dumps(result | {"ratio": None, "n": sum(len(row.seconds) for row in rows.values())}))


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

    def struck(self, strikes: Mapping[str, Strike], kind: str) -> dict[str, Row]:
        """Runs that are struck at random moments by each fault several times, in random order.

        What such a run has lost or doubled is counted for each fault that struck it.
        """
        whole, rows = self.undisturbed(), {name: Row() for name in strikes}
        order = [name for name in strikes for _ in range(self.args.times)]
        self.draw.shuffle(order)
        works = self.args.films * len(fakes.STAGES)
        while order:
            storage, log, run = self.begin(kind)
            struck = list[str]()
            seen, finished = 0, set[Work]()
            while order:
                left = max(1, works - len(set(begun(log))))
                self.comes_to(seen + self.draw.randint(1, max(1, 2 * left // (len(order) + 1))), log, run)
                time.sleep(self.draw.uniform(0, 2))
                if self.over(run):
                    break
                if struck:
                    rows[struck[-1]].count(begun(log), seen, finished)
                struck.append(order.pop())
                seen, finished = len(begun(log)), done(storage)
                began, before = time.monotonic(), commits(storage)
                strikes[struck[-1]](self.parts, run, self.draw)
                self.goes_on(storage, before, run)
                rows[struck[-1]].seconds.append(time.monotonic() - began)
                told = f"  {struck[-1]}, at film {seen} of {works}: {time.monotonic() - began:.0f} s"
                print(told, file=sys.stderr, flush=True)
            ended = self.finished(run)
            if struck:
                rows[struck[-1]].count(begun(log), seen, finished)
            lost, doubled = difference(whole, fakes.everything(storage))
            for name in set(struck):
                rows[name].lost += lost or int(not ended)
                rows[name].doubled += doubled
        return rows

    def cancelled(self, hangs: str, kind: str) -> Row:
        """Runs that hang and are cancelled: seconds until nothing is left of them."""
        row = Row()
        for _ in range(self.args.times):
            storage, log, run = self.begin(kind, hangs=hangs)
            self.comes_to(1, log, run)
            time.sleep(self.draw.uniform(0, 5))
            began = time.monotonic()
            self.parts.call(f"/flow_runs/{run}/set_state", {"state": {"type": "CANCELLING"}})
            with suppress(TimeoutError):
                self.nothing_left(storage, run)
            row.seconds.append(time.monotonic() - began)
            row.left += self.left(storage, run)
        return row

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


def kill(process: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)


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
