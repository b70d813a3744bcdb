"""The whole system in small: `moviedreamer run studio --recipe smoke`, again, and killed on the way."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

ENVIRONMENT = {name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))}


def _command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "flows.cli", *map(str, arguments)]


def _run(*arguments: str | Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(_command(*arguments), capture_output=True, text=True, env=ENVIRONMENT, check=False)


def _studio(storage: Path) -> "subprocess.CompletedProcess[str]":
    return _run("run", "studio", "--recipe", "smoke", "--storage", storage, "--json")


def _status(storage: Path) -> dict[str, Any]:
    status: dict[str, Any] = json.loads(_run("status", "--storage", storage, "--json").stdout)
    return status


def _contents(root: Path) -> dict[str, int]:
    """Every file of a storage but Prefect's -> when it was written."""
    files = (path for path in root.rglob("*") if path.is_file() and ".prefect" not in path.parts)
    return {path.relative_to(root).as_posix(): path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    storage = tmp_path_factory.mktemp("studio") / "out"
    ran = _studio(storage)
    assert ran.returncode == 0, ran.stderr
    return storage, json.loads(ran.stdout)


def test_a_film_in_a_movie_out(whole: tuple[Path, dict[str, Any]]) -> None:
    storage, result = whole
    assert set(result["files"]) == {"movie.mp4", "storyboard.html", "metrics.json"}
    for name, url in result["files"].items():
        assert Path(url) == storage / name
        assert Path(url).stat().st_size > 1000
    assert result["rejects"] == []
    assert result["metrics"] == json.loads((storage / "metrics.json").read_text())
    assert all({"value", "n", "what"} == set(metric) for metric in result["metrics"].values())


def test_every_stage_left_its_rows(whole: tuple[Path, dict[str, Any]]) -> None:
    storage, result = whole
    status = _status(storage)
    assert all(count > 0 for count in status["tables"].values())
    assert status["tables"]["keyframes"] == status["tables"]["scripts"] == status["tables"]["tokens"]
    assert [snapshot["snapshot"] for snapshot in status["snapshots"]] == [result["result"]["snapshot"]]
    trained = {checkpoint["model"] for checkpoint in status["checkpoints"] if checkpoint["finished"]}
    assert trained == {"autoencoder", "autoregressive", "codec", "decoder"}
    (movie,) = status["movies"]
    assert {"movie.mp4", "storyboard.html", "metrics.json"} <= set(movie["files"])
    assert str(storage) not in json.dumps(status)


def test_the_same_command_again_does_nothing_twice(whole: tuple[Path, dict[str, Any]]) -> None:
    storage, result = whole
    before = _contents(storage)
    ran = _studio(storage)
    assert ran.returncode == 0, ran.stderr
    assert json.loads(ran.stdout) == result
    assert _contents(storage) == before


def test_the_snapshot_has_a_data_card_and_can_be_exported(whole: tuple[Path, dict[str, Any]]) -> None:
    storage, result = whole
    snapshot = result["result"]["snapshot"]
    answers = {}
    for flow in ("data_card", "export_webdataset"):
        ran = _run("run", flow, "--recipe", "smoke", "--storage", storage, "--json")
        assert ran.returncode == 0, ran.stderr
        answers[flow] = json.loads(ran.stdout)["result"]
    assert answers["data_card"] == f"cards/{snapshot}/data_card.html"
    card = json.loads((storage / answers["data_card"]).with_suffix(".json").read_text())
    assert card["keyframes"] == _status(storage)["tables"]["keyframes"]
    assert card["audit"] | {"unseen": 0} == card["audit"]
    index = json.loads((storage / answers["export_webdataset"]).read_text())
    assert (index["snapshot"], sum(index["samples"].values())) == (snapshot, card["keyframes"])
    ran = _run("run", "data_card", "--storage", storage, "--set", "data_card.snapshot=other")
    assert ran.returncode == 1
    assert "no snapshot 'other'" in ran.stderr


def test_a_second_run_in_the_same_storage_is_kept_out(whole: tuple[Path, dict[str, Any]]) -> None:
    import fcntl

    storage, _ = whole
    with (storage / ".prefect/lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ran = _studio(storage)
    assert ran.returncode == 1
    assert "another run" in ran.stderr
    assert repr(str(storage)) in ran.stderr


def test_no_film_left_ends_with_1_and_names_each(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("this is no film")
    films = json.dumps([str(tmp_path / "text.mp4"), str(tmp_path / "gone.mp4")])
    place = tmp_path / "out"
    ran = _run("run", "build_dataset", "--recipe", "smoke", "--storage", place, "--set", f"ingest.films={films}")
    assert ran.returncode == 1
    assert "text.mp4" in ran.stderr
    assert "gone.mp4" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert {reject["reason"] for reject in _status(place)["rejects"]} == {"not_a_video", "missing"}


@pytest.mark.slow
def test_killed_anywhere_and_run_again_is_the_same(whole: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    undisturbed, _ = whole
    storage = tmp_path / "out"
    for stage in ("ingest", "characters", "features", "autoencoder", "decoder"):
        _kill_after(storage, stage)
    ran = _studio(storage)
    assert ran.returncode == 0, ran.stderr
    assert _status(storage) == _status(undisturbed)
    assert (storage / "metrics.json").read_bytes() == (undisturbed / "metrics.json").read_bytes()


def _kill_after(storage: Path, stage: str) -> None:
    """Starts a run and kills its whole process group as soon as it says that `stage` is done."""
    command = _command("run", "studio", "--recipe", "smoke", "--storage", storage)
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT, start_new_session=True
    ) as process:
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith(f"done {stage} "):
                os.killpg(process.pid, signal.SIGKILL)
                break
    assert process.returncode == -signal.SIGKILL
