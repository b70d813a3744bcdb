"""A snapshot in, its data card out: data_card.html and data_card.json."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.curation.data_card
from flows.artifacts import show_markdown
from flows.recipes import Recipe
from flows.reporting import reported
from flows.workplace import workplace
from storage.root import Storage


@flow(name="data_card")
def data_card(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> str:
    """Makes the page of one snapshot: the newest, or that of `--set data_card.snapshot=<id>`.

    Args:
        recipe, storage, overrides: as build_dataset has them.

    Returns:
        Where the page is in the storage; data_card.json lies beside it.
    """
    with workplace(recipe, storage, overrides, "data_card") as (settings, place):
        return card(settings, place)


@task(cache_policy=NO_CACHE)
def card(settings: Recipe, place: Storage) -> str:
    with reported("data card") as progress:
        rel = tasks.curation.data_card.run(settings.data_card, place, progress)
    url = place.url(rel)
    show_markdown("data-card", f"# Data card\n\n[{url}]({url})\n", "What a snapshot holds and what it lacks")
    return rel
