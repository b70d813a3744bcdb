"""The autoregressive model (section 3.4), on scripts and tokens of a snapshot's training half; no pixels are read."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from models.training.autoregressive import AutoregressiveTrainingConfig
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from tasks.cluster import ClusterConfig
from tasks.progress import Progress
from tasks.stage import Work
from tasks.training.engine.fit import fit
from tasks.training.engine.job import FitConfig
from tasks.training.episodes import FilmEpisode, Reader, episodes
from tasks.training.frozen import init_folder, init_identity
from tasks.training.model_card import Card, write_card

if TYPE_CHECKING:
    from models.training.autoregressive import AutoregressiveTraining


class TrainAutoregressiveConfig(BaseModel, frozen=True, extra="forbid"):
    """The model, its training and how it is run."""

    training: AutoregressiveTrainingConfig = AutoregressiveTrainingConfig()
    fit: FitConfig = FitConfig()


def run(
    config: TrainAutoregressiveConfig,
    storage: Storage,
    snapshot: Snapshot,
    work: Work,
    cluster: ClusterConfig,
    progress: Progress,
) -> str:
    """Trains the model, unless it is trained already.

    Args:
        work: the result of tasks.training.tokens.

    Returns:
        checkpoints/autoregressive/<fingerprint>/final, a folder for `AutoregressiveModel.from_pretrained`.

    Raises:
        TrainingError: see tasks.training.engine.fit.
    """
    parts = [config.training, config.fit.identity]
    init = init_identity(config.training.init)
    key = fingerprint("autoregressive", *parts, work["tokens"], snapshot.work["features"], *init)
    make = Make(config, storage, snapshot, work)
    trained = fit(storage, "autoregressive", key, make, config.fit, cluster, progress)
    write_card(Card("autoregressive", trained, None, config.training, config.training.init), storage, snapshot)
    return trained


@dataclass(frozen=True)
class Make:
    """Builds the training run inside a worker: each film's training half is an episode."""

    config: TrainAutoregressiveConfig
    storage: Storage
    snapshot: Snapshot
    work: Work

    def __call__(self) -> "AutoregressiveTraining":
        from models.training.autoregressive import AutoregressiveTraining

        held_out = self._episodes("test") if self.config.fit.validate_every else []
        training = self.config.training
        return AutoregressiveTraining(training, self._episodes("train"), held_out, init_folder(training.init))

    def _episodes(self, part: Part) -> list[FilmEpisode]:
        return episodes(Reader(self.storage, self.snapshot.within(self.work), self.work, part))
