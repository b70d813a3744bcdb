"""A snapshot's keyframes, or sets of images, as the views that a training draws from."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from storage.errors import ConfigError
from storage.images.images import Images
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.tables import Tables
from tasks.references import spread
from tasks.training.examples import Examples
from tasks.training.frozen import FrozenConfig, frozen_codec, keyframes, seen

if TYPE_CHECKING:
    from torch import Tensor

    from models.autoencoder.compressor import CompressorConfig
    from models.codec import Codec
    from models.training.views import Kept, Watched

HELD_OUT = 64  # images


def keyframe_ids(storage: Storage, snapshot: Snapshot, part: Part) -> tuple[str, ...]:
    """Of one side of a snapshot, sorted."""
    rows = Tables(storage).read("keyframes", snapshot.work["keyframes"], ["row_id", "film_id", "second"])
    return tuple(map(str, snapshot.rows_of(part, rows)["row_id"].to_pylist()))


def watched_keyframes(
    config: FrozenConfig, storage: Storage, snapshot: Snapshot, row_ids: Sequence[str], codec: "Codec", features: bool
) -> "Watched":
    """Keyframes that image encoder (where `features` are asked for) and codec look at in each step."""
    from models.training.buckets import Buckets
    from models.training.views import Watched
    from models.vision import build_features

    pictures = Examples(storage, snapshot.work, row_ids)
    encoder = build_features(config.vision, codec) if features else None
    size = codec.config.height, codec.config.width
    return Watched(pictures, encoder, (config.height, config.width), codec, Buckets([size], [size]))


@contextmanager
def both_parts(
    config: FrozenConfig, storage: Storage, snapshot: Snapshot, size: tuple[int, int] | None = None
) -> "Iterator[tuple[Codec, Kept | Watched, Kept | Watched | None]]":
    """The codec, the keyframes that are learnt from, and those that are held out, where any are.

    Args:
        size: height and width of the pictures, where they aren't the codec's own.
    """
    if config.kept:
        with seen(config, storage, snapshot) as see:
            codec = see.codec.resized(size[1], size[0]) if size else see.codec
            latents = _latents(storage, snapshot, codec, size) if size else None
            some = not see.train.all()
            yield codec, see.views(see.train, latents), see.views(~see.train, latents) if some else None
        return
    codec = frozen_codec(config)
    codec = codec.resized(size[1], size[0]) if size else codec
    train, test = (keyframe_ids(storage, snapshot, part) for part in ("train", "test"))
    held_out = watched_keyframes(config, storage, snapshot, test, codec, features=True) if test else None
    yield codec, watched_keyframes(config, storage, snapshot, train, codec, features=True), held_out


def _latents(storage: Storage, snapshot: Snapshot, codec: "Codec", size: tuple[int, int]) -> "tuple[Tensor, Tensor]":
    """Of all keyframes at a size, and of their mirror images, by row id."""
    import torch

    latents, flipped = list[torch.Tensor](), list[torch.Tensor]()
    for picture_3HW in (picture_3HW[None].float() / 255 for _, _, picture_3HW in keyframes(storage, snapshot, size)):
        latents.append(codec.encode(picture_3HW).half())
        flipped.append(codec.encode(picture_3HW.flip(-1)).half())
    return torch.cat(latents), torch.cat(flipped)


def apart(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The images that are learnt from, and those that are held out: one in ten, HELD_OUT at most, evenly spread."""
    held_out = np.zeros(table.num_rows, bool)
    held_out[spread(table.num_rows, min(HELD_OUT, table.num_rows // 10))] = True
    return table.filter(~held_out), table.filter(held_out)


def watched_images(
    config: FrozenConfig, images: Images, sizes: Sequence[tuple[int, int]], codec: "Codec", shapes: bool
) -> "Watched":
    """Images of any shape in batches of one of `sizes` (height, width)."""
    from models.training.buckets import Buckets
    from models.training.views import Watched
    from models.vision import build_features

    of_each = [images.shape(row) for row in range(len(images))] if shapes else [sizes[0]]
    return Watched(
        images, build_features(config.vision, codec), (config.height, config.width), codec, Buckets(of_each, sizes)
    )


def check_compressor(config: "CompressorConfig", positions: int, channels: int) -> None:
    """Raises a ConfigError that names both where the compressor doesn't take what the image encoder gives."""
    if (config.positions, config.channels) != (positions, channels):
        raise ConfigError(
            f"the compressor takes {config.positions} positions of {config.channels} channels, the "
            f"image encoder gives {positions} of {channels}: set compressor.positions and .channels to these"
        )
