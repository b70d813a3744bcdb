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
from storage.snapshot import Part, Snapshot
from tasks import first_stage
from tasks.cluster import ClusterConfig
from tasks.first_stage import FirstStageConfig
from tasks.fit import fit
from tasks.frozen import FrozenConfig, frozen_codec, frozen_fingerprint, init_folder, look, seen
from tasks.job import FitConfig
from tasks.model_card import Card, write_card
from tasks.progress import Progress
from tasks.views import check_compressor, keyframe_ids, watched_keyframes

PARTS: tuple[Part, Part] = ("train", "test")

if TYPE_CHECKING:
    from models.codec import Codec
    from models.training.autoencoder import AutoencoderTraining
    from models.training.views import Kept, Watched


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
    if config.frozen.kept:
        look(config.frozen, storage, snapshot)
    first = ""
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
        with self._views() as (codec, train, test), self._init() as init:
            check_compressor(compressor, *train.features_shape)
            return AutoencoderTraining(training, codec, train, init, test)

    @contextmanager
    def _views(self) -> "Iterator[tuple[Codec, Kept | Watched, Kept | Watched | None]]":
        """The codec, what is learnt from, and what is held out, where anything is."""
        from models.training.views import Kept

        given = frozen, storage, snapshot = self.config.frozen, self.storage, self.snapshot
        if not frozen.kept:
            codec = frozen_codec(frozen)
            train, test = (keyframe_ids(storage, snapshot, part) for part in PARTS)
            held_out = watched_keyframes(*given, test, codec, features=True) if test else None
            yield codec, watched_keyframes(*given, train, codec, features=True), held_out
            return
        with seen(*given) as see:
            kept = [
                Kept(see.latents[rows], see.latents_flipped[rows], see.features[rows], see.features_flipped[rows])
                if rows.any()
                else None
                for rows in (see.train, ~see.train)
            ]
            assert kept[0] is not None
            yield see.codec, kept[0], kept[1]

    @contextmanager
    def _init(self) -> Iterator[Path | None]:
        if not self.first:
            yield init_folder(self.config.frozen.init)
            return
        with self.storage.local(self.first) as folder:
            yield folder
