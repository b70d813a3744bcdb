"""A tiny training run, for tests, in processes of its own that it may kill.

`python toy_training.py ROOT CONFIG KILLS` runs it on Ray Train; `work` is one worker of it, without Ray. KILLS is JSON,
[[step, who], ...]: the first worker that takes up that step kills itself, and "driver" before; for "upload" it is the
first worker that has written half of that step's checkpoint.
"""

import json
import os
import signal
import sys
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import torch
from torch import nn

from models.training import rows_of_step

STEPS, ROWS, BATCH = 24, 40, 4


@dataclass
class Toy:
    """Two phases, dropout from the global generator, and an average of the weights in a buffer.

    Where there are `notes`, each batch that a step takes is noted there, with its rows.
    """

    kills: tuple = ()
    notes: str = ""
    diverges_at: int = -1
    nan_row: int = -1
    breaks_at: int = -1
    width: int = 8
    dropout: float = 0.3
    steps: int = STEPS
    weight_decay: float = 0.1

    def __post_init__(self):
        torch.manual_seed(0)
        layers = [nn.Sequential(nn.Linear(self.width, self.width), nn.Dropout(self.dropout)) for _ in range(2)]
        first, last = nn.Linear(4, self.width), nn.Linear(self.width, 1)
        self.module = nn.ModuleDict({"first": first, "layers": nn.ModuleList(layers), "last": last})
        self.module.register_buffer("average", torch.zeros(1, self.width))
        self.data = torch.randn(ROWS, 4)
        if self.nan_row >= 0:
            self.data[self.nan_row, 2] = float("nan")

    def stepped(self, step):
        weight = self.module["last"].weight.detach()
        whole = weight.full_tensor() if hasattr(weight, "full_tensor") else weight
        self.module.average.lerp_(whole, 0.1)

    def parameters(self, step):
        return self.module["last"].parameters() if step < STEPS // 3 else self.module.parameters()

    def lr(self, step):
        return 1e-2 * (1 - step / STEPS)

    def size(self, step):
        return BATCH

    def batch(self, step, rank, world):
        if step == self.breaks_at:
            raise RuntimeError("broken")
        rows = rows_of_step(ROWS, BATCH, 0, step, rank, world)
        return {"x": self.data[rows], "rows": rows}

    def loss(self, batch, step):
        self._note(step, batch["rows"].tolist())
        x = self.module["first"](batch["x"])
        for layer in self.module["layers"]:
            x = x + layer(x)
        error = (self.module["last"](x) - batch["x"].sum(1, keepdim=True)).square().mean()
        return error * (float("nan") if step == self.diverges_at else 1), {"error": error.detach()}

    def validate(self):
        x = self.module["first"](self.data[:8])
        return {"loss": (self.module["last"](x) - self.data[:8].sum(1, keepdim=True)).square().mean()}

    def pictures(self):
        return torch.full((3, 4, 4), 0.5)

    def export(self, path):
        torch.save(self.module.state_dict(), path / "weights.pt")

    def _note(self, step, rows):
        for at, pid in self.kills:
            ghost = Path(self.notes) / str(at)
            if at == step and not ghost.exists():
                ghost.touch()
                for victim in [pid] * (pid > 0) + [os.getpid()]:  # the driver first
                    os.kill(victim, signal.SIGKILL)
        if self.notes:
            with (Path(self.notes) / "rows.jsonl").open("a") as file:
                file.write(json.dumps([step, rows]) + "\n")


def seen(root):
    """step -> the batches' rows, sorted; a step that was done again must have had the same."""
    found = {}
    for line in (root / "notes" / "rows.jsonl").read_text().splitlines():
        step, rows = json.loads(line)
        found.setdefault(step, set()).add(tuple(rows))
    return {step: sorted(rows) for step, rows in sorted(found.items())}


def without_dropout():
    return Toy(dropout=0.0)


def autoencoder():
    from tests.models.test_training_autoencoder import training

    return training()


def autoregressive():
    from tests.models.test_training_autoregressive import CONFIG, AutoregressiveTraining, film

    return AutoregressiveTraining(CONFIG, [film()], held_out=[film(seed=1)])


def job(root, config, kills="[]", make=None):
    from storage.root import Storage
    from tasks.training.engine.job import FitConfig, Job

    notes = Path(root) / "notes"
    notes.mkdir(parents=True, exist_ok=True)
    kills = json.loads(kills)
    for at in [at for at, who in kills if who == "upload"]:
        die_in_upload(at, notes / "upload")
    pids = tuple((at, os.getpid() if who == "driver" else 0) for at, who in kills if who != "upload")
    make = make or partial(Toy, pids, str(notes))
    return Job(Storage(str(root)), "toy", "0", make, FitConfig.model_validate_json(config))


def die_in_upload(step, ghost):
    from storage.root import Storage

    upload = Storage.upload

    def half(storage, source, rel):
        if f"/{step:06d}/" in f"{rel}/" and not source.is_dir() and not ghost.exists():
            ghost.touch()
            storage.write_bytes(rel, source.read_bytes()[:1000])
            os.kill(os.getpid(), signal.SIGKILL)
        upload(storage, source, rel)

    Storage.upload = half


def work(root, config, kills, make, rank, world):
    from tasks.training.engine.training_loop import train

    torch.set_num_threads(1)
    if world > 1:
        torch.distributed.init_process_group("gloo", f"file://{root}/meeting", rank=rank, world_size=world)
    train(job(root, config, kills, make), rank, world)


def main(root, config, kills):
    from tasks.cluster import ClusterConfig
    from tasks.progress import silent
    from tasks.training.engine.fit import fit

    toy = job(root, config, kills)
    print(fit(toy.storage, "toy", "0", toy.make, toy.config, ClusterConfig(), silent))


if __name__ == "__main__":
    main(*sys.argv[1:])
