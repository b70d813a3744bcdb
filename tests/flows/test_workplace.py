"""A storage belongs to one run at a time, however the run was started; what a flow lacks is named at once."""

import subprocess
import sys
from pathlib import Path

import pytest

from flows.lock import alone
from flows.workplace import workplace
from storage.errors import ConfigError, StorageError
from storage.root import Storage

INTRUDER = """
import sys
from flows.workplace import workplace
with workplace('smoke', sys.argv[1], [], 'studio'):
    print('in')
"""


def intrude(place: Path) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-c", INTRUDER, str(place)], capture_output=True, text=True, check=False, cwd=Path.cwd()
    )


def test_another_process_is_kept_out_while_a_flow_and_those_it_calls_are_at_work(tmp_path: Path) -> None:
    with workplace("smoke", str(tmp_path), [], "studio"):
        with workplace("smoke", str(tmp_path), ["render.seed=1"], "evaluate") as (settings, _):
            assert settings.render.seed == 1
        kept_out = intrude(tmp_path)
        assert kept_out.returncode == 1
        assert f"is at work in {str(tmp_path)!r}" in kept_out.stderr
    assert intrude(tmp_path).stdout == "in\n"


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
        _enter(tmp_path, schedule_and_weights, "train_autoencoder", snapshot="s")
    _enter(tmp_path, schedule_and_weights, "evaluate", snapshot="s", autoencoder="a", decoder="d", autoregressive="r")
    _enter(tmp_path, schedule_and_weights, "data_card")


def _enter(tmp_path: Path, overrides: list[str], flow: str, **given: str) -> None:
    with workplace("smoke", str(tmp_path / "out"), overrides, flow, **given):
        pass
