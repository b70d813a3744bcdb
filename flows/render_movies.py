"""Models in, movies out: keyframes, clips, movie.mp4, its figures and the storyboard that shows how."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.movies.movie
import tasks.movies.script_movie
import tasks.movies.storyboard
import tasks.shown
from flows.artifacts import show_markdown
from flows.evaluate import figures
from flows.recipes import Recipe
from flows.renders import renders
from flows.reporting import reported
from flows.training import Trained, trained
from flows.workplace import workplace
from storage import publish
from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.stage import Work


@flow(name="render_movies")
def render_movies(
    recipe: str = "laptop",
    storage: str = "out",
    overrides: Sequence[str] = (),
    snapshot: str = "",
    autoencoder: str = "",
    decoder: str = "",
    autoregressive: str = "",
) -> list[str]:
    """Renders a movie of what is held out of each film of a snapshot, or with `script.path` of a user's own script.

    Args:
        recipe, storage, overrides: as build_dataset has them.
        snapshot: id; "" for the recipe's own films.
        autoencoder, decoder, autoregressive: the models' folders in the storage; "" for the recipe's own.

    Returns:
        URLs of movie.mp4, storyboard.html and metrics.json; of a script's movie.mp4 and notes.json.
    """
    given = Trained(snapshot, autoencoder, decoder, autoregressive)
    with workplace(recipe, storage, overrides, "render_movies", **vars(given)) as (settings, place):
        models = trained(recipe, storage, overrides, given)
        data = snapshots.load(place, models.snapshot)
        if settings.script.path:
            return script_movie(settings, place, data, models)
        work = renders(settings, place, data, models)
        data = data.within(work)
        name = movie(settings, place, data, work)
        metrics = figures(settings, place, data, models, work)
        return storyboard(settings, place, data, work, name, metrics)


@task(cache_policy=NO_CACHE)
def movie(settings: Recipe, place: Storage, data: Snapshot, work: Work) -> str:
    with reported("movie") as progress:
        return tasks.movies.movie.run(settings.movie, place, data, work, progress, settings.ingest.films)


@task(cache_policy=NO_CACHE)
def storyboard(settings: Recipe, place: Storage, data: Snapshot, work: Work, name: str, metrics: str) -> list[str]:
    with reported("storyboard") as progress:
        urls = tasks.movies.storyboard.run(settings.storyboard, place, data, work, name, metrics, progress)
    lines = "\n".join([*(f"- [{url.rsplit('/', 1)[-1]}]({url})" for url in urls), *publish.told(place, name)])
    titles = tasks.shown.listed([film.name for film in data.of_part("test")])
    show_markdown("movie", f"# {titles}\n\n{lines}\n", "The movie, the page that shows how it was made, its figures")
    return urls


@task(cache_policy=NO_CACHE)
def script_movie(settings: Recipe, place: Storage, data: Snapshot, models: Trained) -> list[str]:
    depends = tasks.movies.script_movie.Settings(
        settings.sentence, settings.face, settings.frozen, settings.render, settings.movie
    )
    folders = (models.autoencoder, models.decoder, models.autoregressive)
    with reported("script") as progress:
        folder = tasks.movies.script_movie.run(settings.script, depends, place, data, *folders, progress)
    lines = "\n".join(f"- {note}" for note in tasks.movies.script_movie.notes(place, folder))
    url = place.url(f"{folder}/movie.mp4")
    show_markdown("script", f"# [movie.mp4]({url})\n\n{lines}\n", "The movie, and what its script says otherwise")
    return [url, place.url(f"{folder}/notes.json")]
