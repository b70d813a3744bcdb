"""Stages 1 and 2 of the diffusion autoencoder (section 3.2, Appendix A): on images, then on a snapshot's keyframes."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import BaseModel

from models.training.autoencoder import AutoencoderTrainingConfig
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks import first_stage
from tasks.cluster import ClusterConfig
from tasks.first_stage import FirstStageConfig
from tasks.fit import FitConfig, fit
from tasks.frozen import FrozenConfig, frozen_codec, frozen_fingerprint, init_folder, look, seen
from tasks.model_card import Card, write_card
from tasks.progress import Progress
from tasks.views import check_compressor, keyframe_ids, watched_keyframes

if TYPE_CHECKING:
    from models.training.autoencoder import AutoencoderTraining


class TrainAutoencoderConfig(BaseModel, frozen=True, extra="forbid"):
    """`first` comes before `training` and gives it its weights; without it `frozen.init` does, where there is one."""

    frozen: FrozenConfig = FrozenConfig()
    first: FirstStageConfig | None = None
    training: AutoencoderTrainingConfig = AutoencoderTrainingConfig()
    fit: FitConfig = FitConfig()


def run(
    config: TrainAutoencoderConfig, storage: Storage, snapshot: Snapshot, cluster: ClusterConfig, progress: Progress
) -> str:
    """Trains it, unless that was done.

    Returns:
        checkpoints/autoencoder/<fingerprint>/final, a folder for `DiffusionAutoencoder.from_pretrained`.

    Raises:
        TrainingError: see tasks.fit.
    """
    first = ""
    if config.first is not None:
        given = config.first, config.training.model, config.frozen, storage, snapshot
        first = first_stage.run(*given, config.fit, cluster, progress)
    parts = [config.training, config.fit.identity, frozen_fingerprint(config.frozen, snapshot), first]
    make = Make(config, storage, snapshot, first)
    if config.frozen.kept:
        look(config.frozen, storage, snapshot)
    trained = fit(storage, "autoencoder", fingerprint("autoencoder", *parts), make, config.fit, cluster, progress)
    write_card(Card("autoencoder", trained, config.frozen, config.training, first), storage, snapshot)
    return trained


@dataclass(frozen=True)
class Make:
    """Builds the training run inside a worker; `first` is the folder of stage 1 in the storage, or ""."""

    config: TrainAutoencoderConfig
    storage: Storage
    snapshot: Snapshot
    first: str

    def __call__(self) -> "AutoencoderTraining":
        from models.training.autoencoder import AutoencoderTraining
        from models.training.views import Kept

        frozen, training = self.config.frozen, self.config.training
        if not frozen.kept:
            codec, rows = frozen_codec(frozen), keyframe_ids(self.storage, self.snapshot, "train")
            views = watched_keyframes(frozen, self.storage, self.snapshot, rows, codec, features=True)
            assert views.encoder is not None
            positions = views.encoder.positions(frozen.height, frozen.width)
            check_compressor(training.model.compressor, positions, views.encoder.channels)
            with self._init() as init:
                return AutoencoderTraining(training, codec, views, init)
        with seen(frozen, self.storage, self.snapshot) as see, self._init() as init:
            check_compressor(training.model.compressor, see.features.shape[1], see.features.shape[2])
            train = see.train
            kept = Kept(
                see.latents[train], see.latents_flipped[train], see.features[train], see.features_flipped[train]
            )
            return AutoencoderTraining(training, see.codec, kept, init)

    @contextmanager
    def _init(self) -> Iterator[Path | None]:
        if not self.first:
            yield init_folder(self.config.frozen.init)
            return
        with self.storage.local(self.first) as folder:
            yield folder
