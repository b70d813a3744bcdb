"""The autoregressive model through the project's one training loop, alone and on Ray's workers, killed on the way."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tasks.dreamer_training import STEPS, fit_here

REPOSITORY = Path(__file__).parents[3]
SCRIPT = (sys.executable, "-m", "tests.tasks.dreamer_training")


def files(root: Path) -> dict[str, bytes]:
    final = root / "checkpoints/dreamer/0/final"
    kept = ("*.safetensors", "curve.jsonl")
    return {str(path.relative_to(final)): path.read_bytes() for kind in kept for path in final.rglob(kind)}


def test_killed_twice_and_run_again_is_undisturbed_bit_for_bit(tmp_path):
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    for root in (undisturbed, killed):
        root.mkdir()
    fit_here(str(undisturbed))
    for _ in range(2):
        run = subprocess.run([*SCRIPT, killed, "0", "5", "10"], cwd=REPOSITORY, capture_output=True)
        assert run.returncode == -9, run.stderr.decode()
    assert not (killed / "checkpoints/dreamer/0/final").exists()
    fit_here(str(killed))
    wanted = files(undisturbed)
    assert {"model.safetensors", "backbone/model.safetensors", "curve.jsonl"} <= set(wanted)
    assert files(killed) == wanted


def losses(root: Path) -> list[float]:
    curve = root / "checkpoints/dreamer/0/final/curve.jsonl"
    return [json.loads(line)["loss"] for line in curve.read_text().splitlines()]


@pytest.mark.slow
@pytest.mark.parametrize("kills", [(), ("6",)], ids=["undisturbed", "one worker killed"])
def test_two_workers_of_ray_learn_what_one_process_learns(tmp_path, kills):
    alone, shared = tmp_path / "alone", tmp_path / "shared"
    for root in (alone, shared):
        root.mkdir()
    fit_here(str(alone))
    run = subprocess.run([*SCRIPT, shared, "2", *kills], cwd=REPOSITORY, capture_output=True)
    assert run.returncode == 0, run.stderr.decode()
    assert len(losses(alone)) == STEPS
    assert losses(shared) == pytest.approx(losses(alone), abs=1e-5)
    assert [(shared / step).exists() for step in kills] == [True] * len(kills)
