"""How fast each kind of work was seen to be. A rate that nobody measured is not here, and a plan says so.

The GPU's rates are of plain code of the same shapes with random weights; none of this project's own loops ran on a GPU
yet. Where a loop is faster or slower than that, so is the plan. Operations are counted as `Ledger` does.
"""

from collections.abc import Mapping
from dataclasses import dataclass

_H100 = "H100 80 GB, 22 November 2026"


@dataclass(frozen=True)
class Rate:
    """`value` of `unit` a second, and where it comes from."""

    value: float
    unit: str
    source: str


MEASURED: Mapping[str, Rate] = {
    "train sdxl": Rate(
        177e12,
        "operations",
        f"21.1 images/s of 8.4 TFLOP: diffusers' U-Net at 896x512, batch 8, bf16, without optimizer, {_H100}",
    ),
    "train llama": Rate(
        530e12,
        "operations",
        f"8,278 tokens/s of 64 GFLOP: LLaMA-2-7B's shape, 5,000 tokens, bf16, activation checkpointing, without "
        f"optimizer, {_H100}",
    ),
    "draw sdxl": Rate(
        359e12,
        "operations",
        f"7.78 ms an image and step of 2.79 TFLOP: diffusers' U-Net at 896x512, batch 16, bf16, eager, {_H100}",
    ),
    "generate llama": Rate(
        2.95, "keyframes", f"LLaMA-2-7B's shape, one movie, transformers' eager loop, 3 forwards a keyframe, {_H100}"
    ),
    "generate smollm2": Rate(
        4.4, "keyframes", "one CPU thread, 27 November 2026: benchmarks/generation.py, docs/figures.md"
    ),
    "clip": Rate(2262, "images", f"CLIP ViT-L/14, batch 256, {_H100}"),
    "grounding_dino tiny": Rate(24.5, "images", f"GroundingDINO-tiny, 800x1333, batch 4, bf16, {_H100}"),
    "decode": Rate(7, "keyframes", "a core, H.264 of 1080p: benchmarks/decode_cost.py, docs/scale.md"),
    "interpolate": Rate(2.56, "keyframes", "a core, 24 frames of 896x512 in 0.39 s: docs/figures.md"),
}
"""Kind of work -> what one GPU, or where the source says so one core, does of it in a second."""
