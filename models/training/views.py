"""What the frozen models see of training pictures: kept from before, or looked at in each step.

What is small enough is seen once and kept (`Kept`). Of millions of pictures, each of which comes about once, the
pixels are drawn off the trainer's path and image encoder and codec look at them in the step (`Watched`).

Shapes: F pictures, B of a batch, 3 colours, N positions and C channels of the image encoder; latents_BCHW the codec's.
"""

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from models.codec import Codec
from models.training import rows_of_step
from models.training.buckets import Buckets
from models.vision.encoder import ImageEncoder
from models.vision.latents import patches

_READERS = 2  # threads that read and decode pictures of a batch


class Drawn(NamedTuple):
    """A batch as it is drawn: what was kept, or pixels_B3HW (uint8) with their sizes_B6 (`decoder.Condition`)."""

    grid: tuple[int, int, int]  # channels, height and width of its latents
    features_BNC: Tensor | None = None
    latents_BCHW: Tensor | None = None
    pixels_B3HW: Tensor | None = None
    sizes_B6: Tensor | None = None


class Seen(NamedTuple):
    """A batch as compressor and decoder take it."""

    features_BNC: Tensor | None
    latents_BCHW: Tensor
    sizes_B6: Tensor | None


class Views(Protocol):
    """The training pictures, through the eyes of the frozen models."""

    def __len__(self) -> int: ...

    def rows_of_step(self, batch: int, seed: int, step: int, rank: int, world: int) -> Tensor:
        """Which pictures a worker's step is made of."""
        ...

    def batches(self, rows_F: Tensor, most: int) -> Iterable[Tensor]:
        """These pictures, at most so many at a time, each time of one size."""
        ...

    def draw(self, rows_B: Tensor, mirrored_B: Tensor) -> Drawn:
        """These pictures, mirrored where that is 1; on the CPU, in whatever thread."""
        ...

    def see(self, drawn: Drawn, device: torch.device) -> Seen:
        """What the frozen models see of them, on `device`."""
        ...

    def features_of(self, drawn: Drawn, device: torch.device) -> Tensor:
        """features_BNC alone."""
        ...


class Pictures(Protocol):
    """Encoded pictures that can be read in any order, by several threads.

    Attributes:
        window: how many consecutive ones are read together; 1 where each is read for itself.
    """

    window: int

    def __len__(self) -> int: ...

    def read(self, row: int) -> NDArray[np.uint8]:
        """RGB, height x width x 3."""
        ...


class Kept:
    """Features and latents of F pictures and of their mirror images; stage 3 needs no features.

    Args:
        patch: without features: the compressor reads patches of the latents, of so many cells on a side.
    """

    def __init__(
        self,
        latents_FCHW: Tensor,
        latents_flipped_FCHW: Tensor,
        features_FNC: Tensor | None = None,
        features_flipped_FNC: Tensor | None = None,
        *,
        patch: int | None = None,
    ) -> None:
        given = [latents_FCHW, latents_flipped_FCHW, features_FNC, features_flipped_FNC]
        counts = [len(rows) for rows in given if rows is not None]
        if len(set(counts)) > 1 or not counts[0]:
            raise ValueError(f"training needs as many features as latents, mirrored or not, and at least one: {counts}")
        self.latents = torch.stack([latents_FCHW, latents_flipped_FCHW])
        self.patch = patch
        self.features: Tensor | None = None
        if features_FNC is not None and features_flipped_FNC is not None:
            self.features = torch.stack([features_FNC, features_flipped_FNC])

    def __len__(self) -> int:
        return self.latents.shape[1]

    @property
    def features_shape(self) -> tuple[int, int]:
        """N and C of the features."""
        if self.patch is not None:
            positions, channels = patches(self.latents[0, :1], self.patch).shape[1:]
            return positions, channels
        assert self.features is not None
        return self.features.shape[2], self.features.shape[3]

    def rows_of_step(self, batch: int, seed: int, step: int, rank: int, world: int) -> Tensor:
        return rows_of_step(len(self), batch, seed, step, rank, world)

    def batches(self, rows_F: Tensor, most: int) -> Iterable[Tensor]:
        return torch.split(rows_F, most)

    def draw(self, rows_B: Tensor, mirrored_B: Tensor) -> Drawn:
        channels, height, width = self.latents.shape[2:]
        latents_BCHW = self.latents[mirrored_B, rows_B].float()
        features_BNC = None if self.features is None else self.features[mirrored_B, rows_B].float()
        if self.patch is not None:
            features_BNC = patches(latents_BCHW, self.patch)
        return Drawn((channels, height, width), features_BNC, latents_BCHW)

    def features_of(self, drawn: Drawn, device: torch.device) -> Tensor:
        assert drawn.features_BNC is not None
        return drawn.features_BNC.to(device)

    def see(self, drawn: Drawn, device: torch.device) -> Seen:
        assert drawn.latents_BCHW is not None
        features_BNC = None if drawn.features_BNC is None else drawn.features_BNC.to(device, non_blocking=True)
        return Seen(features_BNC, drawn.latents_BCHW.to(device, non_blocking=True), None)


class Watched:
    """Pictures cut to one of some sizes, and the frozen models that look at them.

    Args:
        encoder: None where nobody asks for features (stage 3).
        look: height and width at which the image encoder sees a picture, whatever its shape.
        buckets: sizes in pixels, and which picture goes to which.
    """

    def __init__(
        self,
        pictures: Pictures,
        encoder: ImageEncoder | None,
        look: tuple[int, int],
        codec: Codec,
        buckets: Buckets,
    ) -> None:
        self.pictures, self.encoder, self.look, self.buckets = pictures, encoder, look, buckets
        self._readers = ThreadPoolExecutor(_READERS)
        self.codecs = {(height, width): codec.resized(width, height) for height, width in buckets.sizes}

    def __len__(self) -> int:
        return len(self.pictures)

    @property
    def features_shape(self) -> tuple[int, int]:
        """N and C of the features."""
        assert self.encoder is not None
        return self.encoder.positions(*self.look), self.encoder.channels

    def rows_of_step(self, batch: int, seed: int, step: int, rank: int, world: int) -> Tensor:
        if len(self.buckets.sizes) == 1:
            return rows_of_step(len(self), batch, seed, step, rank, world, self.pictures.window)
        return self.buckets.rows_of_step(batch, seed, step, rank, world)

    def batches(self, rows_F: Tensor, most: int) -> Iterable[Tensor]:
        return self.buckets.batches(rows_F, most)

    def draw(self, rows_B: Tensor, mirrored_B: Tensor) -> Drawn:
        size = self.buckets.size(int(rows_B[0]))
        cuts = list(self._readers.map(lambda row: cut(self.pictures.read(row), size), rows_B.tolist()))
        pixels_B3HW = torch.stack([torch.from_numpy(pixels).permute(2, 0, 1) for pixels, _ in cuts])
        pixels_B3HW = torch.where(mirrored_B[:, None, None, None].bool(), pixels_B3HW.flip(-1), pixels_B3HW)
        sizes_B6 = torch.tensor([sizes for _, sizes in cuts], dtype=torch.float32)
        return Drawn(self.codecs[size].grid, pixels_B3HW=pixels_B3HW, sizes_B6=sizes_B6)

    @torch.no_grad()
    def features_of(self, drawn: Drawn, device: torch.device) -> Tensor:
        assert drawn.pixels_B3HW is not None
        assert self.encoder is not None
        images_B3HW = drawn.pixels_B3HW.to(device, non_blocking=True).float() / 255
        return features(self.encoder.to(device), images_B3HW, self.look).to(device)

    @torch.no_grad()
    def see(self, drawn: Drawn, device: torch.device) -> Seen:
        assert drawn.pixels_B3HW is not None
        assert drawn.sizes_B6 is not None
        images_B3HW = drawn.pixels_B3HW.to(device, non_blocking=True).float() / 255
        height, width = images_B3HW.shape[-2:]
        features_BNC = None if self.encoder is None else self.features_of(drawn, device)
        latents_BCHW = self.codecs[height, width].to(device).encode(images_B3HW)
        return Seen(features_BNC, latents_BCHW, drawn.sizes_B6.to(device, non_blocking=True))


def features(encoder: ImageEncoder, images_B3HW: Tensor, look: tuple[int, int]) -> Tensor:
    """features_BNC of pictures in 0-1, seen at `look` (height, width), whatever autocast is on around it."""
    with torch.autocast(images_B3HW.device.type, enabled=False):
        small_B3HW = F.interpolate(images_B3HW, look, mode="bilinear", antialias=True).clamp(0, 1)
        seen_BNC: Tensor = encoder(small_B3HW)
    return seen_BNC


def cut(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.uint8], Sequence[int]]:
    """The largest centred part of the shape of `size`, resized to it, and SDXL's six numbers that say so.

    These are: original height and width; top and left of the cut in the resized picture; height and width of the cut.
    """
    height, width = image.shape[:2]
    scale = max(size[0] / height, size[1] / width)
    covering = max(size[0], round(height * scale)), max(size[1], round(width * scale))
    top, left = (covering[0] - size[0]) // 2, (covering[1] - size[1]) // 2
    numbers = (height, width, top, left, *size)
    if covering == (height, width):
        return image[top : top + size[0], left : left + size[1]].copy(), numbers
    inner = min(size[0] / scale, height), min(size[1] / scale, width)
    above, before = (height - inner[0]) / 2, (width - inner[1]) / 2
    box = (before, above, before + inner[1], above + inner[0])
    resized = Image.fromarray(image).resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box, reducing_gap=3.0)
    return np.array(resized), numbers
