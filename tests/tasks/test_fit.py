import subprocess
import sys
from pathlib import Path

import pytest

from storage import checkpoints
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.fit import FitConfig, TrainingError, fit
from tasks.progress import silent
from tests.tasks.toy_training import STEPS, Toy

TOY = Path(__file__).with_name("toy_training.py")
FINAL = "checkpoints/toy/0/final"


def run_toy(root: Path, workers: int = 0, kills: str = "[]") -> int:
    """In a process of its own, which it may kill."""
    return subprocess.run([sys.executable, TOY, root, str(workers), kills], capture_output=True).returncode


def fit_here(root: Path, make, progress=silent) -> str:
    return fit(
        Storage(str(root)), "toy", "0", make, FitConfig(workers=0, checkpoint_every=5), ClusterConfig(), progress
    )


def result(root: Path) -> tuple[bytes, bytes]:
    return (root / FINAL / "weights.pt").read_bytes(), (root / FINAL / "curve.jsonl").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    root = tmp_path_factory.mktemp("undisturbed")
    assert fit_here(root, Toy) == FINAL
    return root


def test_a_finished_training_is_not_repeated(undisturbed):
    def never():
        raise AssertionError("built again")

    assert fit_here(undisturbed, never) == FINAL


def test_the_curve_has_every_step_once(undisturbed):
    lines = (undisturbed / FINAL / "curve.jsonl").read_text().splitlines()
    assert [line.split(",")[0] for line in lines] == [f'{{"step": {step}' for step in range(STEPS)]


def test_what_led_to_the_result_is_dropped(undisturbed):
    assert Storage(str(undisturbed)).list("checkpoints/toy/0") == ["final"]


def test_killed_twice_and_run_again_equals_undisturbed_bit_for_bit(undisturbed, tmp_path):
    kills = '[[7, "driver"], [18, "driver"]]'
    assert run_toy(tmp_path, kills=kills) < 0
    assert checkpoints.finished(Storage(str(tmp_path)), "toy", "0") is None
    assert run_toy(tmp_path, kills=kills) < 0
    assert fit_here(tmp_path, Toy) == FINAL
    assert result(tmp_path) == result(undisturbed)


def test_half_a_checkpoint_does_not_count(undisturbed, tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        fit_here(tmp_path, lambda: Toy(breaks_at=12))
    whole = tmp_path / "checkpoints/toy/0/000010"
    half = tmp_path / "checkpoints/toy/0/000020"
    half.mkdir()
    (half / "state.pt").write_bytes((whole / "state.pt").read_bytes()[:100])
    assert fit_here(tmp_path, Toy) == FINAL
    assert result(tmp_path) == result(undisturbed)


@pytest.mark.slow
def test_ray_starts_a_dead_worker_again_and_a_dead_driver_resumes(undisturbed, tmp_path):
    kills = '[[7, "worker"], [18, "driver"]]'
    assert run_toy(tmp_path, workers=1, kills=kills) < 0
    assert run_toy(tmp_path, workers=1, kills=kills) == 0
    assert result(tmp_path) == result(undisturbed)


@pytest.mark.slow
def test_two_workers_share_the_steps(tmp_path):
    assert run_toy(tmp_path, workers=2) == 0
    assert len((tmp_path / FINAL / "curve.jsonl").read_text().splitlines()) == STEPS


def test_a_loss_that_is_not_finite_stops_with_its_step(tmp_path):
    with pytest.raises(TrainingError, match="at step 4 of 24"):
        fit_here(tmp_path, lambda: Toy(diverges_at=4))


def test_a_model_that_cannot_be_built_says_why(tmp_path):
    def broken():
        raise ValueError("width is -1")

    with pytest.raises(TrainingError, match="width is -1"):
        fit_here(tmp_path, broken)
