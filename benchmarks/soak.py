"""Small runs for 45 minutes on a whole installation: does anything grow?

    python benchmarks/soak.py --minutes 45

On the installation of benchmarks/stack.py (Postgres, Prefect's server and worker, a Ray head and two nodes, an S3
server) one flow run follows another: by turns a Ray job and a process of the worker, each with a new storage, which is
removed after it. Once a run has ended and its processes are gone, the whole installation is measured: memory (shared
pages count once), files on disk, open file descriptors, processes, and Prefect's database. Each sample is appended to a
file, and the same command goes on for the rest of the time. The growth of a measure is the median of the last quarter
of an installation's samples over that of the second quarter; before that caches fill. The figure is that of the measure
that grew most.
"""

import argparse
import json
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from functools import partial
from itertools import cycle
from pathlib import Path

import fakes
import stack as stacks
from memory import proportional

KINDS = ("job", "process")
MEASURES = {
    "memory": "MiB",
    "disk": "MiB",
    "descriptors": "open files",
    "processes": "processes",
    "database": "MiB",
}
_RUN_LIMIT = 900.0  # seconds
_FAREWELL = 60.0  # seconds for the processes of a run to go
Sample = dict[str, float]


def main() -> None:
    """Prints a line a run, then what grew, and the worst as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=45, help="of all samples together")
    parser.add_argument("--films", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path("soak.jsonl"), help="gets a line for each run")
    args = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    if minutes(read(args.results)) < args.minutes:
        soak(args)
    samples = longest(read(args.results))
    grown = {name: growth([sample[name] for sample in samples]) for name in MEASURES}
    for name, unit in MEASURES.items():
        first, last = samples[0][name], samples[-1][name]
        print(f"{name}: {first:.0f} {unit} after the first run, {last:.0f} after the last, growth {grown[name]:.3f}")
    result = {"name": "soak_growth", "value": round(max(grown.values()), 3), "unit": "last quarter over second"}
    print(json.dumps(result | {"baseline": 1.0, "ratio": round(max(grown.values()), 3), "n": len(samples)}))


def soak(args: argparse.Namespace) -> None:
    """Runs and samples until there are samples of enough minutes."""
    folder = tempfile.TemporaryDirectory(prefix="md", ignore_cleanup_errors=True)
    with folder as name, stacks.stack(Path(name)) as parts:
        deployments = {kind: parts.deploy("faults.curated", kind) for kind in KINDS}
        began = time.monotonic()
        for number, kind in enumerate(cycle(KINDS)):
            place = parts.folder / f"run{number}"
            place.mkdir()
            parameters = {"storage": str(place / "out"), "log": str(place / "log"), "films": args.films}
            run = parts.run(deployments[kind], parameters | {"keyframes": 20})
            stacks.until(partial(completed, parts, run), f"flow run {run}", _RUN_LIMIT)
            stacks.until(partial(gone, parts, run), f"the end of the processes of {run}", _FAREWELL)
            shutil.rmtree(place)
            sample = {"began": began, "minutes": (time.monotonic() - began) / 60, **measured(parts)}
            with args.results.open("a") as file:
                file.write(json.dumps(sample) + "\n")
            told = ", ".join(f"{sample[name]:.0f} {unit} ({name})" for name, unit in MEASURES.items())
            print(f"{sample['minutes']:5.1f} min, {kind}: {told}", flush=True)
            if minutes(read(args.results)) >= args.minutes:
                return


def completed(parts: stacks.Stack, run: str) -> bool:
    return parts.state(run) == "COMPLETED"


def gone(parts: stacks.Stack, run: str) -> bool:
    return not (parts.ray_workers() or parts.drivers(run) or parts.waiting(run))


def measured(parts: stacks.Stack) -> Sample:
    """What the installation takes now, this process apart."""
    mark = str(parts.folder)
    database = Path(parts.postgres, "postmaster.pid").read_text().split()[0] if parts.postgres else ""
    ours = [process for process, _ in stacks.commands() if any(mark in one for one in stacks.environment(process))]
    ours += stacks.family(int(database)) if database else []
    return {
        "memory": sum(map(proportional, ours)) / 1024,
        "disk": sum(map(size, parts.folder.rglob("*"))) / 2**20,
        "descriptors": sum(map(descriptors, ours)),
        "processes": len(ours),
        "database": database_bytes(parts) / 2**20,
    }


def size(path: Path) -> int:
    try:
        return path.lstat().st_blocks * 512
    except OSError:  # gone
        return 0


def descriptors(process: int) -> int:
    try:
        return len([*Path(f"/proc/{process}/fd").iterdir()])
    except OSError:
        return 0


def database_bytes(parts: stacks.Stack) -> int:
    """Of Prefect's database, without Postgres's log of changes."""
    if not parts.postgres:
        return sum(size(path) for path in (parts.folder / "prefect").glob("prefect.db*"))
    ask = ["psql", "-h", "127.0.0.1", "-p", str(parts.database), "-U", "postgres", "-Atc"]
    said = subprocess.run(
        [*ask, "select pg_database_size('postgres')"], check=True, capture_output=True, text=True, cwd="/"
    )
    return int(said.stdout)


def read(results: Path) -> list[Sample]:
    return [json.loads(line) for line in fakes.lines(str(results))]


def installations(samples: Sequence[Sample]) -> list[list[Sample]]:
    """The samples of each installation, since a command that was ended and called again makes a new one."""
    began = dict.fromkeys(sample["began"] for sample in samples)
    return [[sample for sample in samples if sample["began"] == one] for one in began]


def minutes(samples: Sequence[Sample]) -> float:
    return sum(some[-1]["minutes"] for some in installations(samples))


def longest(samples: Sequence[Sample]) -> list[Sample]:
    return max(installations(samples), key=len)


def growth(values: Sequence[float]) -> float:
    """The median of the last quarter over that of the second; 1 where there are too few to tell."""
    quarter = len(values) // 4
    if not quarter:
        return 1.0
    second, last = values[quarter : 2 * quarter], values[-quarter:]
    return statistics.median(last) / max(statistics.median(second), 1e-9)


if __name__ == "__main__":
    main()
