"""The whole story: films in, a movie out."""

from collections.abc import Sequence

from prefect import flow

from flows.curation import curate
from flows.movies import rendered
from flows.run import References, documented, opened
from flows.server.rescue import HOOKS
from flows.training import trained


@flow(name="studio", **HOOKS)
@documented
def studio(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> References:
    """Does what build_dataset, train_autoencoder, train_decoder, train_autoregressive, render_movies and evaluate do.

    Returns:
        All that was made: snapshot, models, and the URLs of movie, storyboard and figures.
    """
    with opened("studio", recipe, storage, overrides) as run:
        snapshot = curate(run)
        data, models = trained(run, References(snapshot.id))
        return rendered(run, data, models)
