"""The whole story: films in, a movie out."""

from collections.abc import Sequence
from dataclasses import asdict

from prefect import flow

from flows.render_movies import render_movies
from flows.training import Trained, trained
from flows.workplace import workplace


@flow(name="studio")
def studio(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> dict[str, str | list[str]]:
    """Runs build_dataset, train_autoencoder, train_decoder, train_autoregressive, render_movies and evaluate.

    Args:
        recipe, storage, overrides: as build_dataset has them.

    Returns:
        References to all that was made: snapshot, models, and the URLs of movie, storyboard and figures.
    """
    with workplace(recipe, storage, overrides, "studio"):
        models = asdict(trained(recipe, storage, overrides, Trained()))
        return models | {"files": render_movies(recipe, storage, overrides, **models)}
