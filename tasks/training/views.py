"""A snapshot's keyframes, or sets of images, as training views."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from models.vision import LatentsConfig
from storage.errors import ConfigError
from storage.images.images import Images
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.tables import Tables
from tasks.references import spread
from tasks.training import latents
from tasks.training.examples import Examples
from tasks.training.frozen import FrozenConfig, Size, codec_of

if TYPE_CHECKING:
    from models.autoencoder.compressor import CompressorConfig
    from models.codec import Codec
    from models.training.buckets import Buckets
    from models.training.views import Pictures, Views

HELD_OUT = 64  # maximum number of held-out images


def keyframe_ids(storage: Storage, snapshot: Snapshot, part: Part) -> tuple[str, ...]:
    """Sorted row ids of one part of a snapshot."""
    rows = Tables(storage).read("keyframes", snapshot.work["keyframes"], ["row_id", "film_id", "second"])
    return tuple(map(str, snapshot.rows_of(part, rows)["row_id"].to_pylist()))


def keyframe_views(
    config: FrozenConfig,
    storage: Storage,
    snapshot: Snapshot,
    row_ids: Sequence[str],
    codec: "Codec",
    features: bool = True,
) -> "Views":
    """Keyframes at the size of `codec`: stored latents, optionally with features, or pixels."""
    from models.training.buckets import Buckets
    from models.training.views import Views

    size = codec.config.height, codec.config.width
    if not config.kept:
        pictures = Examples(storage, snapshot.work, row_ids)
        return _pixels(config, pictures, codec, Buckets([size], [size]), features)
    stored = {"latents": latents.STAGE.keys([config, snapshot, size], snapshot.work)}
    examples = Examples(storage, {**snapshot.work, **stored}, row_ids)
    patch = config.vision.patch if features and isinstance(config.vision, LatentsConfig) else None
    return Views(latents.Stored(examples, features and patch is None), patch=patch)


def both_parts(
    config: FrozenConfig, storage: Storage, snapshot: Snapshot, size: Size | None = None
) -> "tuple[Codec, Views, Views | None]":
    """The codec, the training keyframes, and the held-out ones, if there are any.

    Args:
        size: of the pictures; None: the codec's own.
    """
    codec = codec_of(config, storage, snapshot, size)
    train, test = (keyframe_ids(storage, snapshot, part) for part in ("train", "test"))
    held_out = keyframe_views(config, storage, snapshot, test, codec) if test else None
    return codec, keyframe_views(config, storage, snapshot, train, codec), held_out


def apart(table: pa.Table) -> tuple[pa.Table, pa.Table]:
    """The training images and the held-out images: one in ten, at most HELD_OUT, evenly spread."""
    held_out = np.zeros(table.num_rows, bool)
    held_out[spread(table.num_rows, min(HELD_OUT, table.num_rows // 10))] = True
    return table.filter(~held_out), table.filter(held_out)


def image_views(config: FrozenConfig, images: Images, sizes: Sequence[Size], codec: "Codec") -> "Views":
    """Images of any shape in batches of one of `sizes`."""
    from models.training.buckets import Buckets

    shapes = [images.shape(row) for row in range(len(images))] if len(sizes) > 1 else [sizes[0]]
    return _pixels(config, images, codec, Buckets(shapes, sizes))


def _pixels(
    config: FrozenConfig, pictures: "Pictures", codec: "Codec", buckets: "Buckets", features: bool = True
) -> "Views":
    """Pictures that the frozen models encode in each step."""
    from models.training.views import FrozenModels, Pixels, Views
    from models.vision import build_features

    encoder = build_features(config.vision, codec) if features else None
    return Views(Pixels(pictures, buckets), FrozenModels(codec, encoder, (config.height, config.width), buckets.sizes))


def check_compressor(config: "CompressorConfig", positions: int, channels: int) -> None:
    """Raises a ConfigError that names both if the compressor's input doesn't match the image encoder's output."""
    if (config.positions, config.channels) != (positions, channels):
        raise ConfigError(
            f"the compressor takes {config.positions} positions of {config.channels} channels, the "
            f"image encoder gives {positions} of {channels}: set compressor.positions and .channels to the latter"
        )
