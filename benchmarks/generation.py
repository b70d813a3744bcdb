"""How fast does the autoregressive model dream?

    python benchmarks/generation.py [--keyframes 128] [--batch 1] [--repeats 3]   SmolLM2's shape on a CPU
    python benchmarks/generation.py --gpu [--keyframes 128] [--batch 16]          LLaMA-2-7B's shape in bfloat16

Random weights, 37 slots of script and 2 tokens a keyframe. Beside it what its users run, in the same process:
transformers' LlamaModel, eager, with its DynamicCache and three forwards a keyframe (script, token, token), without any
head or drawing. On a CPU, whose other work comes and goes, the two make a keyframe each in turn, and the seconds are
those that the process was at work, on one thread.
"""

import argparse
import json
import time
from collections.abc import Iterator, Sequence
from copy import deepcopy
from functools import partial
from statistics import median
from typing import Any

import llamas
import torch

from models.autoregressive.autoregressive import AutoregressiveModel
from models.autoregressive.turns import GenerationConfig, Turns


def main() -> None:
    """Prints keyframes a second of both at each repeat, and the medians as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keyframes", type=int, default=128)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--gpu", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    shape, device = ("llama2-7b", "cuda") if args.gpu else ("smollm2", "cpu")
    model = llamas.model(shape, device).eval()
    backbone = model.backbone if args.gpu else deepcopy(model.backbone)  # on a CPU ours lays its weights out anew
    made, speeds = args.batch * args.keyframes, []
    makes = (
        partial(ours, model, args.batch, args.keyframes, args.gpu),
        partial(by_transformers, backbone, args.batch, args.keyframes),
    )
    print(f"{shape}, batch {args.batch}, keyframes/s of ours and of transformers' eager loop:")
    for _ in range(args.repeats):
        with torch.inference_mode():
            if args.gpu:  # which has room for one movie at a time
                taken = [in_turn([make()], args.keyframes, args.gpu)[0] for make in makes]
            else:
                taken = in_turn([make() for make in makes], args.keyframes, args.gpu)
        mine, theirs = (made / seconds for seconds in taken)
        speeds.append((mine, theirs))
        print(f"{mine:.2f} {theirs:.2f}, {mine / theirs:.2f} times as fast", flush=True)
    if args.gpu:
        print(f"{torch.cuda.get_device_name()}, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most")
    value, baseline = (median(column) for column in zip(*speeds, strict=True))
    result = {"name": f"generation_{shape}_batch_{args.batch}", "value": value, "unit": "keyframes/s"}
    ratio = median(mine / theirs for mine, theirs in speeds)
    print(json.dumps(result | {"baseline": baseline, "ratio": ratio, "n": args.repeats * made}))


def ours(model: AutoregressiveModel, batch: int, keyframes: int, gpu: bool) -> Iterator[None]:
    """Stops when it is ready, which on a GPU is when all graphs are recorded, and then after each keyframe."""
    scripts = llamas.scripts(keyframes)
    config = GenerationConfig(window=keyframes, keep=1, temperature=1.0)
    turns = Turns(model, batch, 0, scripts, config, graphs=gpu)
    embeds_TPH, counts_T = turns.embed(scripts)
    uniform_BL, normal_BLD = torch.rand(batch, 2), torch.randn(batch, 2, llamas.WIDTH)
    nothing_TLD = torch.zeros(0, 2, llamas.WIDTH)

    def movie() -> Iterator[None]:
        for row in range(batch):
            turns.start(row, [], nothing_TLD, None)
        for embeds_PH, count in zip(embeds_TPH, counts_T, strict=True):
            turns.turn(embeds_PH.expand(batch, -1, -1), count.expand(batch), uniform_BL, normal_BLD)
            yield

    if gpu:
        list(movie())
    yield
    yield from movie()


def by_transformers(backbone: Any, batch: int, keyframes: int) -> Iterator[None]:
    """The loop that a user writes, with the same stops."""
    from transformers import DynamicCache

    weight = backbone.norm.weight
    script_BQH = torch.randn(batch, llamas.SLOTS, backbone.config.hidden_size).to(weight)
    token_B1H = script_BQH[:, :1]
    cache = DynamicCache(config=backbone.config)
    yield
    for _ in range(keyframes):
        for embeds_BQH in (script_BQH, token_B1H, token_B1H):
            backbone(inputs_embeds=embeds_BQH, past_key_values=cache, use_cache=True)
        yield


def in_turn(movies: Sequence[Iterator[None]], keyframes: int, gpu: bool) -> list[float]:
    """Seconds that each takes from where it is ready, a keyframe of each after the other."""
    for movie in movies:
        next(movie)
    taken = [0.0] * len(movies)
    for _ in range(keyframes):
        for place, movie in enumerate(movies):
            start = _now(gpu)
            next(movie)
            taken[place] += _now(gpu) - start
    return taken


def _now(gpu: bool) -> float:
    if not gpu:
        return time.process_time()
    torch.cuda.synchronize()
    return time.perf_counter()


if __name__ == "__main__":
    main()
