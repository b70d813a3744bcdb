"""A tiny autoregressive training: `python dreamer_training.py STORAGE WORKERS STEP...`.

A worker kills itself at each step that is named, once; without workers that is the process itself.
"""

import os
import signal
import sys
from pathlib import Path

from models.training.autoregressive import AutoregressiveTraining, AutoregressiveTrainingConfig

STEPS = 12


class Mortal(AutoregressiveTraining):
    """Kills its process at some steps, each once."""

    kills: tuple[int, ...] = ()
    ghosts = ""

    def batch(self, step, rank=0, world=1):
        ghost = Path(self.ghosts) / str(step)
        if step in self.kills and not ghost.exists():
            ghost.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().batch(step, rank, world)


def make(kills: tuple[int, ...] = (), ghosts: str = "") -> Mortal:
    """All guards against overfitting are on, and rows are packed."""
    from tests.models.test_training_autoregressive import CONFIG, film

    changes = {"steps": STEPS, "packing": 150, "untold": 0.2}
    training = Mortal(AutoregressiveTrainingConfig(**dict(CONFIG) | changes), [film(9), film(5, seed=1)])
    training.kills, training.ghosts = kills, ghosts
    return training


def fit_here(root: str, workers: int = 0, kills: tuple[int, ...] = ()) -> str:
    """Each step averages two batches, however many workers share them."""
    from storage.root import Storage
    from tasks.cluster import ClusterConfig
    from tasks.progress import silent
    from tasks.training.engine.fit import fit
    from tasks.training.engine.job import FitConfig

    config = FitConfig(workers=workers, batches=2, checkpoint_every=4)
    return fit(Storage(root), "dreamer", "0", lambda: make(kills, root), config, ClusterConfig(), silent)


if __name__ == "__main__":
    fit_here(sys.argv[1], int(sys.argv[2]), tuple(map(int, sys.argv[3:])))
