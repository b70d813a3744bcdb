"""A team's set-up, word for word: does it make the same tables, checkpoints and movie as one process?

    python benchmarks/team.py [--alone FOLDER] [--screenshot FILE.webp]

Runs the blocks of "Set a team up" in docs/operations.md as they stand, each in a shell of its own, as root on Debian
with its Postgres: a Prefect server on Postgres, two workers, a Ray cluster of two raylets with their own addresses, an
S3 server. Only the ports are others, so that nothing that runs here is in the way. Then the schedule starts `studio`
with the recipe `smoke`, and what it leaves is compared with the storage of `moviedreamer run studio`, the baseline.
"""

import argparse
import contextlib
import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fakes
import psutil

from storage.root import Storage

REPOSITORY = Path(__file__).parents[1]
PROGRAMS = Path(sys.executable).parent
PORTS = ("4200", "5433", "6379", "8265", "5000")
CLUSTER = "moviedreamer"
LIMIT = 3000  # seconds for the run, on a machine that has much else to do


def main() -> None:
    """Prints what is equal, and the figure as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--alone", type=Path, help="a storage that an earlier run in one process has made")
    parser.add_argument("--screenshot", type=Path, help="also take a picture of the run in Prefect's pages")
    args = parser.parse_args()
    if subprocess.run(["pg_lsclusters", "--no-header"], capture_output=True, text=True).stdout.find(CLUSTER) >= 0:
        raise SystemExit(f"a Postgres cluster {CLUSTER} is here already: pg_dropcluster --stop 15 {CLUSTER}")
    with tempfile.TemporaryDirectory(prefix="team") as folder:
        place = Path(folder)
        alone = args.alone or _alone(place)
        with team(place) as names:
            began = time.monotonic()
            run = _wait(names)
            together = time.monotonic() - began
            os.environ.update(names)
            same = compare(Storage(str(alone)), Storage(names["STUDIO"]))
            if args.screenshot:
                screenshot(names, run, args.screenshot)
    print(f"{together:.0f} s from the making of the schedule to the end of the run")
    print(json.dumps({"name": "team_same_as_alone", **same}))
    if same["value"] != same["baseline"]:
        raise SystemExit(1)


def _alone(place: Path) -> Path:
    command = [f"{PROGRAMS}/moviedreamer", "run", "studio", "--recipe", "smoke", "--storage", f"{place}/alone"]
    began = time.monotonic()
    subprocess.run(command, env=_environment(place), cwd=place, check=True, stdout=subprocess.DEVNULL)
    print(f"{time.monotonic() - began:.0f} s in one process", flush=True)
    return place / "alone"


def blocks(page: str) -> list[str]:
    """The shell blocks of the section, in order."""
    (section,) = re.findall(r"^## Set a team up\n(.*?)(?=^## )", page, re.MULTILINE | re.DOTALL)
    return re.findall(r"^```sh\n(.*?)^```", section, re.MULTILINE | re.DOTALL)


@contextlib.contextmanager
def team(place: Path) -> Iterator[dict[str, str]]:
    """Sets the team up in a folder and yields the environment of team.env; all of it is gone afterwards."""
    for name in ("prefect.yaml", "infra"):
        (place / name).symlink_to(REPOSITORY / name)
    first, *others = blocks((REPOSITORY / "docs/operations.md").read_text())
    try:
        _shell(place, first)
        _own_ports(place / "team.env")
        for block in others:
            print(f"== {block.splitlines()[0]}", flush=True)
            while not _shell(place, block) and "ray start" in block:
                time.sleep(1)  # a node that does not come up in Ray's 15 s is started again, as a person would
        yield _names(place)
    finally:
        _end(place)


def compare(alone: Storage, team: Storage) -> dict[str, Any]:
    """Counts the tables, checkpoints and pictures that are the same in both."""
    differing = []
    one, other = _rows(alone), _rows(team)
    for table, rows in one.items():
        if rows != other[table]:
            differing.append(f"table {table}")
    files = [
        rel
        for folder in ("checkpoints", "movies", "evaluations", "snapshots")
        for rel in (f"{folder}/{name}" for name in alone.walk(folder))
        if rel.endswith((".safetensors", ".mp4", "metrics.json", ".srt", "config.json"))
    ]
    files += ["movie.mp4"]
    for rel in files:
        if not team.exists(rel) or _hash(alone, rel) != _hash(team, rel):
            differing.append(rel)
    for what in differing:
        print(f"differs: {what}", flush=True)
    total = len(one) + len(files)
    return {
        "value": total - len(differing), "unit": "tables and files that are equal", "baseline": total,
        "ratio": (total - len(differing)) / total, "n": sum(map(len, one.values())),
    }  # fmt: skip


def screenshot(names: dict[str, str], run: str, file: Path) -> None:
    """A picture of the run's page, by a headless Chromium."""
    from PIL import Image

    page = names["PREFECT_API_URL"].removesuffix("/api") + f"/runs/flow-run/{run}"
    with tempfile.TemporaryDirectory() as folder:
        png = Path(folder) / "page.png"
        flags = [
            "--headless",
            "--no-sandbox",
            "--hide-scrollbars",
            "--window-size=1280,900",
            f"--user-data-dir={folder}",
        ]
        subprocess.run(["chromium", *flags, "--virtual-time-budget=60000", f"--screenshot={png}", page], check=True)
        Image.open(png).convert("RGB").save(file, quality=60)


def _rows(storage: Storage) -> dict[str, list[str]]:
    """Table -> its rows; of where a film is, only its file's name."""
    found = fakes.everything(storage)
    for film in found["films"]:
        film["source"] = Path(film["source"]).name
    return {table: list(map(repr, rows)) for table, rows in found.items()}


def _hash(storage: Storage, rel: str) -> str:
    return hashlib.sha256(storage.read_bytes(rel)).hexdigest()


def _environment(place: Path) -> dict[str, str]:
    """This one's, with nothing of another Prefect or Ray in it."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_", "AWS_"))}
    return clean | {
        "PATH": f"{PROGRAMS}{os.pathsep}{clean['PATH']}",
        "PREFECT_HOME": str(place / "prefect"),
        "RAY_TMPDIR": str(place),
        "XDG_CACHE_HOME": str(place / "cache"),
        "PYTHONPATH": str(REPOSITORY),
        "MOVIEDREAMER_TEAM": str(place),  # by which what was started here is found
        "HF_HUB_OFFLINE": "1",
    }


def _shell(place: Path, block: str) -> str:
    """What a block says; "" when a Ray node of it did not start, whose processes are ended then."""
    ran = subprocess.run(
        ["bash", "-eu", "-c", block], cwd=place, env=_environment(place), stdout=subprocess.PIPE, text=True, check=False
    )
    if ran.returncode == 0:
        return ran.stdout or "\n"
    if "ray start" not in block:
        raise SystemExit(f"{block}\nended with {ran.returncode}: {ran.stdout}")
    if "--head" in block:
        for process in _ours(place):
            with contextlib.suppress(psutil.Error):
                if "/ray/" in " ".join(process.cmdline()):
                    process.kill()
    return ""


def _own_ports(file: Path) -> None:
    text = file.read_text()
    for port in PORTS:
        with socket.create_server(("127.0.0.1", 0)) as free:
            text = re.sub(rf"\b{port}\b", str(free.getsockname()[1]), text)
    file.write_text(text)


def _names(place: Path) -> dict[str, str]:
    said = _shell(place, ". ./team.env; env -0")
    return dict(one.split("=", 1) for one in said.split("\0") if "=" in one)


def _wait(names: dict[str, str]) -> str:
    """Waits for the first run that the schedule has made; returns its id."""
    end = time.monotonic() + LIMIT
    while time.monotonic() < end:
        asked = {"flow_runs": {"state": {"type": {"any_": ["COMPLETED", "FAILED", "CRASHED", "CANCELLED"]}}}}
        request = urllib.request.Request(
            names["PREFECT_API_URL"] + "/flow_runs/filter", json.dumps(asked).encode(),
            {"Content-Type": "application/json"},
        )  # fmt: skip
        for run in json.load(urllib.request.urlopen(request, timeout=60)):
            if run["state"]["type"] != "COMPLETED":
                raise SystemExit(f"the run is {run['state']['name']}: {run['state']['message']}")
            assert run["auto_scheduled"]
            return str(run["id"])
        time.sleep(5)
    raise SystemExit(f"the run did not end within {LIMIT} s")


def _ours(place: Path) -> Iterator[psutil.Process]:
    """The processes that bear this set-up's mark."""
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.environ().get("MOVIEDREAMER_TEAM") == str(place):
                yield process


def _end(place: Path) -> None:
    """Ends what bears this set-up's mark, workers first, and removes the database."""
    for ending in (signal.SIGTERM, signal.SIGKILL):
        ours = list(_ours(place))
        for process in ours:
            with contextlib.suppress(psutil.Error):
                process.send_signal(ending)
        psutil.wait_procs(ours, timeout=30)
    subprocess.run(["pg_dropcluster", "--stop", "15", CLUSTER], check=False)
    shutil.rmtree(place, ignore_errors=True)


if __name__ == "__main__":
    main()
