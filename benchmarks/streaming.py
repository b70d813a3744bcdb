"""Thousands of keyframes in one run: does the streaming mode keep its memory and its pace, and do tokens drift?

    python benchmarks/streaming.py [--keyframes 2000] [--window 32] [--steps 300]

A tiny model is trained on drawn films (benchmarks/world.py), then makes one long film twice: streaming, and in windows
that carry references and overlap (limitation 4 of the paper). Memory is the resident set after each hundred keyframes,
pace the time of each hundred. Drift is how far mean and deviation of the tokens of each hundred are from those of the
true film, in its deviations. Beside it: one cache that grows without end, which is what a user has without either.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

import torch
import world
from torch import Tensor

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.generate import GenerationConfig, Request, stream
from models.backbone import LlamaTinyBackbone
from models.training.autoregressive import AutoregressiveTraining, AutoregressiveTrainingConfig

EVERY = 100


def main() -> None:
    """Prints a line a hundred keyframes and mode, and the growth of memory as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keyframes", type=int, default=2000)
    parser.add_argument("--window", type=int, default=32)
    parser.add_argument("--steps", type=int, default=300)
    args = parser.parse_args()
    torch.set_num_threads(1)
    films = world.World()
    model = trained(films, args.steps, args.window)
    film = films.film(9_000, args.keyframes)  # nobody in it was seen before
    references_RLD = film.episode.tokens_TLD[:10]
    true_TLD = film.episode.tokens_TLD
    growth = {}
    for mode in ("streaming", "windowed"):
        config = GenerationConfig(mode=mode, window=args.window, keep=args.window // 2, temperature=1.0)
        request = Request(film.scripts, seed=1, references_RLD=references_RLD)
        growth[mode] = watched(model, request, config, true_TLD)
    unbounded = args.keyframes / (args.window + config.sink)
    print(f"a cache of all {args.keyframes} keyframes takes {unbounded:.1f} times that of the window and its sink")
    result = {"name": "streaming_memory", "value": growth["streaming"], "unit": "times that when the window was full"}
    print(json.dumps(result | {"baseline": unbounded, "ratio": growth["streaming"] / unbounded, "n": args.keyframes}))


def watched(model: AutoregressiveModel, request: Request, config: GenerationConfig, true_TLD: Tensor) -> float:
    """Prints time, memory and drift of each hundred keyframes; returns the last hundred's memory over the first's."""
    memory, pace, made = [], [], []
    start = time.perf_counter()
    for _, tokens_LD in stream(model, [request], config):
        made.append(tokens_LD)
        if len(made) % EVERY:
            continue
        now = time.perf_counter()
        memory.append(resident())
        pace.append((now - start) / EVERY)
        hundred_TLD = torch.stack(made[-EVERY:])
        mean, deviation = drift(hundred_TLD, true_TLD)
        print(
            f"{config.mode} {len(made):5d}: {pace[-1] * 1e3:6.2f} ms a keyframe, {memory[-1] / 2**20:7.1f} MiB, "
            f"mean off by {mean:.3f}, deviation times {deviation:.3f}"
        )
        start = time.perf_counter()
    first, last = statistics.median(pace[1:4]), statistics.median(pace[-3:])
    print(f"{config.mode}: memory times {memory[-1] / memory[0]:.3f}, time a keyframe times {last / first:.3f}")
    return memory[-1] / memory[0]


def drift(made_TLD: Tensor, true_TLD: Tensor) -> tuple[float, float]:
    """(how far the means are apart in true deviations, how much wider they spread), averaged over channels."""
    deviation_LD = true_TLD.std(0)
    apart = (made_TLD.mean(0) - true_TLD.mean(0)).abs() / deviation_LD
    return float(apart.mean()), float((made_TLD.std(0) / deviation_LD).mean())


def resident() -> int:
    """Bytes of this process in memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def trained(films: world.World, steps: int, window: int) -> AutoregressiveModel:
    """A small model that has seen 24 films."""
    config = AutoregressiveTrainingConfig(
        model=AutoregressiveConfig(
            backbone=LlamaTinyBackbone(hidden=64, layers=2),
            width=world.D,
            sentence_width=world.C,
            face_width=world.F,
            recall=False,
            dropout=0.1,
        ),
        steps=steps,
        batch=2,
        window=window,
        learning_rate=2e-3,
    )
    training = AutoregressiveTraining(config, [films.film(number, 64).episode for number in range(24)])
    optimizer = torch.optim.AdamW(list(training.parameters(0)), weight_decay=training.weight_decay)
    for step in range(steps):
        optimizer.zero_grad()
        loss, _ = training.loss(training.batch(step), step)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.param_groups[0]["lr"] = training.lr(step)
        optimizer.step()
    return training.module.eval()


if __name__ == "__main__":
    main()
