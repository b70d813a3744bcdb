"""An autoencoder in, the ID-preserving decoder out (stage 3): it also reads descriptions and faces."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.training.train_decoder
from flows.artifacts import show_training
from flows.build_dataset import build_dataset
from flows.recipes import Recipe
from flows.reporting import reported
from flows.train_autoencoder import tokens, train_autoencoder
from flows.workplace import workplace
from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.stage import Work


@flow(name="train_decoder")
def train_decoder(
    recipe: str = "laptop",
    storage: str = "out",
    overrides: Sequence[str] = (),
    snapshot: str = "",
    autoencoder: str = "",
) -> str:
    """Trains the decoder on; compressor and tokens stay as they are.

    Args:
        recipe, storage, overrides: as build_dataset has them.
        snapshot: id of what to learn from; "" for the recipe's own films.
        autoencoder: the model's folder in the storage; "" for the recipe's own.

    Returns:
        The decoder's folder in the storage.
    """
    given = {"snapshot": snapshot, "autoencoder": autoencoder}
    with workplace(recipe, storage, overrides, "train_decoder", **given) as (settings, place):
        snapshot = snapshot or build_dataset(recipe, storage, overrides)
        autoencoder = autoencoder or train_autoencoder(recipe, storage, overrides, snapshot)
        data = snapshots.load(place, snapshot)
        return decoder(settings, place, data, autoencoder, tokens(settings, place, data, autoencoder))


@task(cache_policy=NO_CACHE)
def decoder(settings: Recipe, place: Storage, data: Snapshot, model: str, work: Work) -> str:
    with reported("decoder") as progress:
        trained = tasks.training.train_decoder.run(
            settings.train_decoder(), place, data, model, work, settings.cluster, progress
        )
    show_training("decoder", place, trained)
    return trained
