"""The run of a flow is made once, and has its storage for itself; what a flow lacks is named at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.run import NOTHING, References, opened
from flows.server.lock import alone
from storage.errors import ConfigError, StorageError
from storage.root import Storage

INTRUDER = """
import sys
from flows.run import opened
with opened('studio', 'smoke', sys.argv[1]):
    print('in')
"""


def intrude(place: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", INTRUDER, str(place)], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )


def test_another_process_is_kept_out_while_a_run_is_open(tmp_path: Path) -> None:
    with opened("studio", "smoke", str(tmp_path), ["render.seed=1"]) as run:
        assert run.settings.render.seed == 1
        assert run.storage.base == str(tmp_path)
        kept_out = intrude(tmp_path)
        assert kept_out.returncode == 1
        assert f"is at work in {str(tmp_path)!r}" in kept_out.stderr
    assert intrude(tmp_path).stdout == "in\n"


def test_a_flow_that_is_called_in_an_open_run_works_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with opened("studio", "smoke", str(tmp_path), ["render.seed=1"]) as run:
        monkeypatch.setattr("flows.run.resolve", lambda *_: pytest.fail("resolved again"))
        with opened("studio", "smoke", str(tmp_path), ["render.seed=1"]) as same:
            assert same is run


def test_the_lock_goes_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="stop"), alone(Storage(str(tmp_path))):
        raise RuntimeError("stop")
    assert intrude(tmp_path).stdout == "in\n"


def test_a_storage_that_cannot_be_written_is_quoted(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(StorageError, match="file/out"), alone(Storage(str(tmp_path / "file/out"))):
        pass


def test_a_flow_checks_what_it_uses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MOVIEDREAMER_MODELS", str(tmp_path / "models"))
    schedule_and_weights = ["sentence.kind=longclip", "autoencoder.steps=10"]
    with pytest.raises(ConfigError, match=r"LongCLIP-L can't be loaded"):
        _enter(tmp_path, schedule_and_weights, "build_dataset")
    with pytest.raises(ConfigError, match=r"warmup_steps=20 does not go with autoencoder\.steps=10"):
        _enter(tmp_path, schedule_and_weights, "train_autoencoder")
    with pytest.raises(ConfigError, match=r"warmup_steps=20 does not go with autoencoder\.steps=10"):
        _enter(tmp_path, schedule_and_weights, "train_autoencoder", References("s"))
    _enter(tmp_path, schedule_and_weights, "evaluate", References("s", "a", "d", "r"))
    _enter(tmp_path, schedule_and_weights, "data_card")


def _enter(tmp_path: Path, overrides: list[str], flow: str, given: References = NOTHING) -> None:
    with opened(flow, "smoke", str(tmp_path / "out"), overrides, given):
        pass
