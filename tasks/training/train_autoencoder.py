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
from tasks.cluster import ClusterConfig
from tasks.progress import Progress
from tasks.training import first_stage, latents
from tasks.training.engine.fit import fit
from tasks.training.engine.job import FitConfig
from tasks.training.first_stage import FirstStageConfig
from tasks.training.frozen import FrozenConfig, frozen_fingerprint, init_folder
from tasks.training.model_card import Card, write_card
from tasks.training.pretrained import known
from tasks.training.views import both_parts, check_compressor

if TYPE_CHECKING:
    from models.training.autoencoder import AutoencoderTraining


class TrainAutoencoderConfig(BaseModel, frozen=True, extra="forbid"):
    """`training` starts from the weights of stage 1 (`first`) or, without it, from `frozen.init` if it is set."""

    frozen: FrozenConfig = FrozenConfig()
    first: FirstStageConfig | None = None
    training: AutoencoderTrainingConfig = AutoencoderTrainingConfig()
    fit: FitConfig = FitConfig()


def run(
    config: TrainAutoencoderConfig, storage: Storage, snapshot: Snapshot, cluster: ClusterConfig, progress: Progress
) -> str:
    """Trains stages 1 and 2, unless they are trained already or `frozen.init` knows the film (`fine_tune_below`).

    Returns:
        checkpoints/autoencoder/<fingerprint>/final, a folder for `DiffusionAutoencoder.from_pretrained`.

    Raises:
        TrainingError: see tasks.training.engine.fit.
    """
    latents.run(config.frozen, storage, snapshot, cluster, progress)
    first = ""
    if config.first is None and (folder := known("autoencoder", config.frozen, storage, snapshot)):
        return folder
    if config.first is not None:
        given = config.first, config.training.model, config.frozen, storage, snapshot
        first = first_stage.run(*given, config.fit, cluster, progress)
    parts = [config.training, config.fit.identity, frozen_fingerprint(config.frozen, snapshot), first]
    make = Make(config, storage, snapshot, first)
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

        training, compressor = self.config.training, self.config.training.model.compressor
        codec, train, test = both_parts(self.config.frozen, self.storage, self.snapshot)
        check_compressor(compressor, *train.features_shape)
        with self._init() as init:
            return AutoencoderTraining(training, codec, train, init, test)

    @contextmanager
    def _init(self) -> Iterator[Path | None]:
        if not self.first:
            yield init_folder(self.config.frozen.init)
            return
        with self.storage.local(self.first) as folder:
            yield folder
