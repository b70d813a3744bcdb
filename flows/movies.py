"""The flows of movies: models make keyframes, movie.mp4, its figures and the storyboard."""

from collections.abc import Sequence
from dataclasses import replace

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.figures.measure
import tasks.movies.movie
import tasks.movies.quality
import tasks.movies.render
import tasks.movies.script_movie
import tasks.movies.storyboard
import tasks.shown
from flows.display.artifacts import show_markdown, show_rows, show_sheet
from flows.display.reporting import reported
from flows.display.shown import in_markdown, link
from flows.run import References, Run, documented, opened
from flows.server.rescue import HOOKS
from flows.training import tokens, trained
from storage import publish
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.filmrows import FilmRows
from tasks.stage import Work

_PICTURES = 8  # of each half of the first film, that a page shows


@flow(name="render_movies", **HOOKS)
@documented
def render_movies(
    recipe: str = "laptop",
    storage: str = "out",
    overrides: Sequence[str] = (),
    snapshot: str = "",
    autoencoder: str = "",
    decoder: str = "",
    autoregressive: str = "",
) -> References:
    """Renders a movie of what is held out of each film of a snapshot, or with `script.path` of a user's own script.

    Returns:
        Snapshot, models, movie.mp4, storyboard.html and metrics.json; of a script movie.mp4 and notes.json.
    """
    given = References(snapshot, autoencoder, decoder, autoregressive)
    with opened("render_movies", recipe, storage, overrides, given) as run:
        return rendered(run, *trained(run, given))


@flow(name="evaluate", **HOOKS)
@documented
def evaluate(
    recipe: str = "laptop",
    storage: str = "out",
    overrides: Sequence[str] = (),
    snapshot: str = "",
    autoencoder: str = "",
    decoder: str = "",
    autoregressive: str = "",
) -> References:
    """Computes the figures of a snapshot's models, on the training part and on the held-out part.

    Returns:
        Snapshot, models and metrics.json.
    """
    given = References(snapshot, autoencoder, decoder, autoregressive)
    with opened("evaluate", recipe, storage, overrides, given) as run:
        data, models = trained(run, given)
        work = renders(run, data, models, tokens(run, data, models))
        rel = figures(run, data.within(work), models, work)
        return replace(models, files=(run.storage.url(rel),))


def rendered(run: Run, data: Snapshot, models: References) -> References:
    """The models, and the files of the movies that they make from a snapshot or from the user's own script."""
    if run.settings.script.path:
        return replace(models, files=script_movie(run, data, models))
    work = renders(run, data, models, tokens(run, data, models))
    data = data.within(work)
    name = movie(run, data, work)
    metrics = figures(run, data, models, work)
    return replace(models, files=storyboard(run, data, work, name, metrics))


@task(cache_policy=NO_CACHE)
def renders(run: Run, data: Snapshot, models: References, work: Work) -> Work:
    """Draws all keyframes in all variants of the recipe; both the movie and its figures are made from them."""
    settings = run.settings
    with reported("renders", of="films") as progress:
        work = tasks.movies.render.run(
            settings.render,
            run.storage,
            data,
            work,
            models.decoder,
            models.autoregressive,
            settings.cluster,
            progress,
        )
    show_renders(run.storage, data.within(work), work)
    return work


@task(cache_policy=NO_CACHE)
def figures(run: Run, data: Snapshot, models: References, work: Work) -> str:
    """Compares the keyframes; returns the path of metrics.json in the storage."""
    settings = run.settings
    shown = tasks.figures.measure.Rendered(
        run.storage, data, work, models.autoregressive, settings.render.generation, settings.face
    )
    with reported("figures") as progress:
        rel = tasks.figures.measure.run(settings.evaluate, shown, settings.cluster, progress)
    metrics = tasks.figures.measure.read(run.storage, rel)
    show_rows("metrics", [{"metric": name, **figure.model_dump()} for name, figure in metrics.items()], "The figures")
    folders = {name: getattr(models, name) for name in ("autoencoder", "decoder", "autoregressive")}
    page = run.storage.url(tasks.movies.quality.of_models(run.storage, rel, metrics, data, folders))
    show_markdown(
        "quality", f"# {link('Quality report', page)}\n", "The figures of a snapshot and its models, as a page"
    )
    return rel


@task(cache_policy=NO_CACHE)
def movie(run: Run, data: Snapshot, work: Work) -> str:
    """Animates the keyframes and encodes the movie; returns its id."""
    settings = run.settings
    with reported("movie") as progress:
        return tasks.movies.movie.run(settings.movie, run.storage, data, work, progress, settings.ingest.films)


@task(cache_policy=NO_CACHE)
def storyboard(run: Run, data: Snapshot, work: Work, name: str, metrics: str) -> tuple[str, ...]:
    """Writes the page of a movie and publishes both; returns their URLs and that of the figures."""
    with reported("storyboard") as progress:
        urls = tasks.movies.storyboard.run(run.settings.storyboard, run.storage, data, work, name, metrics, progress)
    lines = "\n".join([*(f"- {link(url.rsplit('/', 1)[-1], url)}" for url in urls), *publish.notes(run.storage, name)])
    titles = tasks.shown.listed([film.name for film in data.of_part("test")])
    show_markdown(
        "movie", f"# {in_markdown(titles)}\n\n{lines}\n", "The movie, the page that shows how it was made, its figures"
    )
    return tuple(urls)


@task(cache_policy=NO_CACHE)
def script_movie(run: Run, data: Snapshot, models: References) -> tuple[str, str]:
    """Makes the movie of a user's own script; returns the URLs of the movie and of the notes on it."""
    settings, place = run.settings, run.storage
    depends = tasks.movies.script_movie.Settings(
        settings.sentence, settings.face, settings.frozen, settings.render, settings.movie
    )
    folders = (models.autoencoder, models.decoder, models.autoregressive)
    with reported("script") as progress:
        folder = tasks.movies.script_movie.run(settings.script, depends, place, data, *folders, progress)
    lines = "\n".join(f"- {in_markdown(note)}" for note in tasks.movies.script_movie.notes(place, folder))
    url = place.url(f"{folder}/movie.mp4")
    show_markdown("script", f"# {link('movie.mp4', url)}\n\n{lines}\n", "The movie, and what its script says otherwise")
    return url, place.url(f"{folder}/notes.json")


def show_renders(place: Storage, data: Snapshot, work: Work) -> None:
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
        for row_id in row_ids[:: max(1, len(row_ids) // _PICTURES)][:_PICTURES]:
            (original,) = originals.between(film_id, row_id, row_id, ["image"]).to_pylist()
            sheet.setdefault("original", []).append(original["image"])
            for row in drawn.between(film_id, row_id, row_id, ["variant", "image"]).to_pylist():
                sheet.setdefault(row["variant"], []).append(row["image"])
        show_sheet(f"renders-{half}", f"{film.name}, {half} half", sheet)
