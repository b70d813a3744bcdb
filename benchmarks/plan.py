"""Is the memory that a plan tells what a training step takes?

    python benchmarks/plan.py

Tiny configurations of the three trainings take two steps of the training loop on the CPU, while torch's profiler
records every allocation. The peak of the second step is compared with what `moviedreamer plan` predicts for the same
configuration without allocating anything. The figure is the ratio of the larger to the smaller value for the training
with the worst prediction; the baseline is the same ratio for an estimate without activations.
"""

import json
import sys
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile, record_function

from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from storage.root import Storage
from tasks.plan import steps
from tasks.plan.steps import Step
from tasks.training.engine import memory
from tasks.training.engine.dataloader import Share
from tasks.training.engine.job import FitConfig, Job
from tasks.training.engine.training_loop import Run

_SECOND = "second step"
CONFIGURATIONS = {
    "smoke": (),
    "smoke, wider and with more pictures": (
        "autoencoder.batch=16",
        "decoder.batch=16",
        "autoencoder.model.decoder.unet.channels=[64, 128]",
        "autoregressive.model.backbone.hidden=128",
        "autoregressive.model.backbone.layers=4",
    ),
    "smoke, in bfloat16 and recomputed": ("fit.precision=bf16", "fit.recompute=true", "autoencoder.batch=16"),
}


def main() -> None:
    """Prints a line a training and the worst ratio as JSON."""
    torch.set_num_threads(1)
    worst, bare = 1.0, 1.0
    for name, overrides in CONFIGURATIONS.items():
        settings = resolve("smoke", overrides)
        for training, (planned, made, fit) in trainings(settings).items():
            told = planned()
            trainable, taken = taken_by(made, fit)
            kept = memory.estimate(
                trainable.module, trainable.parameters(trainable.steps - 1), fit.optimizer, fit.sharding, 1
            ).total
            worst, bare = max(worst, apart(told.bytes, taken)), max(bare, apart(kept, taken))
            print(f"{name}, {training}: told {told.bytes / 2**20:.2f} MiB, taken {taken / 2**20:.2f} MiB, ", end="")
            print(f"{100 * (told.bytes / taken - 1):+.1f} %; without activations {kept / 2**20:.2f} MiB", flush=True)
    result = {"name": "memory_told_by_plan", "value": round(worst, 3), "unit": "larger over smaller, worst of all"}
    print(json.dumps(result | {"baseline": round(bare, 3), "ratio": round(worst / bare, 3), "n": 9}))


def trainings(settings: Recipe) -> dict[str, tuple[Callable[[], Step], Callable[[], Any], FitConfig]]:
    """Training -> what a plan tells of its step, what builds it for real, and how it is run."""
    first, third, last = settings.train_autoencoder(), settings.train_decoder(), settings.train_autoregressive()
    model = settings.autoencoder.model
    return {
        "autoencoder": (
            lambda: steps.stage_two(first),
            lambda: steps.autoencoder(first.training, first.frozen, built=nullcontext),
            first.fit,
        ),
        "decoder": (
            lambda: steps.stage_three(third, model),
            lambda: steps.decoder(third, model, built=nullcontext),
            third.fit,
        ),
        "autoregressive": (
            lambda: steps.tokens(last),
            lambda: steps.autoregressive(last, built=nullcontext),
            last.fit,
        ),
    }


def taken_by(make: Callable[[], Any], fit: FitConfig) -> tuple[Any, int]:
    """The training, and bytes of torch's allocator at the peak of the second step of the training loop."""
    with (
        tempfile.TemporaryDirectory() as folder,
        profile(activities=[ProfilerActivity.CPU], profile_memory=True) as seen,
    ):
        trainable = make()
        run = Run(Job(Storage(folder), "plan", "plan", make, fit), trainable, rank=1, world=1)
        run.done = trainable.steps - 1
        shares = [Share(0, trainable.batch(run.done), 1)]
        run.take(shares)
        with record_function(_SECOND):
            run.take(shares)
    events = sorted(seen.profiler.kineto_results.events(), key=lambda event: event.start_ns())
    live, peak, begun, ended = 0, 0, 0, sys.maxsize
    for event in events:
        if event.name() == _SECOND:
            begun, ended = event.start_ns(), event.start_ns() + event.duration_ns()
        if event.name() == "[memory]" and event.start_ns() <= ended:
            live += event.nbytes()
            peak = max(peak, live) if begun else peak
    return trainable, peak


def apart(told: float, taken: float) -> float:
    """The larger over the smaller."""
    return max(told, taken) / min(told, taken)


if __name__ == "__main__":
    main()
