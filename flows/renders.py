"""Models in, keyframes out: what a movie and its figures are both made of."""

from prefect import task
from prefect.cache_policies import NO_CACHE

import tasks.movies.render
from flows.artifacts import show_sheet
from flows.recipes import Recipe
from flows.reporting import reported
from flows.train_autoencoder import tokens
from flows.training import Trained
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.filmrows import FilmRows
from tasks.stage import Work


@task(cache_policy=NO_CACHE)
def renders(settings: Recipe, place: Storage, data: Snapshot, models: Trained) -> Work:
    """All keyframes, in all variants of the recipe."""
    work = tokens(settings, place, data, models.autoencoder)
    with reported("renders", of="films") as progress:
        work = tasks.movies.render.run(
            settings.render,
            place,
            data,
            work,
            models.decoder,
            models.autoregressive,
            settings.cluster,
            progress,
        )
    show_renders(place, data.within(work), work)
    return work


def show_renders(place: Storage, data: Snapshot, work: Work, pictures: int = 8) -> None:
    """A contact sheet of the first film: originals above, what was rebuilt and dreamt of them below."""
    if not (films := data.of_part("test")):
        return
    film, film_id = films[0], films[0].film_id
    originals, drawn = (FilmRows(place, table, work[table]) for table in ("keyframes", "renders"))
    halves: dict[str, Part] = {"learnt": "train", "held-out": "test"}
    for half, part in halves.items():
        rows = [row for some in originals.batches(film_id, ["row_id", "second"]) for row in some.to_pylist()]
        row_ids = [row["row_id"] for row in rows if film.part(row["second"]) == part]
        sheet: dict[str, list[bytes]] = {}
        for row_id in row_ids[:: max(1, len(row_ids) // pictures)][:pictures]:
            (original,) = originals.between(film_id, row_id, row_id, ["image"]).to_pylist()
            sheet.setdefault("original", []).append(original["image"])
            for row in drawn.between(film_id, row_id, row_id, ["variant", "image"]).to_pylist():
                sheet.setdefault(row["variant"], []).append(row["image"])
        show_sheet(f"renders-{half}", f"{film.name}, {half} half", sheet)
