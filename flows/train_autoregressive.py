"""Scripts and tokens in, the autoregressive model out: it writes keyframe tokens from multimodal scripts."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.training.train_autoregressive
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


@flow(name="train_autoregressive")
def train_autoregressive(
    recipe: str = "laptop",
    storage: str = "out",
    overrides: Sequence[str] = (),
    snapshot: str = "",
    autoencoder: str = "",
) -> str:
    """Trains the model of keyframe tokens; it reads no pixels.

    Args:
        recipe, storage, overrides: as build_dataset has them.
        snapshot: id of what to learn from; "" for the recipe's own films.
        autoencoder: folder of the model that makes the tokens; "" for the recipe's own.

    Returns:
        The model's folder in the storage.
    """
    given = {"snapshot": snapshot, "autoencoder": autoencoder}
    with workplace(recipe, storage, overrides, "train_autoregressive", **given) as (settings, place):
        snapshot = snapshot or build_dataset(recipe, storage, overrides)
        autoencoder = autoencoder or train_autoencoder(recipe, storage, overrides, snapshot)
        data = snapshots.load(place, snapshot)
        return autoregressive(settings, place, data, tokens(settings, place, data, autoencoder))


@task(cache_policy=NO_CACHE)
def autoregressive(settings: Recipe, place: Storage, data: Snapshot, work: Work) -> str:
    with reported("autoregressive") as progress:
        trained = tasks.training.train_autoregressive.run(
            settings.train_autoregressive(), place, data, work, settings.cluster, progress
        )
    show_training("autoregressive", place, trained)
    return trained
