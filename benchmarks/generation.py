"""How fast does the autoregressive model dream?

    python benchmarks/generation.py [--keyframes 128] [--batch 1]           SmolLM2's shape on a CPU
    python benchmarks/generation.py --gpu [--keyframes 128] [--batch 16]    LLaMA-2-7B's shape in bfloat16

Random weights, 37 slots of script and 2 tokens a keyframe. Beside it what its users run, in the same process:
transformers' LlamaModel, eager, with its DynamicCache and three forwards a keyframe (script, token, token), without any
head or drawing.
"""

import argparse
import json
import time
from collections.abc import Callable

import llamas
import torch

from models.autoregressive import AutoregressiveModel
from models.turns import Drawing, Turns


def main() -> None:
    """Prints keyframes a second of both, and their ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keyframes", type=int, default=128)
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--gpu", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    shape, device = ("llama2-7b", "cuda") if args.gpu else ("smollm2", "cpu")
    model = llamas.model(shape, device).eval()
    with torch.inference_mode():
        ours = dreamt(model, args.batch, args.keyframes, args.gpu)
        theirs = by_transformers(model, args.batch, args.keyframes, device)
    print(f"{shape}, batch {args.batch}: {ours:.2f} keyframes/s; transformers' eager loop: {theirs:.2f} keyframes/s")
    if args.gpu:
        print(f"{torch.cuda.get_device_name()}, {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most")
    result = {"name": f"generation_{shape}_batch_{args.batch}", "value": ours, "unit": "keyframes/s"}
    print(json.dumps(result | {"baseline": theirs, "ratio": ours / theirs, "n": args.keyframes * args.batch}))


def dreamt(model: AutoregressiveModel, batch: int, keyframes: int, gpu: bool) -> float:
    """Keyframes a second; on a GPU of the second movie, when all graphs are recorded."""
    scripts = llamas.scripts(keyframes)
    turns = Turns(model, batch, 0, 0, keyframes, scripts, Drawing(temperature=1.0), graphs=gpu)
    embeds_TPH, counts_T = turns.embed(scripts)
    uniform_BL, normal_BLD = torch.rand(batch, 2), torch.randn(batch, 2, llamas.WIDTH)
    nothing_TLD = torch.zeros(0, 2, llamas.WIDTH)

    def movie() -> None:
        for row in range(batch):
            turns.start(row, [], nothing_TLD, None)
        for embeds_PH, count in zip(embeds_TPH, counts_T, strict=True):
            turns.turn(embeds_PH.expand(batch, -1, -1), count.expand(batch), uniform_BL, normal_BLD)

    if gpu:
        movie()
    return batch * keyframes / timed(movie, gpu)


def by_transformers(model: AutoregressiveModel, batch: int, keyframes: int, device: str) -> float:
    """The loop that a user writes."""
    from transformers import DynamicCache

    backbone = model.backbone
    script_BQH = torch.randn(batch, llamas.SLOTS, backbone.config.hidden_size).to(device, backbone.dtype)
    token_B1H = script_BQH[:, :1]

    def movie() -> None:
        cache = DynamicCache(config=backbone.config)
        for _ in range(keyframes):
            for embeds_BQH in (script_BQH, token_B1H, token_B1H):
                backbone(inputs_embeds=embeds_BQH, past_key_values=cache, use_cache=True)

    return batch * keyframes / timed(movie, device == "cuda")


def timed(work: Callable[[], None], gpu: bool) -> float:
    """Seconds that it takes."""
    if gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
