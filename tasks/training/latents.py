"""Codec latents and image features of keyframes and of their mirror images, computed once and stored in a table.

With `frozen.kept=false` nothing is stored: training reads pixels and runs the frozen models in each step.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from models.device import device
from models.vision import LatentsConfig, build_features
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
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

    from models.training.views import Drawn

_NO_FEATURES = {"features": b"", "features_shape": []}


def run(
    config: FrozenConfig,
    storage: Storage,
    snapshot: Snapshot,
    cluster: ClusterConfig,
    progress: Progress,
    size: Size | None = None,
) -> None:
    """Writes a row for each keyframe of the snapshot's films, at `size` or the codec's own size.

    Raises:
        StageError: latents of some films could not be computed.
    """
    arguments = [config, snapshot, size or config.size]
    wanted = STAGE.keys(arguments, snapshot.work).items() if config.kept else set()
    if wanted <= Tables(storage).done(STAGE.name):
        return
    codec_of(config, storage, snapshot)  # fits it, if necessary, once here instead of in each worker
    made = run_stage(STAGE, arguments, storage, snapshot.work, cluster, progress)
    if missing := sorted(wanted - made[STAGE.name].items()):
        raise StageError(f"{len(missing)} films have no latents; `moviedreamer status` says why: {missing[0][0]!r}")


class Stored:
    """The table as a source of training views (models.training.views.Source), with or without features."""

    buckets = None

    def __init__(self, examples: Examples, features: bool) -> None:
        self._examples, self._features, self.window = examples, features, examples.window

    def __len__(self) -> int:
        return len(self._examples)

    def draw(self, rows_B: "Tensor", mirrored_B: "Tensor") -> "Drawn":
        import torch

        from models.training.views import Drawn

        some, sides = [self._examples.latents(row, self._features) for row in rows_B.tolist()], mirrored_B.tolist()

        def stacked(name: str) -> "Tensor":
            both = (np.frombuffer(row[name], np.float16).reshape(2, *row[f"{name}_shape"]) for row in some)
            return torch.from_numpy(np.stack([one[side] for one, side in zip(both, sides, strict=True)])).float()

        return Drawn(stacked("latents"), stacked("features") if self._features else None)


def _make(config: FrozenConfig, snapshot: Snapshot, size: Size, storage: Storage, work: Work) -> ReadsAhead:
    import torch

    from models.training.views import FrozenModels

    codec = codec_of(config, storage, snapshot, size)
    encoder = None if isinstance(config.vision, LatentsConfig) else build_features(config.vision, codec)
    models = FrozenModels(codec, encoder, (config.height, config.width), [size])
    encoded_by = {"latents": models.latents} | ({"features": models.features} if encoder is not None else {})
    keyframes = rows.Pictures(FilmRows(storage, "keyframes", work["keyframes"]))

    def see(film_id: str) -> Iterator[Step | Made]:
        for step, some, pictures in keyframes.of(film_id):
            images_B3HW = torch.stack([sized(picture, size) for picture in pictures]).to(device()).float() / 255
            made: list[Row] = [{"row_id": keyframe["row_id"], **_NO_FEATURES} for keyframe in some]
            for name, encode in encoded_by.items():
                both_B2 = torch.stack([encode(images_B3HW), encode(images_B3HW.flip(-1))], 1).half().cpu().numpy()
                for row, both in zip(made, both_B2, strict=True):
                    row |= {name: both.tobytes(), f"{name}_shape": both.shape[1:]}
            yield Made({"latents": rows.table("latents", film_id, made)})
            yield step

    return ReadsAhead(see, keyframes.expect)


def _identity(config: FrozenConfig, snapshot: Snapshot, size: Size) -> object:
    latents = isinstance(config.vision, LatentsConfig)
    return [codec_identity(config, snapshot), size, None if latents else [config.vision, config.width, config.height]]


STAGE = Stage("latents", inputs=("keyframes",), tables=("latents",), make=_make, identity=_identity)
