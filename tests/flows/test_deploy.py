"""prefect.yaml and the automations on a real server, and a real worker that runs studio."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from flows import catalogue
from flows.cli import app

REPOSITORY = Path(__file__).parents[2]
PREFECT = Path(sys.executable).with_name("prefect")


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as open_socket:
        return int(open_socket.getsockname()[1])


@contextmanager
def _running(*command: str, log: Path, **options: Any) -> Iterator[None]:
    with log.open("wb") as file:
        process = subprocess.Popen([PREFECT, *command], stdout=file, stderr=file, start_new_session=True, **options)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:  # where SIGINT is ignored, as in a shell's background, Prefect stays
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A Prefect server with a pool; yields the environment that names it."""
    home, port = tmp_path_factory.mktemp("prefect"), _free_port()
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))}
    names = clean | {
        "PREFECT_HOME": str(home),
        "PREFECT_API_URL": f"http://127.0.0.1:{port}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PATH": f"{PREFECT.parent}{os.pathsep}{clean.get('PATH', '')}",
    }
    with _running("server", "start", "--port", str(port), log=home / "server.log", env=names):
        _wait_for(names)
        subprocess.run([PREFECT, "work-pool", "create", "laptop", "--type", "process"], env=names, check=True)
        yield names


def _call(names: dict[str, str], path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(names["PREFECT_API_URL"] + path, data, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)


def _wait_for(names: dict[str, str], seconds: float = 600) -> None:
    end = time.monotonic() + seconds
    while True:
        try:
            _call(names, "/health")
            return
        except OSError:
            if time.monotonic() > end:
                raise
            time.sleep(0.2)  # a server that starts cannot be asked to tell


def _queued(names: dict[str, str], home: Path) -> dict[Path, int]:
    """What the deployment of the queue leaves of movies: one of its two stories is none."""
    (home / "stories").mkdir(exist_ok=True)
    (home / "stories" / "rain.yaml").write_text("title: Rain\nscenes: [{shots: [It rains.]}]\n")
    (home / "stories" / "none.yaml").write_text("title: [")
    call = ["deployment", "run", "render_stories/laptop", "--param", "recipe=smoke", "--watch"]
    ran = subprocess.run([PREFECT, *call], env=names, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (home / "worker.log").read_text()
    return {path: path.stat().st_mtime_ns for path in home.glob("out/movies/*/Rain.*")}


def _automate(names: dict[str, str], folder: Path) -> None:
    """Creates the automations, with ids of this server as their first lines ask for."""
    card = _call(names, "/deployments/name/data_card/laptop")["id"]
    for path in (REPOSITORY / "infra/automations").glob("*.yaml"):
        copy = folder / path.name
        copy.write_text(path.read_text().replace("00000000-0000-0000-0000-000000000000", card))
        subprocess.run([PREFECT, "automation", "create", "--from-file", str(copy)], env=names, check=True)


@pytest.mark.slow
def test_every_flow_is_deployed_and_a_worker_runs_studio(environment: dict[str, str], tmp_path: Path) -> None:
    subprocess.run([PREFECT, "--no-prompt", "deploy", "--name", "laptop"], env=environment, cwd=REPOSITORY, check=True)
    deployments = _call(environment, "/deployments/filter", body={})
    assert {deployment["entrypoint"] for deployment in deployments} == {
        f"flows.{flow.module}.{name}" for name, flow in catalogue.FLOWS.items()
    }
    for deployment in deployments:
        assert str(REPOSITORY) not in json.dumps(deployment["pull_steps"])
        form = deployment["parameter_openapi_schema"]["properties"]
        assert form["recipe"]["type"] == form["storage"]["type"] == "string"
        assert form["overrides"]["type"] == "array"

    _automate(environment, tmp_path)
    worker = {"env": environment | {"MOVIEDREAMER_HOME": str(tmp_path)}}
    with _running("worker", "start", "--pool", "laptop", log=tmp_path / "worker.log", **worker):
        call = ["deployment", "run", "studio/laptop", "--param", "recipe=smoke", "--watch"]
        ran = subprocess.run([PREFECT, *call], env=environment, capture_output=True, text=True, check=False)
        first, second = (_queued(environment, tmp_path) for _ in range(2))
    log = (tmp_path / "worker.log").read_text()
    assert ran.returncode == 0, log
    assert [path.name for path in first if path.suffix == ".mp4"] == ["Rain.mp4"], log
    assert second == first
    assert "could not show" not in log
    assert (tmp_path / "out/movie.mp4").stat().st_size > 1000

    artifacts = _call(environment, "/artifacts/latest/filter", body={})
    found = {artifact["key"]: artifact for artifact in artifacts}
    assert {"rows", "metrics", "keyframes", "renders-held-out", "movie", "autoencoder", "rendered"} <= set(found)
    assert {found[key]["type"] for key in ("rows", "metrics", "rendered")} == {"table"}
    assert "data:image/jpeg;base64," in found["renders-held-out"]["data"]
    assert found["autoencoder"]["type"] == "progress"
    assert found["autoencoder"]["data"] == 100.0
    runs = _call(environment, "/flow_runs/filter", body={})
    studio = _call(environment, "/deployments/name/studio/laptop")["id"]
    (ours,) = (run["id"] for run in runs if run["deployment_id"] == studio)
    kept = _call(environment, "/artifacts/filter", body={"artifacts": {"key": {"any_": ["settings"]}}})
    (told,) = (artifact["data"] for artifact in kept if artifact["flow_run_id"] == ours)
    settings = {row["setting"]: row["value"] for row in json.loads(told)}
    shown = CliRunner().invoke(app, ["show", "studio", "--recipe", "smoke", "--changed", "--json"])
    assert {key: json.loads(value) for key, value in settings.items()}["name"] == "smoke"
    assert settings == {
        one["key"]: json.dumps(one["value"], ensure_ascii=False) for one in json.loads(shown.stdout)["settings"]
    }
    cards = [run for run in runs if (run["created_by"] or {}).get("type") == "AUTOMATION"]
    assert len(cards) == 1  # studio made one snapshot
    assert cards[0]["parameters"]["storage"] == str(tmp_path / "out")
    shutil.rmtree(tmp_path / "out")
