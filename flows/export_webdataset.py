"""A snapshot in, WebDataset shards out, for trainers that know nothing of this project."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.curation.export
from flows.recipes import Recipe
from flows.reporting import reported
from flows.workplace import workplace
from storage.root import Storage


@flow(name="export_webdataset")
def export_webdataset(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> str:
    """Exports one snapshot: the newest, or that of `--set export.snapshot=<id>`. Finished shards are kept.

    Args:
        recipe, storage, overrides: as build_dataset has them.

    Returns:
        Where index.json is in the storage; it names the shards beside it.
    """
    with workplace(recipe, storage, overrides, "export_webdataset") as (settings, place):
        return shards(settings, place)


@task(cache_policy=NO_CACHE)
def shards(settings: Recipe, place: Storage) -> str:
    with reported("export") as progress:
        return tasks.curation.export.run(settings.export, place, progress)
