"""What lies between two keyframes a second apart: today's cross-fade, OpenCV's flow, or the animator `interpolate`?

    python benchmarks/animators.py [--films FOLDER] [--pairs 20] [--sheet sheet.png] [--seed 0]

The pairs are of drawn films, half of them of the videos in FOLDER when it is given, never across a cut. The middle
frame that each way makes is compared with the film's own by an LPIPS-like distance: features of EfficientNet-Lite0 at
five depths, of unit length at each place, mean squared difference, summed. CPU seconds are those of a whole clip of 24
frames of 896x512 on one thread. The sheet shows the ways in an order drawn anew for each row; the last line but one is
the key to it.
"""

import argparse
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean
from typing import NamedTuple

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor

from drawn.film import draw_frames
from models.animator import CameraConfig, Clip, InterpolateConfig, build
from models.vision import EfficientNetLite0Config
from models.vision.efficientnet_lite0 import EfficientNetLite0

Image = NDArray[np.uint8]
WIDTH, HEIGHT = 896, 512
CUT = 0.12  # mean difference of frames a twelfth of a second apart from which on the film has been cut


class Pair(NamedTuple):
    """Two keyframes, and what the film shows half-way."""

    name: str
    first: Image
    middle: Image
    last: Image


def main() -> None:
    """Prints distance and time of each way, and the result as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=Path)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--sheet", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    random = np.random.default_rng(args.seed)
    real = real_pairs(args.films, args.pairs // 2, random) if args.films else []
    pairs = [*drawn_pairs(args.pairs - len(real), random), *real]
    still = build(InterpolateConfig(zoom=0, parallax=0))
    ways: Mapping[str, Callable[[Pair], Image]] = {
        "fade": lambda pair: cv2.addWeighted(pair.first, 0.5, pair.last, 0.5, 0).astype(np.uint8),
        "dis": lambda pair: next(by_dis(pair.first, pair.last, [0.5])),
        "interpolate": lambda pair: list(still.animate(Clip(pair.first, 1, 2, 0, next=pair.last)))[1],
    }
    distance = Distance()
    made = [{way: make(pair) for way, make in ways.items()} for pair in pairs]
    distances = [
        {way: distance(image, pair.middle) for way, image in row.items()} for pair, row in zip(pairs, made, strict=True)
    ]
    print(f"{'distance to the true middle':34s}" + "".join(f"{way:>14s}" for way in ways))
    for pair, row in zip(pairs, distances, strict=True):
        print(f"{pair.name:34s}" + "".join(f"{row[way]:14.4f}" for way in ways))
    means = {way: mean(row[way] for row in distances) for way in ways}
    seconds = clip_seconds(pairs[0])
    print(f"{'mean':34s}" + "".join(f"{means[way]:14.4f}" for way in ways))
    print(f"{'CPU seconds, 24 frames of 896x512':34s}" + "".join(f"{seconds[way]:14.2f}" for way in ways))
    for other in ("fade", "dis"):
        nearer = [row[other] - row["interpolate"] for row in distances]
        print(
            f"nearer than {other} in {sum(d > 0 for d in nearer)}, as near in {nearer.count(0)} of {len(pairs)} pairs"
        )
    if args.sheet:
        print(f"{args.sheet}, from the left: {json.dumps(sheet(args.sheet, pairs, made, random))}")
    result = {"name": "distance_of_the_middle_frame", "value": means["interpolate"], "unit": "LPIPS-like"}
    result |= {"baseline": means["fade"], "dis": means["dis"], "cpu_seconds": seconds, "n": len(pairs)}
    print(json.dumps(result))


def drawn_pairs(count: int, random: np.random.Generator) -> list[Pair]:
    """Of films that are drawn for evaluation."""
    pairs: list[Pair] = []
    while len(pairs) < count:
        film, second = int(random.integers(1, 100)), int(random.integers(2, 90))
        times = [second + i / 12 for i in range(13)]
        small = [np.asarray(frame) for frame in draw_frames(film, times[::3], size=(168, 96))]
        if not cut(small):
            frames = [np.asarray(frame) for frame in draw_frames(film, times[::6], size=(WIDTH, HEIGHT))]
            pairs.append(Pair(f"drawn film {film}, second {second}", frames[0], frames[1], frames[2]))
    return pairs


def real_pairs(folder: Path, count: int, random: np.random.Generator) -> list[Pair]:
    """Spread over the videos of a folder, one of each in turn."""
    films = sorted(path for path in folder.iterdir() if path.suffix in {".mp4", ".webm", ".mkv", ".mpg", ".mov"})
    found = [found for path in films if (found := seconds_without_cut(path))]
    for one in found:
        random.shuffle(one)  # type: ignore[arg-type]
    turns = [one[turn] for turn in range(max(map(len, found), default=0)) for one in found if turn < len(one)]
    if len(turns) < count:
        raise SystemExit(f"{str(folder)!r} has {len(turns)} seconds without a cut, {count} are wanted")
    return turns[:count]


def seconds_without_cut(path: Path) -> list[Pair]:
    """Of a video, every third second."""
    video = cv2.VideoCapture(str(path))
    rate, pairs, kept = video.get(cv2.CAP_PROP_FPS), list[Pair](), list[Image]()
    number = 0
    while video.grab():
        place = number * 12 / rate
        if round(place) % 36 <= 12 and abs(place - round(place)) < 6 / rate:
            kept.append(fitted(video.retrieve()[1]))
            if round(place) % 36 == 12 and len(kept) == 13:
                if not cut(kept):
                    pairs.append(Pair(f"{path.stem[:22]}, second {number / rate - 1:.0f}", kept[0], kept[6], kept[12]))
                kept = []
        elif kept and round(place) % 36 > 12:
            kept = []
        number += 1
    return pairs


def fitted(frame: Image) -> Image:
    """RGB at the movie's size, of the largest centred part."""
    height, width = frame.shape[:2]
    scale = max(WIDTH / width, HEIGHT / height)
    size = max(WIDTH, round(width * scale)), max(HEIGHT, round(height * scale))
    large = cv2.resize(frame, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC)
    x, y = (size[0] - WIDTH) // 2, (size[1] - HEIGHT) // 2
    return np.ascontiguousarray(large[y : y + HEIGHT, x : x + WIDTH, ::-1]).astype(np.uint8)


def cut(frames: Sequence[Image]) -> bool:
    """Whether two neighbours differ too much for one shot, or the picture is nearly black."""
    small = [cv2.resize(frame, (56, 32), interpolation=cv2.INTER_AREA).astype(float) / 255 for frame in frames]
    steps = [float(np.abs(after - before).mean()) for before, after in pairwise(small)]
    return max(steps) > CUT or float(small[0].mean()) < 0.05


def by_dis(first: Image, last: Image, moments: Sequence[float]) -> Iterator[Image]:
    """Flow of OpenCV's DIS both ways; each picture is warped along its own."""
    dis = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    greys = [cv2.cvtColor(cv2.resize(one, (WIDTH // 2, HEIGHT // 2)), cv2.COLOR_RGB2GRAY) for one in (first, last)]
    flows = [2 * cv2.resize(dis.calc(a, b, None), (WIDTH, HEIGHT)) for a, b in (greys, greys[::-1])]
    y_HW, x_HW = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
    for t in moments:
        warped = [
            cv2.remap(one, x_HW - t * flow[:, :, 0], y_HW - t * flow[:, :, 1], cv2.INTER_LINEAR, borderMode=1)
            for one, flow, t in ((first, flows[0], t), (last, flows[1], 1 - t))
        ]
        yield cv2.addWeighted(warped[0], 1 - t, warped[1], t, 0).astype(np.uint8)


def clip_seconds(pair: Pair) -> dict[str, float]:
    """CPU seconds of a clip, each way as it would be used."""
    camera, interpolate = build(CameraConfig()), build(InterpolateConfig())
    clips: Mapping[str, Callable[[], Iterator[Image]]] = {
        "fade": lambda: camera.animate(Clip(pair.first, 1, 24, 0, next=pair.last)),
        "dis": lambda: by_dis(pair.first, pair.last, [i / 24 for i in range(24)]),
        "interpolate": lambda: interpolate.animate(Clip(pair.first, 1, 24, 0, next=pair.last)),
    }
    taken = {}
    for way, clip in clips.items():
        list(clip())
        start = time.process_time()
        list(clip())
        taken[way] = round(time.process_time() - start, 3)
    return taken


class Distance:
    """LPIPS-like, with an encoder that ships inside a package, and without its learnt weights."""

    def __init__(self) -> None:
        self.network = EfficientNetLite0(EfficientNetLite0Config()).network

    @torch.inference_mode()
    def __call__(self, one: Image, other: Image) -> float:
        pair_23HW = torch.from_numpy(np.stack([one, other]))
        x_2CHW = rearrange(pair_23HW, "b h w c -> b c h w").float() / 255
        x_2CHW = self.network.bn1(self.network.conv_stem(F.interpolate(x_2CHW, (256, 448), mode="area") * 2 - 1))
        total = 0.0
        for stage in self.network.blocks[:5]:
            x_2CHW = stage(x_2CHW)
            unit_2CHW: Tensor = F.normalize(x_2CHW, dim=1)
            total += float((unit_2CHW[0] - unit_2CHW[1]).square().sum(0).mean())
        return total


def sheet(
    path: Path, pairs: Sequence[Pair], made: Sequence[Mapping[str, Image]], random: np.random.Generator
) -> list[list[str]]:
    """Writes rows of first keyframe, middle frames in a drawn order, last keyframe; returns the order of each row."""
    rows, key = [], []
    for pair, row in zip(pairs, made, strict=True):
        order = [str(way) for way in random.permutation(list(row))]
        tiles = [pair.first, *(row[way] for way in order), pair.last]
        rows.append(np.hstack([cv2.resize(tile, (384, 219), interpolation=cv2.INTER_AREA) for tile in tiles]))
        key.append(order)
    cv2.imwrite(str(path), np.vstack(rows)[:, :, ::-1])
    return key


if __name__ == "__main__":
    main()
