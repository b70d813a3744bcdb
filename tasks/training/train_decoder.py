"""Stage 3: the ID-preserving decoder (section 3.3), on the training half of a snapshot."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from models.codec import load_codec
from models.training.decoder import DecoderTrainingConfig
from storage.errors import ConfigError
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from tasks.cluster import ClusterConfig
from tasks.progress import Progress
from tasks.stage import Work
from tasks.training import latents
from tasks.training.engine.fit import fit
from tasks.training.engine.job import FitConfig
from tasks.training.episodes import Reader
from tasks.training.frozen import FrozenConfig, codec_of, frozen_fingerprint
from tasks.training.model_card import Card, write_card
from tasks.training.pretrained import known
from tasks.training.views import keyframe_views

if TYPE_CHECKING:
    from models.codec import Codec
    from models.training.decoder import DecoderTraining, Keyframes


class TrainDecoderConfig(BaseModel, frozen=True, extra="forbid"):
    """Stage 3; `frozen` is the same as the autoencoder's."""

    frozen: FrozenConfig = FrozenConfig()
    training: DecoderTrainingConfig = DecoderTrainingConfig()
    fit: FitConfig = FitConfig()


def run(
    config: TrainDecoderConfig,
    storage: Storage,
    snapshot: Snapshot,
    autoencoder: str,
    work: Work,
    cluster: ClusterConfig,
    progress: Progress,
) -> str:
    """Trains the decoder, unless it is trained already or `frozen.init` knows the film (`fine_tune_below`).

    Args:
        autoencoder: its folder in the storage, the result of tasks.training.train_autoencoder.
        work: the result of tasks.training.tokens.

    Returns:
        checkpoints/decoder/<fingerprint>/final, a folder for `DiffusionAutoencoder.from_pretrained`: the whole
        autoencoder, whose decoder now also reads descriptions and faces.

    Raises:
        TrainingError: see tasks.training.engine.fit.
    """
    parts = [config.training, config.fit.identity, frozen_fingerprint(config.frozen, snapshot)]
    key = fingerprint("decoder", *parts, autoencoder, work["tokens"], snapshot.work["features"])
    make = Make(config, storage, snapshot, autoencoder, work)
    latents.run(config.frozen, storage, snapshot, cluster, progress)
    if folder := known("decoder", config.frozen, storage, snapshot, autoencoder):
        return folder
    trained = fit(storage, "decoder", key, make, config.fit, cluster, progress)
    write_card(Card("decoder", trained, config.frozen, config.training, autoencoder), storage, snapshot)
    return trained


@dataclass(frozen=True)
class Make:
    """Builds the training run inside a worker."""

    config: TrainDecoderConfig
    storage: Storage
    snapshot: Snapshot
    autoencoder: str
    work: Work

    def __call__(self) -> "DecoderTraining":
        from models.training.decoder import DecoderTraining

        with self.storage.local(self.autoencoder) as folder:
            train = self._keyframes("train", load_codec(folder / "codec"))
            assert train is not None
            test = self._keyframes("test", load_codec(folder / "codec")) if self.config.fit.validate_every else None
            return DecoderTraining(self.config.training, folder, train, test)

    def _keyframes(self, part: Part, trained_on: "Codec") -> "Keyframes | None":
        """The keyframes of a part of the snapshot, None if there are none."""
        from models.training.decoder import Keyframes

        frozen, reader = self.config.frozen, Reader(self.storage, self.snapshot.within(self.work), self.work, part)
        if not len(reader):
            return None
        codec = codec_of(frozen, self.storage, self.snapshot)
        if not codec.same_as(trained_on):
            raise ConfigError(
                f"the autoencoder {self.autoencoder!r} was trained on latents of another codec than the one of the "
                "recipe's settings `frozen` and this snapshot: train the decoder with the settings and the snapshot "
                "of its autoencoder"
            )
        views = keyframe_views(frozen, self.storage, self.snapshot, reader.row_ids, codec, features=False)
        return Keyframes(views, reader)
