"""A tiny training run, for tests: `python toy_training.py STORAGE WORKERS KILL` runs it in a process of its own.

KILL is JSON, [[step, who], ...]: at that step the worker kills itself, or "driver" and itself, once.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

STEPS = 24


@dataclass
class Toy:
    """Two phases, dropout from the global generator, and an average of the weights in a buffer."""

    kills: tuple = ()
    ghosts: str = ""
    diverges_at: int = -1
    breaks_at: int = -1
    steps: int = STEPS
    weight_decay: float = 0.1

    def __post_init__(self):
        self.module = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.3), nn.Linear(8, 1))

        self.module.register_buffer("average", torch.zeros(4))

    def stepped(self, step):
        self.module.average.lerp_(self.module[0].weight.detach()[0], 0.1)

    def parameters(self, step):
        return self.module[2].parameters() if step < STEPS // 3 else self.module.parameters()

    def lr(self, step):
        return 1e-2 * (1 - step / STEPS)

    def batch(self, step, rank, world):
        for at, pid in self.kills:
            ghost = Path(self.ghosts) / str(at)
            if at == step and not ghost.exists():
                ghost.touch()
                for victim in [pid] * (pid > 0) + [os.getpid()]:  # the driver first
                    os.kill(victim, signal.SIGKILL)
        if step == self.breaks_at:
            raise RuntimeError("broken")
        generator = torch.Generator().manual_seed(1000 * step + rank)
        return torch.randn(16, 4, generator=generator)

    def loss(self, batch, step):
        error = (self.module(batch) - batch.sum(1, keepdim=True)).square().mean()
        return error * (float("nan") if step == self.diverges_at else 1), {"error": float(error.detach())}

    def export(self, path):
        torch.save(self.module.state_dict(), path / "weights.pt")


def main(root, workers, kills):
    from storage.root import Storage
    from tasks.cluster import ClusterConfig
    from tasks.fit import FitConfig, fit
    from tasks.progress import silent

    ghosts = Path(root) / "ghosts"
    ghosts.mkdir(parents=True, exist_ok=True)
    pids = tuple((at, os.getpid() if who == "driver" else 0) for at, who in json.loads(kills))
    config = FitConfig(workers=int(workers), checkpoint_every=5)
    print(fit(Storage(root), "toy", "0", lambda: Toy(pids, str(ghosts)), config, ClusterConfig(), silent))


if __name__ == "__main__":
    main(*sys.argv[1:])
