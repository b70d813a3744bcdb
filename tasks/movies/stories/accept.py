"""Decides whether a batch of movies is good enough: compares its metrics with thresholds."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from pydantic import BaseModel, Field, FiniteFloat

from models.metrics.keyframes import words
from models.metrics.networks import MODULES, KeyframeMetricsConfig
from storage.errors import ConfigError
from storage.fingerprint import fingerprint
from storage.movies.names import file_names
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.evaluation.report import Report
from tasks.evaluation.shards import Sources
from tasks.evaluation.stage import look
from tasks.evaluation.systems import measured
from tasks.movies.stories.places import movie_place, place
from tasks.movies.stories.prepare import Planned
from tasks.progress import Progress


class AcceptConfig(BaseModel, frozen=True, extra="forbid"):
    """Thresholds of metrics (docs/metrics.md) over all movies of one run of the queue; none: nothing is measured."""

    least: Mapping[str, FiniteFloat] = Field({}, description='metric -> its smallest value, such as {"occm": 60}')
    most: Mapping[str, FiniteFloat] = Field({}, description='metric -> its largest value, such as {"copy_paste": 0.2}')

    @property
    def given(self) -> bool:
        """Whether any threshold is set."""
        return bool(self.least or self.most)


def require_known(config: AcceptConfig, metrics: KeyframeMetricsConfig) -> None:
    """Raises ConfigError for a threshold of an unknown metric."""
    known = [*(name for module in MODULES for name in words(metrics, module)), "csd_cross", "camera_angle"]
    if lost := sorted({*config.least, *config.most} - {*known}):
        raise ConfigError(f"accept: unknown metric {lost[0]!r}; there are: {', '.join(known)}")


def measure(
    stories: Sequence[Planned],
    metrics: KeyframeMetricsConfig,
    same_face: float,
    storage: Storage,
    cluster: ClusterConfig,
    progress: Progress,
) -> Report:
    """The report of some movies with their stories: of their keyframes, and of their sound.

    Args:
        stories: their movies must exist.
    """
    began = datetime.now(UTC)
    named = dict(zip(file_names([one.plan.story.title for one in stories]), stories, strict=True))
    drawn, photographs = [], {}
    for name, one in named.items():
        frames = list(one.plan.keyframes())
        files = tuple(storage.source(place(("keyframes", frame.keyframe))) for frame in frames)
        keys = [frame.keyframe for frame in frames]
        plots = tuple(frame.plot for frame in frames)
        movie = fingerprint("drawn", name, keys, plots, one.plan.movie)
        drawn.append(Sources(movie, name, files, plots, storage.source(movie_place(one.plan))))
        for who in one.plan.story.cast:
            hashes = [one.plan.pictures[picture] for picture in who.pictures]
            if hashes:
                pictures = tuple(one.files[key] for key in hashes)
                shard = Sources(fingerprint("photographs", hashes), f"{name}/{who.name}", pictures)
                photographs[name, who.name] = [shard]
    every = [*drawn, *(one for some in photographs.values() for one in some)]
    looks = look(metrics, every, storage, cluster, progress, MODULES)
    scripts = {name: one.plan.story for name, one in named.items()}
    return measured("movies of the queue", began, looks, drawn, [], scripts, photographs, same_face)


def faults(config: AcceptConfig, report: Report) -> list[str]:
    """Messages about violated thresholds; a metric without a value is a violation."""
    told = []
    limits = [(name, limit, "least") for name, limit in config.least.items()]
    for name, limit, kind in [*limits, *((name, limit, "most") for name, limit in config.most.items())]:
        figure = report.figures[name]
        if figure.value is None:
            told.append(f"{name} has no value: {figure.reason}")
        elif figure.value < limit if kind == "least" else figure.value > limit:
            told.append(f"{name} is {figure.value:.4g}, expected at {kind} {limit:g}")
    return told
