"""A queue of twenty stories, three of them bad: rendered by schedule, and by a run that is killed again and again.

    python benchmarks/night.py [--stories 17] [--kills 10] [--seed 0]

Beside the good stories there are one that is malformed, one whose photograph is missing, and one that ends its worker.
First the deployment of prefect.yaml renders them on a real server and worker, every two minutes instead of every night,
until two scheduled runs have ended: the first makes all movies, the second must make nothing. Then `moviedreamer
render` makes them in a new storage; at random moments its processes are killed and it is run again. In the end each
file beside each movie must have the same bytes in both storages. The models are those of this repository; clips are
small, so that most of the time goes to the engine.
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
import urllib.request
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import yaml
from prefect import flow
from stack import free_port

from flows.cli import app
from flows.run import References
from flows.server.rescue import HOOKS
from flows.stories import render_stories
from tasks.movies.stories import work
from tasks.movies.stories.plan import STAGES
from tasks.movies.stories.stream import Piece, Work

REPOSITORY = Path(__file__).parents[1]
PREFECT = Path(sys.executable).with_name("prefect")
SMALL = (
    "movie.upscaler.kind=none", "movie.animator.kind=camera", "movie.fps=8", "sound.voice.kind=none",
    "stories.gate.tries=1",
)  # fmt: skip
LINES = 2  # keyframes of a good story
IN_FLIGHT = 2  # pieces: one in each pool
LIMIT = 3600.0  # seconds for a run
_LOG = "NIGHT_LOG"
_REAL = {stage: getattr(work, stage) for stage in STAGES}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--stories", type=int, default=17, help="good ones")
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="md", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        write_stories(folder / "stories", args.stories)
        scheduled(folder)
        print(told(killed(folder, args.kills, args.seed)))


def write_stories(folder: Path, good: int) -> None:
    """So many good ones, and three bad ones."""
    folder.mkdir()
    for number in range(good):
        plots = "".join(f"      - plot: Anna finds thing {number}.{line}.\n" for line in range(LINES))
        (folder / f"good-{number:02d}.yaml").write_text(
            f"title: Story {number}\nseed: {number}\nscenes:\n  - shots:\n{plots}"
        )
    (folder / "malformed.yaml").write_text("title: [")
    (folder / "photograph.yaml").write_text(
        "title: Gone\ncast: [{name: Anna, photographs: [gone.jpg]}]\n"
        "scenes: [{shots: [{characters: [Anna], plot: She sits.}]}]"
    )
    (folder / "worker.yaml").write_text("title: Bad\nscenes: [{shots: [A deadly thing.]}]")


def watched(log: str) -> None:
    """From now on each piece that is begun adds a line to a file, and a deadly one ends its worker before that."""
    for stage in STAGES:
        setattr(work, stage, partial(_watched, stage, log))


def _watched(stage: str, log: str, *given: Any) -> Work:
    does: Work = _REAL[stage](*given)

    def begin(pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            if stage == "tokens" and "deadly" in piece.job.plot:
                os._exit(1)
            file = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
            os.write(file, f"{stage} {piece.key}\n".encode())
            os.close(file)
            does([piece])

    return begin


def begun(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


@flow(name="render_stories", **HOOKS)
def night(recipe: str, storage: str, overrides: Sequence[str]) -> References:
    """The queue's flow, watched."""
    watched(os.environ[_LOG])
    return render_stories.fn(recipe, storage, overrides)


def scheduled(folder: Path) -> None:
    """Two runs by schedule of the stories in folder/stories into folder/out; prints what each made."""
    port, log = free_port(), folder / "out.log"
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))} | {
        "PREFECT_HOME": str(folder / "prefect"),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "PREFECT_SERVER_UI_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PATH": f"{PREFECT.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "PYTHONPATH": os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "benchmarks")]),
        _LOG: str(log),
    }
    (folder / "prefect.yaml").write_text(yaml.safe_dump(often()))
    with running(environment, "server", "start", "--port", str(port)):
        wait_for(lambda: call(environment, "/health"), "the Prefect server")
        for command in (
            ("work-pool", "create", "laptop", "--type", "process"),
            ("--no-prompt", "deploy", "--prefect-file", str(folder / "prefect.yaml"), "--all"),
        ):
            subprocess.run([PREFECT, *command], env=environment, cwd=folder, check=True, stdout=sys.stderr)
        with running(environment | {"MOVIEDREAMER_HOME": str(folder)}, "worker", "start", "--pool", "laptop"):
            before: dict[Path, int] = {}
            for number in (1, 2):
                began = time.monotonic()
                wait_for(partial(completed, environment, number), f"scheduled run {number}")
                made = files(folder / "out")
                entries = [json.loads(path.read_text()) for path in (folder / "out/stories/queue").glob("*.json")]
                states = Counter(entry["state"] for entry in entries)
                changed = sum(made.get(path) != at for path, at in before.items()) + len(made.keys() - before.keys())
                print(
                    f"scheduled run {number}: {time.monotonic() - began:.0f} s, {states['done']} movies, "
                    f"{states['failed']} reports, {changed} files of pieces and movies made, {len(begun(log))} pieces "
                    f"begun so far, {len(begun(log)) - len(set(begun(log)))} of them twice",
                    flush=True,
                )
                before = made
            (deployment,) = call(environment, "/deployments/filter", {})
            call(environment, f"/deployments/{deployment['id']}/pause_deployment", {})
            wait_for(lambda: not active(environment), "the end of the third run")
            for entry in entries:
                if entry["state"] == "failed":
                    print(f"  {Path(entry['source']).name}: {' '.join(entry['error'].split())[:160]}")


def often() -> dict[str, Any]:
    """prefect.yaml with the deployment of the queue alone, for `night`."""
    file = yaml.safe_load((REPOSITORY / "prefect.yaml").read_text())
    (queue,) = [
        one for one in file["deployments"]
        if one["entrypoint"] == "flows.stories.render_stories" and one["name"] == "laptop"
    ]  # fmt: skip
    (schedule,) = queue["schedules"]
    parameters = queue["parameters"] | {"overrides": [*queue["parameters"]["overrides"], *SMALL]}
    queue |= {"entrypoint": "night.night", "parameters": parameters}
    queue |= {"schedules": [schedule | {"cron": "*/2 * * * *", "active": True}]}
    return {name: file[name] for name in ("name", "build", "push", "pull")} | {"deployments": [queue]}


@contextmanager
def running(environment: dict[str, str], *command: str) -> Any:
    """A program of Prefect that ends, with all that it started, when the block does."""
    with Path(environment["PREFECT_HOME"] + f"-{command[0]}.log").open("ab") as log:
        process = subprocess.Popen([PREFECT, *command], env=environment, stdout=log, stderr=log, start_new_session=True)
    try:
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def call(environment: dict[str, str], path: str, body: Any = None) -> Any:
    data, headers = None if body is None else json.dumps(body).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(environment["PREFECT_API_URL"] + path, data, headers)
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.loads(answer.read() or b"null")


def wait_for(ready: Callable[[], object], what: str) -> None:
    """Asks now and then; a server that starts or is busy may not answer."""
    began = time.monotonic()
    while time.monotonic() - began < LIMIT:
        with suppress(OSError):
            if ready():
                return
        time.sleep(2)
    raise TimeoutError(f"{what}: not within {LIMIT:g} s")


def completed(environment: dict[str, str], count: int) -> bool:
    """Whether so many scheduled runs have ended well; none may end otherwise."""
    runs = call(environment, "/flow_runs/filter", {})
    bad = [run for run in runs if run["state_type"] in ("FAILED", "CRASHED", "CANCELLED")]
    assert not bad, bad[0]["state"]
    return len([run for run in runs if run["auto_scheduled"] and run["state_type"] == "COMPLETED"]) >= count


def active(environment: dict[str, str]) -> bool:
    runs = call(environment, "/flow_runs/filter", {})
    return any(run["state_type"] in ("PENDING", "RUNNING") for run in runs)


def files(storage: Path) -> dict[Path, int]:
    """All pieces and movies, and when each was written."""
    return {
        path: path.stat().st_mtime_ns
        for part in ("pieces", "movies")
        for path in (storage / part).rglob("*")
        if path.is_file()
    }


def killed(folder: Path, kills: int, seed: int = 0) -> dict[str, int]:
    """Renders folder/stories again, killed so often, and compares the movies with those in folder/out."""
    storage, log, draw = folder / "killed", folder / "killed.log", random.Random(seed)
    total = len(set(begun(folder / "out.log")))
    done = 0
    while done < kills:
        process = rendering(folder, storage, log)
        left = max(1, total - len(set(begun(log))))
        goal = len(begun(log)) + draw.randint(0, max(1, 2 * left // (kills - done + 2)))
        while len(begun(log)) < goal and process.poll() is None:
            time.sleep(0.05)
        time.sleep(draw.uniform(0, 1))
        if process.poll() is not None:
            break
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        done += 1
        print(f"killed after {len(begun(log))} pieces", file=sys.stderr, flush=True)
    assert rendering(folder, storage, log).wait() == 1  # three stories cannot be rendered
    report = json.loads((storage / "stories/report.json").read_text())["stories"]
    states = Counter(one["state"] for one in report)
    one, other = (movies(place) for place in (folder / "out", storage))
    lines = begun(log)
    return {
        "movies": states["done"],
        "reports": states["failed"],
        "kills": done,
        "different": sum(one.get(name) != other.get(name) for name in {*one, *other}),
        "files": len(one),
        "pieces": len(set(lines)),
        "begun_twice": len(lines) - len(set(lines)),
    }


def rendering(folder: Path, storage: Path, log: Path) -> "subprocess.Popen[bytes]":
    """`moviedreamer render`, watched, in a process group of its own."""
    sets = [word for one in SMALL for word in ("--set", one)]
    words = ["render", str(folder / "stories"), "--storage", str(storage), *sets]
    code = "import night; night.once()"
    path = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "benchmarks")])
    with (folder / "render.log").open("ab") as said:
        return subprocess.Popen(
            [sys.executable, "-c", code, str(log), *words], env=os.environ | {"PYTHONPATH": path}, stdout=said,
            stderr=said, start_new_session=True,
        )  # fmt: skip


def once() -> None:
    """`moviedreamer`, watched; its first word is the log."""
    watched(sys.argv.pop(1))
    app()


def movies(storage: Path) -> dict[str, bytes]:
    return {str(path.relative_to(storage)): path.read_bytes() for path in storage.glob("movies/*/*")}


def told(found: dict[str, int]) -> str:
    """The figures of `killed` in words and as JSON."""
    words = (
        f"{found['kills']} kills: {found['movies']} movies, {found['reports']} reports; {found['different']} of "
        f"{found['files']} files differ from those of the undisturbed run; {found['begun_twice']} of "
        f"{found['pieces']} pieces begun twice"
    )
    result = {"name": "pieces_begun_twice", "value": found["begun_twice"], "unit": "pieces", "n": found["pieces"]}
    most = IN_FLIGHT * found["kills"]
    result |= {"baseline": most, "ratio": round(found["begun_twice"] / most, 3) if most else None}
    return f"{words}\n{json.dumps(result)}"


if __name__ == "__main__":
    main()
