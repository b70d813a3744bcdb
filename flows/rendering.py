"""Renders stories: what `moviedreamer render` and the flow render_stories share. Does not use Prefect."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from flows.display.reporting import reported
from flows.run import Run
from flows.settings.recipe import Recipe
from storage.root import Storage
from tasks.evaluation.report import Report as Quality
from tasks.movies.stories import accept, prepare, queue, takes
from tasks.movies.stories import run as stories
from tasks.movies.stories.places import movie_place
from tasks.movies.stories.plan import Settings
from tasks.movies.stories.prepare import AS_TOLD, Order
from tasks.movies.stories.run import Estimate, Outcome
from tasks.shown import clock

REPORT = "stories/report.json"
QUALITY = "stories/quality.json"


@dataclass(frozen=True)
class Report:
    """The estimate for some stories, and the outcome of each."""

    estimate: Estimate
    stories: tuple[Outcome, ...]

    def json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, indent=1)


def settings(recipe: Recipe, storage: Storage) -> Settings:
    """Everything that movies depend on besides their stories; raises ConfigError if a model is missing."""
    models = prepare.models(recipe.stories, storage, recipe.frozen, recipe.autoregressive.init)
    return Settings(
        models, recipe.sentence, recipe.face, recipe.frozen, recipe.render, recipe.movie, recipe.sound, recipe.stories
    )


def render(
    run: Run,
    sources: Sequence[str],
    order: Order = AS_TOLD,
    preview: bool = False,
    dry: bool = False,
    hours: float | None = None,
    queued: bool = False,
) -> Report:
    """Renders story files as movies, or reports what would be made.

    Args:
        preview: render at the size of the keyframes, without super-resolution.
        dry: make nothing, only report.
        hours: no piece begins after this time; None for the recipe's own limit.
        queued: leave out stories that the queue has finished, and show progress in Prefect.
    """
    given, cluster, place = settings(run.settings, run.storage), run.settings.cluster, run.storage
    given = given.preview() if preview else given
    planned, failed = stories.prepared(sources, given, place, order)
    if queued:
        planned, failed = queue.new(planned, failed, place)
    good, bad = stories.usable(planned, given, place)
    failed += bad
    estimate = stories.estimate(good, given, place, cluster)
    if dry:
        return Report(estimate, _in_order(sources, [*stories.look(good, place), *failed]))
    prepare.keep(given.models, given.frozen, run.settings.autoregressive.init, place)
    for one in good:
        takes.save(place, one.plan.story.title, one.takes)
    limit = run.settings.stories.max_hours if hours is None else hours
    with reported(stories.STAGE, of="pieces", artifact=queued) as progress:
        made = stories.run(good, given, place, cluster, progress, limit)
    for one, outcome in zip(good, made, strict=True):
        if outcome.state == "done":
            takes.save(place, one.plan.story.title, one.takes, movie_place(one.plan))
    report = Report(estimate, _in_order(sources, [*made, *failed]))
    if queued:
        queue.record(planned, report.stories, place)
    place.write_bytes(REPORT, report.json().encode())
    return report


def measured(run: Run, sources: Sequence[str], report: Report) -> tuple[Quality | None, list[str]]:
    """The quality of the movies that a run of the queue has just made, and the thresholds that it misses."""
    config, metrics = run.settings.accept, run.settings.evaluate
    done = {one.name for one in report.stories if one.state == "done"}
    if not (config.given and done):
        return None, []
    given = settings(run.settings, run.storage)
    planned, _ = stories.prepared([source for source in sources if source in done], given, run.storage)
    with reported("quality", of="shards") as progress:
        found = accept.measure(planned, metrics.metrics, metrics.same_face, run.storage, run.settings.cluster, progress)
    run.storage.write_bytes(QUALITY, found.text().encode())
    return found, accept.faults(config, found)


def listed_takes(run: Run, source: str) -> list[tuple[int, int, int, bool]]:
    """(shot, take, seed, whether the movie shows it) for all takes of a story."""
    return takes.listed(prepare.prepare(source, settings(run.settings, run.storage), run.storage).plan)


def in_words(estimate: Estimate) -> str:
    """An estimate in words."""
    if not estimate.pieces:
        return "nothing, all is there"
    if estimate.hours is None:
        time = "how long that takes was not measured in this storage yet"
    else:
        time = f"about {clock(estimate.hours * 3600)}"
    price = "" if estimate.price is None else f", for about {estimate.price:.2f}"
    return f"{counted(estimate.pieces)}; {time}{price}"


def counted(pieces: Mapping[str, int]) -> str:
    """How many pieces of each stage."""
    return ", ".join(f"{count} {stage.removesuffix('s') if count == 1 else stage}" for stage, count in pieces.items())


def _in_order(sources: Sequence[str], outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
    return tuple(sorted(outcomes, key=lambda one: sources.index(one.name)))
