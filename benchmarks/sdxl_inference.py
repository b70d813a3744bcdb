"""How long does a step of SDXL's decoder take for each picture that is drawn?

    python benchmarks/sdxl_inference.py [--batch 1 16] [--steps 10] [--tiny]

Full-size SDXL with random weights at 896x512, 22 context vectors, through `models.autoencoder.diffusion.sample`. In one
run: what users do (bf16, eager), a plain CUDA graph, compiled in a graph, and the same with the transformers' linear
layers in eight bits, whose latents are compared with bf16's at the same seeds. A picture's step counts once, whatever
the batch. torch keeps what it compiled on the disk (TORCHINDUCTOR_CACHE_DIR): the time until the first pictures is
told, and is short the second time. Without a GPU all of it is tiny, eager, and no measure of anything.
"""

import argparse
import json
import time
from functools import partial

import sdxl_size
import torch
from torch import Tensor

from models.autoencoder.decoder import DiffusionDecoder
from models.autoencoder.diffusion import sample
from models.autoencoder.fast import FastConfig, FastDecoder

VARIANTS = {
    "bf16 eager": FastConfig(precision="bf16"),
    "bf16 in a CUDA graph": FastConfig(precision="bf16", graph=True),
    "bf16 compiled in a graph": FastConfig(precision="bf16", compile=True, graph=True),
    "fp8 compiled in a graph": FastConfig(precision="fp8", compile=True, graph=True),
}
ON_A_CPU = {"bf16 eager": FastConfig(precision="bf16"), "fp8 eager": FastConfig(precision="fp8", fewest=32)}
LEAST_DB = 35.0  # that latents in fp8 must be near those in bf16


def main() -> None:
    """Prints a line a variant and batch, and the best milliseconds an image-step at the last batch as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, nargs="+", default=[1, 16])
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    device = sdxl_size.place()
    gpu = device.type == "cuda"
    tiny = args.tiny or not gpu
    config, grid = sdxl_size.config(tiny)
    tokens, width = config.compressor.tokens, config.compressor.token_width
    print(f"{'tiny' if tiny else 'full'} size, {args.steps} steps, {torch.cuda.get_device_name() if gpu else 'CPU'}")
    torch.manual_seed(0)
    with device:
        identity = config.decoder.model_copy(update={"identity": True})
        decoder = DiffusionDecoder(identity, tokens, width, grid).eval().requires_grad_(False)
    found: dict[tuple[str, int], float] = {}
    near: dict[tuple[str, int], float] = {}
    for batch in args.batch:
        whole: Tensor | None = None
        condition = decoder.condition(
            torch.randn(batch, tokens, width, device=device),
            torch.randn(batch, identity.sentences, identity.sentence_width, device=device),
            torch.randn(batch, identity.faces, identity.face_width, device=device),
        )
        for name, settings in (VARIANTS if gpu else ON_A_CPU).items():
            begun = time.perf_counter()
            fast = FastDecoder(decoder, settings)
            work = partial(sample, fast, config.diffusion, condition, range(batch), args.steps)
            drawn = work().cpu()
            ready = time.perf_counter() - begun
            sdxl_size.gibibytes()
            found[name, batch] = 1000 * sdxl_size.seconds(work, args.repeats) / (batch * args.steps)
            whole = drawn if whole is None else whole
            near[name, batch] = decibels(drawn, whole)
            print(
                f"batch {batch:2d}, {name:26s} {found[name, batch]:8.3f} ms an image-step  "
                f"{sdxl_size.gibibytes():5.1f} GiB  first pictures after {ready:.0f} s  "
                f"{near[name, batch]:.1f} dB from eager"
            )
            del fast, work
            sdxl_size.forget()
    last = args.batch[-1]
    counted = [value for (name, batch), value in found.items() if batch == last and near[name, batch] >= LEAST_DB]
    ours, baseline = min(counted), found["bf16 eager", last]
    result = {"name": "sdxl_inference", "value": ours, "unit": "ms an image-step", "baseline": baseline}
    print(json.dumps(result | {"ratio": ours / baseline, "n": args.repeats * args.steps * last}))


def decibels(found: Tensor, whole: Tensor) -> float:
    """Peak signal to noise of latents, their range as the peak; infinite for the same."""
    error = (found - whole).square().mean() / (whole.max() - whole.min()).square()
    return float(-10 * error.clamp(min=1e-20).log10())


if __name__ == "__main__":
    main()
