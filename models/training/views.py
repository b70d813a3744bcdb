"""Features and latents of training pictures, stored by a stage or computed in each step.

Pictures that are used often are encoded once and stored. With millions of pictures, each is used about once: their
pixels are prefetched, and image encoder and codec run in the step (`FrozenModels`).

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
    """A batch of a source: stored latents and features, or pixels_B3HW (uint8) and sizes_B6 (`decoder.Condition`)."""

    latents_BCHW: Tensor | None = None
    features_BNC: Tensor | None = None
    pixels_B3HW: Tensor | None = None
    sizes_B6: Tensor | None = None


class Seen(NamedTuple):
    """A batch for compressor and decoder."""

    features_BNC: Tensor | None
    latents_BCHW: Tensor
    sizes_B6: Tensor | None


class Source(Protocol):
    """Pictures with random access."""

    def __len__(self) -> int: ...

    @property
    def window(self) -> int:
        """Number of consecutive pictures that are read together; 1 if each is read alone."""
        ...

    @property
    def buckets(self) -> Buckets | None:
        """The pictures' sizes, if they are read as pixels."""
        ...

    def draw(self, rows_B: Tensor, mirrored_B: Tensor) -> Drawn:
        """These pictures, mirrored where `mirrored_B` is 1; on the CPU, in any thread."""
        ...


class Pictures(Protocol):
    """Encoded pictures with random access from several threads; `window` is as in `Source`."""

    window: int

    def __len__(self) -> int: ...

    def read(self, row: int) -> NDArray[np.uint8]:
        """RGB, height x width x 3."""
        ...


class Views:
    """The training pictures as features and latents.

    Args:
        frozen: the models, if the source reads pixels; None if it reads stored latents and features.
        patch: side of a patch in cells, if the compressor reads patches of stored latents instead of features.
    """

    def __init__(self, source: Source, frozen: "FrozenModels | None" = None, *, patch: int | None = None) -> None:
        if not len(source):
            raise ValueError("training needs at least one picture")
        self.source, self.frozen, self.patch = source, frozen, patch

    def __len__(self) -> int:
        return len(self.source)

    @property
    def features_shape(self) -> tuple[int, int]:
        """N and C of the features."""
        if self.frozen is not None and self.frozen.encoder is not None:
            return self.frozen.encoder.positions(*self.frozen.look), self.frozen.encoder.channels
        features_BNC = self.draw(torch.zeros(1).long(), torch.zeros(1).long()).features_BNC
        assert features_BNC is not None
        return features_BNC.shape[1], features_BNC.shape[2]

    def rows_of_step(self, batch: int, seed: int, step: int, rank: int, world: int) -> Tensor:
        """The pictures of a worker's step."""
        buckets = self.source.buckets
        if buckets is None or len(buckets.sizes) == 1:
            return rows_of_step(len(self), batch, seed, step, rank, world, self.source.window)
        return buckets.rows_of_step(batch, seed, step, rank, world)

    def batches(self, rows_F: Tensor, most: int) -> Iterable[Tensor]:
        """These pictures, in batches of at most `most` of one size."""
        buckets = self.source.buckets
        return torch.split(rows_F, most) if buckets is None else buckets.batches(rows_F, most)

    def draw(self, rows_B: Tensor, mirrored_B: Tensor) -> Drawn:
        """These pictures, mirrored where `mirrored_B` is 1; on the CPU, in any thread."""
        drawn = self.source.draw(rows_B, mirrored_B)
        if self.patch is None or drawn.latents_BCHW is None:
            return drawn
        return drawn._replace(features_BNC=patches(drawn.latents_BCHW, self.patch))

    def grid(self, drawn: Drawn) -> tuple[int, int, int]:
        """Channels, height and width of the latents of a batch."""
        if drawn.latents_BCHW is not None:
            channels, height, width = drawn.latents_BCHW.shape[1:]
            return channels, height, width
        assert self.frozen is not None
        assert drawn.pixels_B3HW is not None
        height, width = drawn.pixels_B3HW.shape[-2:]
        return self.frozen.codecs[height, width].grid

    def see(self, drawn: Drawn, device: torch.device) -> Seen:
        """Their features and latents, on `device`."""
        latents_BCHW, features_BNC, pixels_B3HW, sizes_B6 = (
            None if part is None else part.to(device, non_blocking=True) for part in drawn
        )
        if self.frozen is not None and pixels_B3HW is not None:
            images_B3HW = pixels_B3HW.float() / 255
            latents_BCHW = self.frozen.latents(images_B3HW)
            features_BNC = self.frozen.features(images_B3HW) if self.frozen.encoder is not None else None
        assert latents_BCHW is not None
        return Seen(features_BNC, latents_BCHW, sizes_B6)

    def features_of(self, drawn: Drawn, device: torch.device) -> Tensor:
        """features_BNC alone."""
        if self.frozen is not None and drawn.pixels_B3HW is not None:
            return self.frozen.features(drawn.pixels_B3HW.to(device, non_blocking=True).float() / 255)
        assert drawn.features_BNC is not None
        return drawn.features_BNC.to(device)


class FrozenModels:
    """Codec and image encoder; they run on pictures in 0-1, on the pictures' device.

    Args:
        encoder: None if no features are needed (stage 3).
        look: height and width of the image encoder's input, for pictures of any shape.
        sizes: heights and widths of the pictures.
    """

    def __init__(
        self, codec: Codec, encoder: ImageEncoder | None, look: tuple[int, int], sizes: Sequence[tuple[int, int]]
    ) -> None:
        self.encoder, self.look = encoder, look
        self.codecs = {(height, width): codec.resized(width, height) for height, width in sizes}

    @torch.no_grad()
    def features(self, images_B3HW: Tensor) -> Tensor:
        """features_BNC."""
        assert self.encoder is not None
        return features(self.encoder.to(images_B3HW.device), images_B3HW, self.look)

    @torch.no_grad()
    def latents(self, images_B3HW: Tensor) -> Tensor:
        """latents_BCHW."""
        height, width = images_B3HW.shape[-2:]
        return self.codecs[height, width].to(images_B3HW.device).encode(images_B3HW)


class InMemory:
    """Features and latents of F pictures and of their mirror images in memory; stage 3 needs no features."""

    window, buckets = 1, None

    def __init__(
        self,
        latents_FCHW: Tensor,
        latents_flipped_FCHW: Tensor,
        features_FNC: Tensor | None = None,
        features_flipped_FNC: Tensor | None = None,
    ) -> None:
        given = [latents_FCHW, latents_flipped_FCHW, features_FNC, features_flipped_FNC]
        counts = [len(rows) for rows in given if rows is not None]
        if len(set(counts)) > 1:
            raise ValueError(f"training needs as many features as latents, mirrored or not: {counts}")
        self.latents = torch.stack([latents_FCHW, latents_flipped_FCHW])
        self.features: Tensor | None = None
        if features_FNC is not None and features_flipped_FNC is not None:
            self.features = torch.stack([features_FNC, features_flipped_FNC])

    def __len__(self) -> int:
        return self.latents.shape[1]

    def draw(self, rows_B: Tensor, mirrored_B: Tensor) -> Drawn:
        features_BNC = None if self.features is None else self.features[mirrored_B, rows_B].float()
        return Drawn(self.latents[mirrored_B, rows_B].float(), features_BNC)


class Pixels:
    """Pictures as pixels, each cropped to the size of its bucket; duplicates in a batch are read once."""

    def __init__(self, pictures: Pictures, buckets: Buckets) -> None:
        self.pictures, self.buckets, self.window = pictures, buckets, pictures.window
        self._readers = ThreadPoolExecutor(_READERS)

    def __len__(self) -> int:
        return len(self.pictures)

    def draw(self, rows_B: Tensor, mirrored_B: Tensor) -> Drawn:
        rows = rows_B.tolist()
        size, once = self.buckets.size(rows[0]), list(dict.fromkeys(rows))
        read = dict(zip(once, self._readers.map(lambda row: cut(self.pictures.read(row), size), once), strict=True))
        pixels_B3HW = torch.stack([torch.from_numpy(read[row][0]).permute(2, 0, 1) for row in rows])
        pixels_B3HW = torch.where(mirrored_B[:, None, None, None].bool(), pixels_B3HW.flip(-1), pixels_B3HW)
        sizes_B6 = torch.tensor([read[row][1] for row in rows], dtype=torch.float32)
        return Drawn(pixels_B3HW=pixels_B3HW, sizes_B6=sizes_B6)


def features(encoder: ImageEncoder, images_B3HW: Tensor, look: tuple[int, int]) -> Tensor:
    """features_BNC of pictures in 0-1, resized to `look` (height, width), without autocast."""
    with torch.autocast(images_B3HW.device.type, enabled=False):
        small_B3HW = F.interpolate(images_B3HW, look, mode="bilinear", antialias=True).clamp(0, 1)
        seen_BNC: Tensor = encoder(small_B3HW)
    return seen_BNC


def cut(image: NDArray[np.uint8], size: tuple[int, int]) -> tuple[NDArray[np.uint8], Sequence[int]]:
    """The largest centred crop with the aspect ratio of `size`, resized to it, and SDXL's six conditioning numbers.

    These are: original height and width; top and left of the crop in the resized picture; height and width of the crop.
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
