"""Does the anchor of section 3.5 keep quality when a clip is extended?

    python benchmarks/anchor.py [FOLDER] [--extensions 4] [--keyframes 10] [--plot anchor.png] [--sheet sheet.png]
                                [--width 1024 --height 576 --frames 25 --rate 8 --steps 25 --guidance 3]
                                [--precision fp16] [--variant fp16] [--minutes 30]

FOLDER is Stable Video Diffusion in diffusers' layout, or its hub id. Without it, a small one is trained for some
minutes (small_svd.py) and kept in out-small-svd, and its own sizes are the defaults.

Clips of drawn keyframes go on from their last frame, with the CLIP feature of the first keyframe (the anchor) and with
that of the last frame. For each part of a clip: the cosine of its frames' EfficientNet features with the keyframe's,
and their sharpness (mean absolute Laplacian) over the keyframe's; the first falls where errors add up, the second
leaves 1. The gain of the anchor after the last extension has a 95 % interval from resampled clips. The sheet shows the
keyframe and the last frame of each part: above with the anchor, below without. With random weights nothing of this
means anything.
"""

import argparse
import json
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
from einops import rearrange
from numpy.typing import NDArray
from small_svd import SETTINGS, pictures, train

from models.animator import Clip, SvdConfig, build
from models.vision import EfficientNetLite0Config
from models.vision.efficientnet_lite0 import EfficientNetLite0

Image = NDArray[np.uint8]
SMALL = Path("out-small-svd")
SECOND = 20  # of the films, whose keyframes are animated


def main() -> None:
    """Prints both figures for each part with and without the anchor, and the last part's as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?")
    parser.add_argument("--extensions", type=int, default=4)
    parser.add_argument("--keyframes", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--plot", type=Path)
    parser.add_argument("--sheet", type=Path)
    for name, value in (("width", 1024), ("height", 576), ("frames", 25), ("rate", 8), ("steps", 25)):
        parser.add_argument(f"--{name}", type=int, default=value)
    parser.add_argument("--guidance", type=float, default=3.0)
    parser.add_argument("--precision", default="fp16")
    parser.add_argument("--variant", default="fp16")
    args = parser.parse_args()
    if args.folder is None:
        parser.set_defaults(folder=str(SMALL), precision="fp32", variant="", **SETTINGS)
        args = parser.parse_args()
        if not SMALL.exists():
            train(SMALL, 60 * args.minutes)
    names = ("width", "height", "frames", "rate", "steps", "guidance", "precision", "variant")
    config = SvdConfig(source=args.folder, **{name: getattr(args, name) for name in names})
    size = args.width, args.height
    keyframes = [pictures(film, [SECOND], size)[0] for film in range(1, args.keyframes + 1)]
    parts = args.extensions + 1
    found = {
        name: measured(config.model_copy(update={"anchored": anchored}), keyframes, parts)
        for name, anchored in (("anchor", True), ("last frame", False))
    }
    curves = {name: values_KP2.mean(0) for name, (values_KP2, _) in found.items()}
    for name, curve_P2 in curves.items():
        for part, (likeness, sharp) in enumerate(curve_P2):
            print(f"{name:10s} part {part}: likeness to the keyframe {likeness:.3f}, sharpness {sharp:.3f}")
    if args.plot:
        plot(args.plot, curves)
    if args.sheet:
        rows = zip(*(ends for _, ends in found.values()), strict=True)
        tiles = [np.hstack(row) for pair in rows for row in pair]
        cv2.imwrite(str(args.sheet), np.vstack(tiles)[:, :, ::-1])
    gains_K = found["anchor"][0][:, -1, 0] - found["last frame"][0][:, -1, 0]
    resampled = np.random.default_rng(0).choice(gains_K, (10_000, len(gains_K))).mean(1)
    last = {name: curve_P2[-1].round(4).tolist() for name, curve_P2 in curves.items()}
    result = {"name": "likeness_after_extensions", "value": last["anchor"][0], "unit": "cosine"}
    result |= {"baseline": last["last frame"][0], "ratio": round(last["anchor"][0] / last["last frame"][0], 3)}
    result |= {"gain_95": np.quantile(resampled, [0.025, 0.975]).round(4).tolist()}
    result |= {"sharpness": {name: both[1] for name, both in last.items()}}
    print(json.dumps(result | {"extensions": args.extensions, "n": len(keyframes)}))


def measured(config: SvdConfig, keyframes: list[Image], parts: int) -> tuple[NDArray[np.float64], list[list[Image]]]:
    """(likeness, sharpness) of each part [keyframes, parts, 2]; each keyframe and the last frames of its parts."""
    animator, encoder = build(config), EfficientNetLite0(EfficientNetLite0Config())
    count = config.frames + (parts - 1) * (config.frames - 1)
    rows, ends = [], []
    for seed, keyframe in enumerate(keyframes):
        frames = list(animator.animate(Clip(keyframe, count / config.rate, config.rate, seed)))
        starts = [0, *range(config.frames, count, config.frames - 1)]
        made = [frames[start:end] for start, end in pairwise([*starts, count])]
        rows.append([figures(encoder, keyframe, part) for part in made])
        ends.append([keyframe, *(part[-1] for part in made)])
    return np.array(rows), ends


def figures(encoder: EfficientNetLite0, keyframe: Image, frames: list[Image]) -> tuple[float, float]:
    """Cosine of features and ratio of sharpness, between the frames and their keyframe."""
    with torch.inference_mode():
        features = [encoder.embed(rearrange(torch.tensor(one) / 255, "h w c -> 1 c h w")) for one in frames]
        own = encoder.embed(rearrange(torch.tensor(keyframe) / 255, "h w c -> 1 c h w"))
    likeness = float(np.mean([(feature @ own.T).item() for feature in features]))
    return likeness, float(np.mean([sharpness(one) for one in frames])) / sharpness(keyframe)


def sharpness(image: Image) -> float:
    """Mean absolute Laplacian of the grey picture."""
    return float(np.abs(cv2.Laplacian(cv2.cvtColor(image, cv2.COLOR_RGB2GRAY), cv2.CV_32F)).mean())


def plot(path: Path, curves: dict[str, NDArray[np.float64]]) -> None:
    """One panel a figure, one curve a way; both panels show the value of the keyframe itself, which is 1."""
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(1, 2, figsize=(9, 3.5), layout="constrained")
    said = (
        "likeness to the keyframe\n(lower: the picture drifts)",
        "sharpness over the keyframe's\n(lower: blur, higher: noise)",
    )
    names = {"anchor": "CLIP feature of the first keyframe (anchor)", "last frame": "CLIP feature of the last frame"}
    for column, panel in enumerate(panels):
        panel.axhline(1, color="grey", linestyle="--", linewidth=1, label="the keyframe itself")
        for name, curve_P2 in curves.items():
            panel.plot(curve_P2[:, column], marker="o", label=names[name])
        panel.set(xlabel="extensions of the clip", ylabel=said[column], xticks=range(len(curve_P2)))
        panel.set_ylim(bottom=0)
    panels[0].legend()
    figure.savefig(path, dpi=120)


if __name__ == "__main__":
    main()
