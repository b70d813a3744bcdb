"""The autoregressive model through the project's one training loop, killed on the way."""

import subprocess
import sys
from pathlib import Path

from tests.tasks.dreamer_training import fit_here

REPOSITORY = Path(__file__).parents[2]
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
        run = subprocess.run([*SCRIPT, killed, "5", "10"], cwd=REPOSITORY, capture_output=True)
        assert run.returncode == -9, run.stderr.decode()
    assert not (killed / "checkpoints/dreamer/0/final").exists()
    fit_here(str(killed))
    wanted = files(undisturbed)
    assert {"model.safetensors", "backbone/model.safetensors", "curve.jsonl"} <= set(wanted)
    assert files(killed) == wanted
