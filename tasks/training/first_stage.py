"""Stage 1 (Appendix A): the autoencoder is trained on sets of images before it is trained on films.

Without sets of images it is trained on the snapshot's training keyframes, at this stage's size.
"""

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, Field

from models.autoencoder.autoencoder import AutoencoderConfig
from models.training.autoencoder import AutoencoderTrainingConfig, StageConfig
from storage.fingerprint import fingerprint
from storage.images.images import Images, ImagesConfig, index
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.cluster import ClusterConfig
from tasks.progress import Progress
from tasks.training import latents
from tasks.training.engine.fit import fit
from tasks.training.engine.job import FitConfig
from tasks.training.frozen import FrozenConfig, codec_of, frozen_fingerprint, init_folder, init_identity
from tasks.training.model_card import Card, write_card
from tasks.training.views import apart, both_parts, check_compressor, image_views

if TYPE_CHECKING:
    from models.codec import Codec
    from models.training.autoencoder import AutoencoderTraining
    from models.training.views import Views

STAGE = "first_stage"


class FirstStageConfig(BaseModel, frozen=True, extra="forbid"):
    """Stage 1 of the autoencoder."""

    images: tuple[ImagesConfig, ...] = Field(
        (), description="sets of images to train on; none: the snapshot's training keyframes"
    )
    width: int = Field(768, ge=16, description="width of the pictures in pixels")
    height: int = Field(768, ge=16, description="height of the pictures in pixels")
    sizes: tuple[tuple[int, int], ...] = Field(
        (), description="aspect buckets (height, width) instead of one size; each image goes to the nearest shape"
    )
    training: StageConfig = Field(StageConfig(), description="schedule of stage 1")

    def whole(self, model: AutoencoderConfig) -> AutoencoderTrainingConfig:
        """The training config of the model of stage 2 at this stage's size."""
        decoder = model.decoder.model_copy(update={"image_size": (self.height, self.width)})
        parts = {name: getattr(self.training, name) for name in StageConfig.model_fields}
        return AutoencoderTrainingConfig(model=model.model_copy(update={"decoder": decoder}), **parts)


def run(
    config: FirstStageConfig,
    model: AutoencoderConfig,
    frozen: FrozenConfig,
    storage: Storage,
    snapshot: Snapshot,
    how: FitConfig,
    cluster: ClusterConfig,
    progress: Progress,
) -> str:
    """Trains stage 1, unless it is trained already.

    Returns:
        checkpoints/first_stage/<fingerprint>/final, a folder for `DiffusionAutoencoder.from_pretrained`.

    Raises:
        TrainingError: see tasks.training.engine.fit.
        ConfigError: a set has no images or no metadata.
    """
    rel = image_index(config, storage) if config.images else ""
    if not rel:
        latents.run(frozen, storage, snapshot, cluster, progress, (config.height, config.width))
    data = [rel, frozen_fingerprint(frozen, snapshot)] if frozen.kept or not rel else [rel, *init_identity(frozen.init)]
    eyes = [frozen.vision, frozen.width, frozen.height, frozen.codec]
    training = config.whole(model)
    parts = [training, config.width, config.height, config.sizes, eyes, data, how.identity]
    make = Make(config, training, frozen, storage, snapshot, rel)
    trained = fit(storage, STAGE, fingerprint(STAGE, *parts), make, how, cluster, progress)
    write_card(Card(STAGE, trained, frozen, training, images=rel), storage, snapshot)
    return trained


def image_index(config: FirstStageConfig, storage: Storage) -> str:
    """Stores the table of all images; its name is a hash of its content, not of paths."""
    table = index(config.images, with_shapes=len(config.sizes) > 1)
    digest = hashlib.sha256()
    for column in table.column_names:
        for part in table[column].chunks:
            digest.update(repr(part.to_pylist()).encode())
    rel = f"images/{digest.hexdigest()[:16]}.parquet"
    if not storage.exists(rel):
        buffer = pa.BufferOutputStream()
        pq.write_table(table, buffer)
        storage.write_bytes(rel, buffer.getvalue().to_pybytes())
    return rel


@dataclass(frozen=True)
class Make:
    """Builds the training run inside a worker; `index` is the table of the images in the storage, or ""."""

    config: FirstStageConfig
    training: AutoencoderTrainingConfig
    frozen: FrozenConfig
    storage: Storage
    snapshot: Snapshot
    index: str

    def __call__(self) -> "AutoencoderTraining":
        from models.training.autoencoder import AutoencoderTraining

        init, size = init_folder(self.frozen.init), (self.config.height, self.config.width)
        if not self.index:
            codec, train, test = both_parts(self.frozen, self.storage, self.snapshot, size)
        else:
            codec = codec_of(self.frozen, self.storage, self.snapshot, size)
            learnt, held_out = apart(pq.read_table(pa.BufferReader(self.storage.read_bytes(self.index))))
            train, test = self._views(learnt, codec), self._views(held_out, codec) if held_out.num_rows else None
        check_compressor(self.training.model.compressor, *train.features_shape)
        return AutoencoderTraining(self.training, codec, train, init, test)

    def _views(self, table: pa.Table, codec: "Codec") -> "Views":
        sizes = self.config.sizes or ((self.config.height, self.config.width),)
        return image_views(self.frozen, Images(self.config.images, table), sizes, codec)
