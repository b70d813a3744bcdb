"""The commands in the card of the embedded weights, in minutes: tiny numbers of steps, the world's own models."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoregressive.autoregressive import AutoregressiveModel
from models.weights.shipped import ship

pytestmark = pytest.mark.slow

TINY = """
fit.workers=0 fit.checkpoint_every=2 fit.validate_every=2
ingest.drawn.films=3 ingest.drawn.seconds=16 keyframes.trim.start=1 keyframes.trim.end=1 snapshot.test=1
autoencoder.warmup_steps=6 autoencoder.steps=6 autoencoder.warmup_batch=2
decoder.warmup_steps=2 decoder.steps=4 decoder.batch=2
autoregressive.steps=4 autoregressive.window=4 autoregressive.references=2
movie.upscaler.kind=lanczos movie.animator.kind=camera movie.width=224 movie.height=128
"""
KILLED = """
import os, signal, sys
from models.training.autoencoder import AutoencoderTraining
from models.training.autoregressive import AutoregressiveTraining
from models.training.decoder import DecoderTraining
from flows.cli import main

kind = {"autoencoder": AutoencoderTraining, "decoder": DecoderTraining, "autoregressive": AutoregressiveTraining}
training, stepped = kind[sys.argv[1]], kind[sys.argv.pop(1)].stepped

def dies(self, step):
    stepped(self, step)
    if step == 2:
        os.killpg(os.getpgid(0), signal.SIGKILL)

training.stepped = dies
main()
"""


def studio(storage: Path, killed_in: str = "") -> "subprocess.CompletedProcess[str]":
    """Runs the card's first command; `killed_in` names a training whose third step ends the whole process group."""
    first = ["-c", KILLED, killed_in] if killed_in else ["-m", "flows.cli"]
    changes = [part for each in TINY.split() for part in ("--set", each)]
    return subprocess.run(
        [sys.executable, *first, "run", "studio", "--recipe", "world", "--storage", str(storage), *changes],
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if not name.startswith(("PREFECT_", "RAY_"))},
        check=False,
        start_new_session=True,
    )


def weights(storage: Path) -> dict[str, bytes]:
    """Every file of weights of the three models."""
    models = storage / "checkpoints"
    found = [path for name in ("autoencoder", "decoder", "autoregressive") for path in (models / name).glob("*/final")]
    assert len(found) == 3
    return {str(file.relative_to(models)): file.read_bytes() for path in found for file in path.rglob("*.safetensors")}


def test_weights_are_made_and_shipped_by_their_cards_commands_and_killed_trainings_end_with_the_same(
    tmp_path: Path,
) -> None:
    undisturbed, killed = tmp_path / "undisturbed", tmp_path / "killed"
    ran = studio(undisturbed)
    assert ran.returncode == 0, ran.stderr
    shutil.copytree(undisturbed, killed)  # the same films, curated
    shutil.rmtree(killed / "checkpoints")
    for training in ("autoencoder", "decoder", "autoregressive"):
        assert studio(killed, training).returncode == -signal.SIGKILL
    ran = studio(killed)
    assert ran.returncode == 0, ran.stderr
    assert weights(killed) == weights(undisturbed)

    sizes = {}
    for model, kind in (("decoder", DiffusionAutoencoder), ("autoregressive", AutoregressiveModel)):
        (trained,) = (undisturbed / "checkpoints" / model).glob("*/final")
        sizes[model] = ship(trained, tmp_path / model)
        kind.from_pretrained(tmp_path / model)
    assert sum(sizes.values()) <= 60_000_000
