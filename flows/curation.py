"""The flows of curation: films become a snapshot, with a data card and an export for other trainers."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.events import emit_event

import tasks.curation.data_card
import tasks.curation.dedup
import tasks.curation.export
import tasks.curation.ingest
import tasks.curation.keyframes
import tasks.curation.snapshot
from flows.display.artifacts import show_markdown, show_rows, show_sheet
from flows.display.reporting import reported, warn
from flows.display.shown import link
from flows.run import References, Run, documented, opened
from flows.server.rescue import HOOKS
from flows.settings.preflight import ask_servers
from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks.curation.ingest import Ingested
from tasks.curation.pipeline import CURATION
from tasks.stage import Stage, Work, run_stage

_PICTURES = 24  # of the first film, that a page shows


@flow(name="build_dataset", **HOOKS)
@documented
def build_dataset(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> References:
    """Curates the films of a recipe.

    Returns:
        The snapshot, which is under snapshots/ in the storage.
    """
    with opened("build_dataset", recipe, storage, overrides) as run:
        return References(curate(run).id)


@flow(name="data_card", **HOOKS)
@documented
def data_card(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> References:
    """Makes the page of one snapshot: the newest, or that of `--set data_card.snapshot=<id>`.

    Returns:
        URL of the page. data_card.json is in the same folder.
    """
    with opened("data_card", recipe, storage, overrides) as run:
        return References(files=(card(run),))


@flow(name="export_webdataset", **HOOKS)
@documented
def export_webdataset(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> References:
    """Exports one snapshot: the newest, or that of `--set export.snapshot=<id>`. Finished shards are kept.

    Returns:
        URL of index.json, which names the shards in its folder.
    """
    with opened("export_webdataset", recipe, storage, overrides) as run:
        return References(files=(shards(run),))


def curate(run: Run) -> Snapshot:
    """Keyframes, characters, faces, captions, scripts and features of every film, and a snapshot of them."""
    films = ingest(run)
    ask_servers(run.settings, run.storage, films.films)
    work = dedup(run, keyframes(run, films))
    for stage in CURATION[1:]:
        work = film_by_film.with_options(name=stage.name)(run, stage, work)
    made = snapshot(run, work)
    show_dataset(run.storage, made)
    return made


@task(cache_policy=NO_CACHE)
def ingest(run: Run) -> Ingested:
    """Finds the films and reads their headers."""
    with reported("ingest") as progress:
        return tasks.curation.ingest.run(run.settings.ingest, run.storage, progress)


@task(cache_policy=NO_CACHE)
def keyframes(run: Run, films: Ingested) -> Work:
    """Decodes the films."""
    with reported("keyframes", of="films") as progress:
        return tasks.curation.keyframes.run(run.settings.keyframes, run.storage, films, run.settings.cluster, progress)


@task(cache_policy=NO_CACHE)
def dedup(run: Run, work: Work) -> Work:
    """Leaves out near duplicates."""
    with reported("dedup") as progress:
        return tasks.curation.dedup.run(run.settings.dedup, run.storage, work, progress)


@task(cache_policy=NO_CACHE)
def film_by_film(run: Run, stage: Stage, work: Work) -> Work:
    """Any other stage of the curation."""
    with reported(stage.name, of="films") as progress:
        return run_stage(stage, stage.arguments(run.settings), run.storage, work, run.settings.cluster, progress)


@task(cache_policy=NO_CACHE)
def snapshot(run: Run, work: Work) -> Snapshot:
    """Splits the films into training and held-out ones; announces a new snapshot."""
    known = snapshots.ids(run.storage)
    made = tasks.curation.snapshot.run(run.settings.snapshot, run.storage, work, warn)
    if made.id not in known:
        emit_event(
            "snapshot.published",
            resource={"prefect.resource.id": f"moviedreamer.snapshot.{made.id}"},
            payload={"snapshot": made.id, "storage": run.storage.base, "recipe": run.settings.name},
        )
    return made


@task(cache_policy=NO_CACHE)
def card(run: Run) -> str:
    """The URL of the data card."""
    with reported("data card") as progress:
        url = run.storage.url(tasks.curation.data_card.run(run.settings.data_card, run.storage, progress))
    show_markdown("data-card", f"# Data card\n\n{link(url, url)}\n", "What a snapshot holds and what it lacks")
    return url


@task(cache_policy=NO_CACHE)
def shards(run: Run) -> str:
    """The URL of the export's index."""
    with reported("export") as progress:
        return run.storage.url(tasks.curation.export.run(run.settings.export, run.storage, progress))


def show_dataset(place: Storage, made: Snapshot) -> None:
    """Row counts, rejects and a contact sheet of the first film's keyframes, for Prefect's pages."""
    tables = Tables(place)
    counts = [{"table": name, "rows": count} for name, count in tables.count().items()]
    show_rows("rows", counts, f"Finished rows in {place.base}")
    rejects = [reject.model_dump(include={"source", "stage", "reason", "detail"}) for reject in tables.rejects()]
    if rejects:
        show_rows("rejects", rejects, "What was left out, or is damaged, and why")
    first, *_ = made.films
    keyframes = FilmRows(place, "keyframes", made.work["keyframes"])
    row_ids = keyframes.row_ids(first.film_id)
    some = [
        keyframes.between(first.film_id, row_id, row_id, ["second", "image"]).to_pylist()[0]
        for row_id in row_ids[:: max(1, len(row_ids) // _PICTURES)][:_PICTURES]
    ]
    lines = [some[start : start + 8] for start in range(0, len(some), 8)]
    sheet = {f"from {line[0]['second']} s": [row["image"] for row in line] for line in lines}
    show_sheet("keyframes", f"Keyframes of {first.name}", sheet)
