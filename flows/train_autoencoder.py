"""A snapshot in, the diffusion autoencoder out (stages 1 and 2), and the tokens of all keyframes."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.training.tokens
import tasks.training.train_autoencoder
from flows.artifacts import show_training
from flows.build_dataset import build_dataset
from flows.recipes import Recipe
from flows.reporting import reported
from flows.workplace import workplace
from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.stage import Work


@flow(name="train_autoencoder")
def train_autoencoder(
    recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = (), snapshot: str = ""
) -> str:
    """Trains image encoder to tokens to picture.

    Args:
        recipe, storage, overrides: as build_dataset has them.
        snapshot: id of what to learn from; "" for the recipe's own films.

    Returns:
        The model's folder in the storage.
    """
    with workplace(recipe, storage, overrides, "train_autoencoder", snapshot=snapshot) as (settings, place):
        data = snapshots.load(place, snapshot or build_dataset(recipe, storage, overrides))
        model = autoencoder(settings, place, data)
        tokens(settings, place, data, model)
        return model


@task(cache_policy=NO_CACHE)
def autoencoder(settings: Recipe, place: Storage, data: Snapshot) -> str:
    with reported("autoencoder") as progress:
        trained = tasks.training.train_autoencoder.run(
            settings.train_autoencoder(), place, data, settings.cluster, progress
        )
    show_training("autoencoder", place, trained)
    return trained


@task(cache_policy=NO_CACHE)
def tokens(settings: Recipe, place: Storage, data: Snapshot, model: str) -> Work:
    with reported("tokens", of="films") as progress:
        return tasks.training.tokens.run(settings.frozen, place, data, model, settings.cluster, progress)
