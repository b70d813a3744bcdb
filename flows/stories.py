"""The queue: every new story in a folder is rendered once."""

from collections.abc import Sequence

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

from flows.display.artifacts import show_markdown, show_rows
from flows.display.shown import in_markdown, link
from flows.rendering import QUALITY, REPORT, Report, in_words, measured, render
from flows.run import References, Run, documented, opened
from flows.server.rescue import HOOKS
from storage.errors import ConfigError
from tasks.movies.quality import of_report
from tasks.movies.stories import accept, queue
from tasks.stage import StageError


@flow(name="render_stories", **HOOKS)
@documented
def render_stories(recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = ()) -> References:
    """Renders the stories of `stories.folder` that are new, in the order of their names.

    A story that fails does not stop the others; its error is in the report. With `stories.max_hours` no piece begins
    after that time, and the next run continues.

    If `accept` has thresholds, the movies of this run are measured too, and the run fails if one is not met. The movies
    are kept.

    Returns:
        URLs of the movies that were finished, of their quality report, and of the report.
    """
    with opened("render_stories", recipe, storage, overrides) as run:
        folder = run.settings.stories.folder
        if not folder:
            raise ConfigError("stories.folder is empty: name a folder of stories, --set stories.folder=URI")
        accept.require_known(run.settings.accept, run.settings.evaluate.metrics)
        sources = queue.sources(folder)
        report = queued(run, sources)
        movies = tuple(one.movie for one in report.stories if one.movie)
        return References(files=(*movies, *judged(run, sources, report), run.storage.url(REPORT)))


@task(cache_policy=NO_CACHE)
def queued(run: Run, sources: Sequence[str]) -> Report:
    """Renders the stories that the queue has not finished, and shows the estimate and the outcomes."""
    expected = render(run, sources, dry=True, queued=True).estimate
    pieces = [{"stage": stage, "pieces": count} for stage, count in expected.pieces.items()]
    show_rows("expected", pieces, f"To be made: {in_words(expected)}")
    report = render(run, sources, queued=True)
    rows = [
        {"story": one.name, "title": one.title, "state": one.state, "said": one.error or one.movie}
        for one in report.stories
    ]
    show_rows("rendered", rows, "What became of the stories")
    return report


@task(cache_policy=NO_CACHE)
def judged(run: Run, sources: Sequence[str], report: Report) -> tuple[str, ...]:
    """Measures the movies that this run made; returns the URL of the report, or nothing without thresholds.

    Raises:
        StageError: when a threshold is not met; the message names the page.
    """
    found, faults = measured(run, sources, report)
    if found is None:
        return ()
    url = run.storage.url(of_report(run.storage, QUALITY.replace(".json", ".html"), found, faults))
    show_markdown(
        "quality",
        f"# {link('Quality report', url)}\n\n" + "".join(f"- {in_markdown(one)}\n" for one in faults),
        "Quality",
    )
    if faults:
        raise StageError(f"the movies of this run are not good enough: {'; '.join(faults)}; {url} has all metrics")
    return (url,)
