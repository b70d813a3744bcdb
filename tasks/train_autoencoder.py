"""Stages 1 and 2 of the diffusion autoencoder (section 3.2, Appendix A), on the training half of a snapshot."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from models.training.autoencoder import AutoencoderTrainingConfig
from storage.errors import ConfigError
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.cluster import ClusterConfig
from tasks.fit import FitConfig, fit
from tasks.frozen import FrozenConfig, frozen_fingerprint, init_folder, seen
from tasks.progress import Progress

if TYPE_CHECKING:
    from models.training.autoencoder import AutoencoderTraining


class TrainAutoencoderConfig(BaseModel, frozen=True, extra="forbid"):
    """`frozen.init` also gives the weights to start from."""

    frozen: FrozenConfig = FrozenConfig()
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
    parts = [config.training, config.fit.identity]
    key = fingerprint("autoencoder", *parts, frozen_fingerprint(config.frozen, snapshot))
    return fit(storage, "autoencoder", key, Make(config, storage, snapshot), config.fit, cluster, progress)


@dataclass(frozen=True)
class Make:
    """Builds the training run inside a worker."""

    config: TrainAutoencoderConfig
    storage: Storage
    snapshot: Snapshot

    def __call__(self) -> "AutoencoderTraining":
        from models.training.autoencoder import AutoencoderTraining

        compressor = self.config.training.model.compressor
        with seen(self.config.frozen, self.storage, self.snapshot) as see:
            positions, channels = see.features.shape[1:]
            if (compressor.positions, compressor.channels) != (positions, channels):
                raise ConfigError(
                    f"the compressor takes {compressor.positions} positions of {compressor.channels} channels, the "
                    f"image encoder gives {positions} of {channels}: set compressor.positions and .channels to these"
                )
            train = see.train
            return AutoencoderTraining(
                self.config.training,
                see.codec,
                see.features[train],
                see.features_flipped[train],
                see.latents[train].float(),
                see.latents_flipped[train].float(),
                init_folder(self.config.frozen.init),
            )
