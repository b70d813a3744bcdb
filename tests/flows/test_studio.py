"""The whole system in small: `moviedreamer run studio --recipe smoke`, again, and killed on the way."""

import contextlib
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from drawn.film import draw_film
from flows.commands.cleaning import clean, look
from storage import layout
from storage.claim import claim
from storage.errors import ConfigError, StorageError
from storage.root import Storage

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


def _all(root: Path) -> dict[Path, tuple[bytes, int]]:
    """Every file below a folder -> its bytes, and when it was written."""
    return {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in root.rglob("*") if path.is_file()}


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
    told = {"value", "n", "what"}
    assert all(told <= set(metric) <= told | {"interval", "reason"} for metric in result["metrics"].values())


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
        answers |= json.loads(ran.stdout)["files"]
    assert answers["data_card.html"] == str(storage / f"cards/{snapshot}/data_card.html")
    card = json.loads(Path(answers["data_card.html"]).with_suffix(".json").read_text())
    assert card["keyframes"] == _status(storage)["tables"]["keyframes"]
    assert card["audit"] | {"unseen": 0} == card["audit"]
    index = json.loads(Path(answers["index.json"]).read_text())
    assert (index["snapshot"], sum(index["samples"].values())) == (snapshot, card["keyframes"])
    ran = _run("run", "data_card", "--storage", storage, "--set", "data_card.snapshot=other")
    assert ran.returncode == 1
    assert "no snapshot 'other'" in ran.stderr


def test_all_that_flows_leave_is_known_to_clean_and_has_its_place_in_the_layout(
    whole: tuple[Path, dict[str, Any]],
) -> None:
    storage = Storage(str(whole[0]))
    found = look(storage)
    assert found.left == ()
    places = [rel for rel in (*found.made, *found.others) if not rel.startswith(("tables/", ".prefect/"))]
    assert [rel for rel in places if not layout.is_place(rel)] == []


def test_a_stranger_s_file_at_each_path_that_a_flow_writes_is_left_alone(
    whole: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    for number, rel in enumerate(path for path in whole[0].rglob("*") if path.is_file()):
        name = rel.relative_to(whole[0]).as_posix()
        place = Storage(str(tmp_path / str(number)))
        stranger = Path(place.uri) / name
        stranger.parent.mkdir(parents=True)
        stranger.write_text("a stranger's")
        with pytest.raises((ConfigError, StorageError)):
            claim(place)
        drawn_by_lot = name.startswith("tables/") and "_delta_log" not in name  # no two runs' are the same
        if layout.is_published(name) or name.startswith(".prefect/") or drawn_by_lot:
            claim(place, into=True)
            clean(place)
        else:
            with pytest.raises((ConfigError, StorageError), match=re.escape("/".join(name.split("/")[:2]))):
                claim(place, into=True)
            with contextlib.suppress(ConfigError, StorageError):
                clean(place)
        assert [path for path in Path(place.uri).rglob("*") if path.is_file()] == [stranger]
        assert stranger.read_text() == "a stranger's"


@pytest.mark.slow
def test_a_user_s_files_outlive_run_rerun_and_clean(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also the film that the run learns from: it lies in the storage, under the name of the movie."""
    monkeypatch.setitem(ENVIRONMENT, "XDG_CACHE_HOME", str(tmp_path / "cache"))
    place = tmp_path / "mine"
    draw_film(place / "movie.mp4", 7, 12, (448, 256))
    mine = ("movie-7.mp4", "metrics.json", ".prefect/server.log", "films/drawn-mine.mp4", "checkpoints/decoder/my.pt")
    for name in mine:
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text("mine")
    before = _all(place)
    flags = ["--recipe", "smoke", "--storage", place, "--set", f"ingest.films={place / 'movie.mp4'}", "--json"]
    assert _run("run", "studio", *flags).returncode == 2
    for into in (["--into"], []):
        ran = _run("run", "studio", *flags, *into)
        assert ran.returncode == 0, ran.stderr
        told = json.loads(ran.stdout)
        assert Path(told["files"]["movie.mp4"]).parent.parent == place / "movies"
        assert [name for name in ("movie.mp4", "metrics.json", ".prefect") if name not in " ".join(told["notes"])] == []
    ran = _run("clean", "--yes", "--storage", place, "--json")
    assert ran.returncode == 0, ran.stderr
    assert _all(place) == before
    assert set(json.loads(ran.stdout)["left"]) >= {"movie.mp4", "movie-7.mp4", "metrics.json", "films/drawn-mine.mp4"}


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
