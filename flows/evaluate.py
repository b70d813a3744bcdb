"""Models in, metrics.json out: keyframes are drawn, looked at and compared."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.movies.evaluate
from flows.artifacts import show_rows
from flows.recipes import Recipe
from flows.renders import renders
from flows.reporting import reported
from flows.training import Trained, trained
from flows.workplace import workplace
from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.stage import Work


@flow(name="evaluate")
def evaluate(
    recipe: str = "laptop",
    storage: str = "out",
    overrides: Sequence[str] = (),
    snapshot: str = "",
    autoencoder: str = "",
    decoder: str = "",
    autoregressive: str = "",
) -> str:
    """Computes the figures of a snapshot's models, on what was learnt from and on what was held out.

    Args:
        recipe, storage, overrides: as build_dataset has them.
        snapshot: id; "" for the recipe's own films.
        autoencoder, decoder, autoregressive: the models' folders in the storage; "" for the recipe's own.

    Returns:
        Where metrics.json is in the storage.
    """
    given = Trained(snapshot, autoencoder, decoder, autoregressive)
    with workplace(recipe, storage, overrides, "evaluate", **vars(given)) as (settings, place):
        models = trained(recipe, storage, overrides, given)
        data = snapshots.load(place, models.snapshot)
        work = renders(settings, place, data, models)
        return figures(settings, place, data.within(work), models, work)


@task(cache_policy=NO_CACHE)
def figures(settings: Recipe, place: Storage, data: Snapshot, models: Trained, work: Work) -> str:
    with reported("figures") as progress:
        rel = tasks.movies.evaluate.run(
            settings.evaluate,
            settings.face,
            place,
            data,
            work,
            models.autoregressive,
            settings.render.generation,
            progress,
        )
    metrics = tasks.movies.evaluate.read(place, rel)
    show_rows("metrics", [{"metric": name, **figure.model_dump()} for name, figure in metrics.items()], "The figures")
    return rel
