"""Stage 3: the ID-preserving decoder (section 3.3), on the training half of a snapshot."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel

from models.codec import load_codec
from models.training.decoder import DecoderTrainingConfig
from storage.errors import ConfigError
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks import dataset, tokens
from tasks.cluster import ClusterConfig
from tasks.fit import fit
from tasks.frozen import FrozenConfig, frozen_codec, frozen_fingerprint, look, seen
from tasks.job import FitConfig
from tasks.model_card import Card, write_card
from tasks.progress import Progress
from tasks.stage import Work
from tasks.views import watched_keyframes

if TYPE_CHECKING:
    from models.codec import Codec
    from models.training.decoder import DecoderTraining
    from models.training.views import Views


class TrainDecoderConfig(BaseModel, frozen=True, extra="forbid"):
    """`frozen` is the autoencoder's."""

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
    """Trains it, unless that was done.

    Args:
        autoencoder: its folder in the storage, as tasks.train_autoencoder returns it.
        work: as tasks.tokens returns it.

    Returns:
        checkpoints/decoder/<fingerprint>/final, a folder for `DiffusionAutoencoder.from_pretrained`: the whole
        autoencoder, whose decoder now reads descriptions and faces too.

    Raises:
        TrainingError: see tasks.fit.
    """
    parts = [config.training, config.fit.identity, frozen_fingerprint(config.frozen, snapshot)]
    key = fingerprint("decoder", *parts, autoencoder, work["tokens"], snapshot.work["features"])
    make = Make(config, storage, snapshot, autoencoder, work)
    if config.frozen.kept:
        look(config.frozen, storage, snapshot)
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
        from models.training.decoder import DecoderTraining, Scripts

        films = dataset.load(self.storage, self.snapshot.within(self.work), "train")
        row_ids = [row_id for film in films for row_id in film.row_ids]
        scripts = [script for film in films for script in film.scripts]
        # Characters are numbered film by film; those of different films are different people.
        characters = [
            [-1 if c < 0 else int(c) * len(films) + place for c in of_frame]
            for place, film in enumerate(films)
            for of_frame in film.face_characters
        ]
        tokens_FLD, flipped_FLD = tokens.read(self.storage, self.work, row_ids)
        vectors = Scripts([script.sentences for script in scripts], [script.faces for script in scripts], characters)
        with self._views(row_ids) as (codec, views), self.storage.local(self.autoencoder) as folder:
            if not codec.same_as(load_codec(folder / "codec")):
                raise ConfigError(
                    f"the autoencoder {self.autoencoder!r} was trained on latents of another codec than the recipe's "
                    "settings under `frozen` make of this snapshot: train the decoder with the settings and the "
                    "snapshot of its autoencoder"
                )
            return DecoderTraining(self.config.training, folder, tokens_FLD, flipped_FLD, views, vectors)

    @contextmanager
    def _views(self, row_ids: Sequence[str]) -> "Iterator[tuple[Codec, Views]]":
        from models.training.views import Kept

        frozen = self.config.frozen
        if frozen.kept:
            with seen(frozen, self.storage, self.snapshot) as see:
                places = see.rows(row_ids)
                yield see.codec, Kept(see.latents[places], see.latents_flipped[places])
        else:
            codec = frozen_codec(frozen)
            yield codec, watched_keyframes(frozen, self.storage, self.snapshot, row_ids, codec, features=False)
