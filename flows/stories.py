"""The queue: every new story in a folder is rendered once."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.artifacts import show_rows
from flows.rendering import REPORT, Report, render, told
from flows.rescue import HOOKS
from flows.run import References, Run, opened
from storage.errors import ConfigError
from tasks.movies.stories import queue


@flow(name="render_stories", **HOOKS)
def render_stories(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> References:
    """Renders the stories of `stories.folder` that are new, in the order of their names.

    A story that fails keeps none of the others waiting; its error is in the report. With `stories.max_hours` no piece
    begins after that time, and the next run goes on.

    Args:
        recipe, storage, overrides: as build_dataset has them.

    Returns:
        URLs of the movies that were finished, and of the report.
    """
    with opened("render_stories", recipe, storage, overrides) as run:
        folder = run.settings.stories.folder
        if not folder:
            raise ConfigError("stories.folder is empty: name a folder of stories, --set stories.folder=URI")
        report = queued(run, queue.sources(folder))
        movies = tuple(one.movie for one in report.stories if one.movie)
        return References(files=(*movies, run.storage.url(REPORT)))


@task(cache_policy=NO_CACHE)
def queued(run: Run, sources: Sequence[str]) -> Report:
    """Renders what the queue has not seen to its end, and shows what was expected and what came out."""
    expected = render(run, sources, dry=True, queued=True).estimate
    pieces = [{"stage": stage, "pieces": count} for stage, count in expected.pieces.items()]
    show_rows("expected", pieces, f"To be made: {told(expected)}")
    report = render(run, sources, queued=True)
    rows = [
        {"story": one.name, "title": one.title, "state": one.state, "said": one.error or one.movie}
        for one in report.stories
    ]
    show_rows("rendered", rows, "What became of the stories")
    return report
