"""Films in, a snapshot out: keyframes, characters, faces, captions, scripts and features of every film."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.curation.ingest
import tasks.curation.keyframes
import tasks.curation.snapshot
from flows.artifacts import show_counts, show_rows, show_sheet
from flows.recipes import Recipe
from flows.reporting import reported, warn
from flows.servers import ask_servers
from flows.workplace import workplace
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks.curation.ingest import Ingested
from tasks.curation.pipeline import CURATION
from tasks.stage import Stage, Work, run_stage


@flow(name="build_dataset")
def build_dataset(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> str:
    """Curates the films of a recipe.

    Args:
        recipe: name of a function in flows.recipes.
        storage: folder, file://, s3:// or gs://.
        overrides: `a.b=c` each, as `--set` on the command line.

    Returns:
        The id of the snapshot, under snapshots/ in the storage.
    """
    with workplace(recipe, storage, overrides, "build_dataset") as (settings, place):
        films = ingest(settings, place)
        ask_servers(settings, place, films.films)
        work = keyframes(settings, place, films)
        for stage in CURATION[1:]:
            work = curate.with_options(name=stage.name)(stage, settings, place, work)
        made = snapshot(settings, place, work)
        show_dataset(place, made)
        return made.id


@task(cache_policy=NO_CACHE)
def ingest(settings: Recipe, place: Storage) -> Ingested:
    with reported("ingest") as progress:
        return tasks.curation.ingest.run(settings.ingest, place, progress)


@task(cache_policy=NO_CACHE)
def keyframes(settings: Recipe, place: Storage, films: Ingested) -> Work:
    with reported("keyframes", of="films") as progress:
        return tasks.curation.keyframes.run(settings.keyframes, place, films, settings.cluster, progress)


@task(cache_policy=NO_CACHE)
def curate(stage: Stage, settings: Recipe, place: Storage, work: Work) -> Work:
    with reported(stage.name, of="films") as progress:
        return run_stage(stage, stage.arguments(settings), place, work, settings.cluster, progress)


@task(cache_policy=NO_CACHE)
def snapshot(settings: Recipe, place: Storage, work: Work) -> Snapshot:
    return tasks.curation.snapshot.run(settings.snapshot, place, work, warn)


def show_dataset(place: Storage, made: Snapshot, pictures: int = 24) -> None:
    """Row counts, rejects and a contact sheet of the first film's keyframes, for Prefect's pages."""
    tables = Tables(place)
    show_counts("rows", tables.count(), f"Finished rows in {place.base}")
    rejects = [reject.model_dump(include={"source", "stage", "reason", "detail"}) for reject in tables.rejects()]
    if rejects:
        show_rows("rejects", rejects, "What was left out, or is damaged, and why")
    first, *_ = made.films
    keyframes = FilmRows(place, "keyframes", made.work["keyframes"])
    row_ids = keyframes.row_ids(first.film_id)
    some = [
        keyframes.between(first.film_id, row_id, row_id, ["second", "image"]).to_pylist()[0]
        for row_id in row_ids[:: max(1, len(row_ids) // pictures)][:pictures]
    ]
    lines = [some[start : start + 8] for start in range(0, len(some), 8)]
    sheet = {f"from {line[0]['second']} s": [row["image"] for row in line] for line in lines}
    show_sheet("keyframes", f"Keyframes of {first.name}", sheet)
