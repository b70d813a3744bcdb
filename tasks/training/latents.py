"""What the frozen models see of keyframes and of their mirror images, stored once: codec latents and image features.

Where `frozen.kept` is false nothing is stored: pixels are read, and the models look at them in each step.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.device import device
from models.vision import LatentsConfig, build_features
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from tasks import rows
from tasks.cluster import ClusterConfig
from tasks.made import Made, ReadsAhead, Step
from tasks.progress import Progress
from tasks.rows import Row
from tasks.stage import Stage, StageError, Work, run_stage
from tasks.training.examples import Examples
from tasks.training.frozen import FrozenConfig, Size, codec_identity, codec_of, sized

if TYPE_CHECKING:
    from torch import Tensor

    from models.training.views import Drawn, Eyes


def run(
    config: FrozenConfig,
    storage: Storage,
    snapshot: Snapshot,
    cluster: ClusterConfig,
    progress: Progress,
    size: Size | None = None,
) -> None:
    """One row for each keyframe of the snapshot's films, of pictures of `size` (height, width) or the codec's own.

    Raises:
        StageError: when a film has none.
    """
    if not config.kept:
        return
    codec_of(config, storage, snapshot)  # fitted before several workers ask for it
    made = run_stage(STAGE, [config, snapshot, size or config.size], storage, snapshot.work, cluster, progress)
    if missing := sorted(made["keyframes"].keys() - made[STAGE.name].keys()):
        raise StageError(f"latents of {len(missing)} films are missing; `moviedreamer status` says why: {missing[0]!r}")


def keys(config: FrozenConfig, snapshot: Snapshot, size: Size) -> Mapping[str, str]:
    """film_id -> fingerprint of the rows that `run` makes."""
    return STAGE.keys([config, snapshot, size], snapshot.work)


class Stored:
    """These rows as a training draws them (models.training.views.Source); with features where it asks for some."""

    buckets = None

    def __init__(self, examples: Examples, features: bool) -> None:
        self._examples, self._features, self.window = examples, features, examples.window

    def __len__(self) -> int:
        return len(self._examples)

    def draw(self, rows_B: "Tensor", mirrored_B: "Tensor") -> "Drawn":
        from models.training.views import Drawn

        found = [self._examples.latents(row, self._features) for row in rows_B.tolist()]
        ends = ["_flipped" if mirrored else "" for mirrored in mirrored_B.tolist()]
        some = list(zip(found, ends, strict=True))
        latents = [_array(row[f"latents{end}"], row["grid"]) for row, end in some]
        if not self._features:
            return Drawn(_stacked(latents))
        features = [_array(row[f"features{end}"], (-1, row["feature_width"])) for row, end in some]
        return Drawn(_stacked(latents), _stacked(features))


def _array(data: bytes, shape: Sequence[int]) -> NDArray[np.float16]:
    return np.frombuffer(data, np.float16).reshape(shape)


def _stacked(arrays: Sequence[NDArray[np.float16]]) -> "Tensor":
    import torch

    return torch.from_numpy(np.stack(arrays)).float()


def _make(config: FrozenConfig, snapshot: Snapshot, size: Size, storage: Storage, work: Work) -> ReadsAhead:
    import torch

    from models.training.views import Eyes

    codec = codec_of(config, storage, snapshot, size)
    encoder = None if isinstance(config.vision, LatentsConfig) else build_features(config.vision, codec)
    eyes = Eyes(codec, encoder, (config.height, config.width))
    keyframes = rows.Pictures(FilmRows(storage, "keyframes", work["keyframes"]))

    def see(film_id: str) -> Iterator[Step | Made]:
        for step, some, pictures in keyframes.of(film_id):
            images_B3HW = torch.stack([sized(picture, size) for picture in pictures]).to(device()).float() / 255
            both = _seen(eyes, images_B3HW, ""), _seen(eyes, images_B3HW.flip(-1), "_flipped")
            named = [{"row_id": keyframe["row_id"], "second": keyframe["second"]} for keyframe in some]
            made = [name | plain | flipped for name, plain, flipped in zip(named, *both, strict=True)]
            yield Made({"latents": rows.table("latents", film_id, made)})
            yield step

    return ReadsAhead(see, keyframes.expect)


def _seen(eyes: "Eyes", images_B3HW: "Tensor", end: str) -> list[Row]:
    """The columns of latents and features whose names have this end."""
    latents_BCHW, features_BNC = eyes.latents(images_B3HW), eyes.features(images_B3HW)
    grid, width = list(latents_BCHW.shape[1:]), 0 if features_BNC is None else features_BNC.shape[-1]
    features = [b""] * len(images_B3HW) if features_BNC is None else _bytes(features_BNC)
    return [
        {f"latents{end}": latents, "grid": grid, f"features{end}": told, "feature_width": width}
        for latents, told in zip(_bytes(latents_BCHW), features, strict=True)
    ]


def _bytes(tensor_Bx: "Tensor") -> list[bytes]:
    return [one.tobytes() for one in tensor_Bx.half().cpu().numpy()]


def _identity(config: FrozenConfig, snapshot: Snapshot, size: Size) -> object:
    latents = isinstance(config.vision, LatentsConfig)
    return [codec_identity(config, snapshot), size, None if latents else [config.vision, config.width, config.height]]


STAGE = Stage("latents", inputs=("keyframes",), tables=("latents",), make=_make, identity=_identity)
