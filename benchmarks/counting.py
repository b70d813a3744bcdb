"""How many people does a picture of the drawn world show? A small network counts them.

    python benchmarks/counting.py [--train]

The oracle (oracle.py) looks for people where a picture departs from the film's own scenery, so it cannot judge a
picture with other palms or houses, which no script names. This network learnt to count from drawn pictures of other
seeds alone, blurred, faded and noisy at random; it never saw a generated picture. Prints its accuracy on drawn films of
evaluation seeds beside the oracle's, whole and blurred. `--train` remakes benchmarks/counter.safetensors in five
minutes on one core.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from oracle import Oracle
from rebuilt_films import SECONDS, SIZE, Pictures, tell
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional as F

from drawn.film import draw_frames, truth

WEIGHTS = Path(__file__).with_name("counter.safetensors")
SEEDS = range(3000, 3150)  # of films that no other model is trained or measured on
SMALL = (112, 64)
STEPS, BATCH = 1200, 48


class Counter(nn.Module):
    """A density of people, summed up over the picture. Shapes: B pictures, 3 x H x W in -1..1."""

    def __init__(self) -> None:
        super().__init__()
        self.inward = nn.Conv2d(3, 24, 5, stride=2, padding=2)
        self.blocks = nn.ModuleList(_block(before, after) for before, after in ((24, 48), (48, 64), (64, 96)))
        self.outward = nn.Conv2d(96, 1, 1)

    def forward(self, images_B3HW: Tensor) -> Tensor:
        x = F.silu(self.inward(images_B3HW))
        for block in self.blocks:
            x = F.max_pool2d(block(x), 2)
        counts_B: Tensor = F.softplus(self.outward(x) - 2).sum((1, 2, 3))
        return counts_B

    @classmethod
    def trained(cls) -> "Counter":
        """The network of benchmarks/counter.safetensors."""
        counter = cls()
        counter.load_state_dict({name: value.float() for name, value in load_file(WEIGHTS).items()})
        return counter.eval()

    @torch.inference_mode()
    def count(self, pictures: Pictures) -> NDArray[np.int64]:
        """People in each picture [T, H, W, 3] of a film's shape."""
        counts: NDArray[np.int64] = self(_images(_small(pictures))).round().long().numpy()
        return counts


def _block(before: int, after: int) -> nn.Sequential:
    layers = list[nn.Module]()
    for width in (before, after):
        layers += [nn.Conv2d(width, after, 3, padding=1), nn.GroupNorm(8, after), nn.SiLU()]
    return nn.Sequential(*layers)


def _small(pictures: Pictures) -> Pictures:
    return np.stack([cv2.resize(one, SMALL, interpolation=cv2.INTER_AREA) for one in pictures])


def _images(pictures: Pictures) -> Tensor:
    return torch.from_numpy(pictures).permute(0, 3, 1, 2).float() / 127.5 - 1


def shots(seed: int) -> tuple[Pictures, NDArray[np.int64]]:
    """A picture of the middle of each of a film's shots, and how many people are there."""
    middles = dict[int, tuple[int, int]]()
    scenes = [second for second in truth(seed, SECONDS, SIZE).timeline if second.kind == "scene"]
    for number in sorted({second.shot for second in scenes}):
        shot = [second for second in scenes if second.shot == number]
        middle = shot[len(shot) // 2]
        middles[number] = middle.second, len(middle.appearances)
    times, counts = zip(*middles.values(), strict=True)
    return np.stack(list(draw_frames(seed, times, SECONDS, SIZE))), np.array(counts)


def train() -> None:
    """Writes benchmarks/counter.safetensors."""
    torch.manual_seed(0)
    films = [shots(seed) for seed in SEEDS]
    images = torch.from_numpy(np.concatenate([_small(pictures) for pictures, _ in films])).permute(0, 3, 1, 2)
    counts = torch.from_numpy(np.concatenate([people for _, people in films])).float()
    counter = Counter()
    optimizer = torch.optim.AdamW(counter.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2e-3, total_steps=STEPS)
    for _ in range(STEPS):
        some = torch.randint(len(images), (BATCH,))
        loss = F.smooth_l1_loss(counter(_worsened(images[some].float() / 127.5 - 1)), counts[some])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    save_file({name: value.half() for name, value in counter.state_dict().items()}, WEIGHTS)


def _worsened(images_B3HW: Tensor) -> Tensor:
    """Mirrored, blurred, faded, tinted and noisy at random."""
    if torch.rand(()) < 0.5:
        images_B3HW = images_B3HW.flip(-1)
    parts = [
        _blurred(part, float(torch.rand(()) * 2.5)) if torch.rand(()) < 0.75 else part for part in images_B3HW.chunk(4)
    ]
    ones_B111 = images_B3HW.new_ones(len(images_B3HW), 1, 1, 1)
    contrast_B111 = 0.5 + 0.8 * torch.rand_like(ones_B111)
    tint_B311 = 0.3 * torch.randn_like(ones_B111) + 0.1 * torch.randn_like(ones_B111.expand(-1, 3, -1, -1))
    spots_B3HW = _blurred(torch.randn_like(images_B3HW), float(1 + 3 * torch.rand(())))
    return torch.cat(parts) * contrast_B111 + tint_B311 + 0.6 * torch.rand_like(ones_B111) * spots_B3HW


def _blurred(images_B3HW: Tensor, sigma: float) -> Tensor:
    """By a Gaussian of `sigma` pixels."""
    reach = int(3 * sigma)
    weights_K = torch.exp(-torch.arange(-reach, reach + 1).square() / (2 * max(sigma, 1e-3) ** 2))
    weights_K = weights_K / weights_K.sum()
    across_31WK, down_31KW = (weights_K.view(shape).expand(3, 1, -1, -1) for shape in ((1, 1, 1, -1), (1, 1, -1, 1)))
    padded = F.pad(images_B3HW, (reach,) * 4, mode="replicate")
    return F.conv2d(F.conv2d(padded, across_31WK, groups=3), down_31KW, groups=3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--train", action="store_true")
    args = parser.parse_args()
    if args.train:
        train()
    counter, seeds = Counter.trained(), list(range(50 - args.films, 50))
    drawn = [(truth(seed, SECONDS, SIZE), *shots(seed)) for seed in seeds]
    for name, sigma in (("counted_people", 0), ("counted_people_blurred", 3)):
        mine, theirs = [], []
        for told, pictures, people in drawn:
            seen = np.stack([cv2.GaussianBlur(one, (0, 0), sigma) for one in pictures]) if sigma else pictures
            oracle = Oracle(told)
            mine.append((counter.count(seen) == people).astype(float))
            theirs.append(np.array([oracle(one).people for one in seen]) == people)
        tell(name, "share", mine, theirs, seeds)


if __name__ == "__main__":
    main()
