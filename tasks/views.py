"""A snapshot's keyframes, or sets of images, as the views that a training draws from."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from storage.errors import ConfigError
from storage.images import Images, ImagesConfig
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables import Tables
from tasks.examples import Examples
from tasks.frozen import FrozenConfig

if TYPE_CHECKING:
    from models.codec import Codec
    from models.compressor import CompressorConfig
    from models.training.views import Watched


def keyframe_ids(storage: Storage, snapshot: Snapshot, part: Part) -> tuple[str, ...]:
    """Of one side of a snapshot, sorted."""
    films = {film.film_id: film for film in snapshot.films}
    rows = Tables(storage).read("keyframes", snapshot.work["keyframes"], ["row_id", "film_id", "second"]).to_pylist()
    return tuple(sorted(row["row_id"] for row in rows if films[row["film_id"]].part(row["second"]) == part))


def watched_keyframes(
    config: FrozenConfig, storage: Storage, snapshot: Snapshot, row_ids: Sequence[str], codec: "Codec", features: bool
) -> "Watched":
    """Keyframes that image encoder (where `features` are asked for) and codec look at in each step."""
    from models.training.buckets import Buckets
    from models.training.views import Watched
    from models.vision import build

    pictures = Examples(storage, snapshot.work, row_ids)
    encoder = build(config.vision) if features else None
    size = codec.config.height, codec.config.width
    return Watched(pictures, encoder, (config.height, config.width), codec, Buckets([size], [size]))


def watched_images(
    config: FrozenConfig, images: Images, sizes: Sequence[tuple[int, int]], codec: "Codec", shapes: bool
) -> "Watched":
    """Images of any shape in batches of one of `sizes` (height, width)."""
    from models.training.buckets import Buckets
    from models.training.views import Watched
    from models.vision import build

    of_each = [images.shape(row) for row in range(len(images))] if shapes else [sizes[0]]
    return Watched(images, build(config.vision), (config.height, config.width), codec, Buckets(of_each, sizes))


def check_compressor(config: "CompressorConfig", positions: int, channels: int) -> None:
    """Raises a ConfigError that names both where the compressor doesn't take what the image encoder gives."""
    if (config.positions, config.channels) != (positions, channels):
        raise ConfigError(
            f"the compressor takes {config.positions} positions of {config.channels} channels, the "
            f"image encoder gives {positions} of {channels}: set compressor.positions and .channels to these"
        )


__all__ = ["ImagesConfig", "check_compressor", "keyframe_ids", "watched_images", "watched_keyframes"]
