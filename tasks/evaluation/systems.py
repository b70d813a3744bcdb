"""Results in folders become a report: networks look at the pictures, then metrics are computed of what they saw."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from models.metrics.keyframes import figures
from models.metrics.networks import MODULES, PLAIN, KeyframeMetricsConfig
from storage.results.results import Result
from storage.root import Storage
from storage.stories.files import beside
from storage.stories.story import Story
from tasks.cluster import ClusterConfig
from tasks.evaluation import report, scripted
from tasks.evaluation.report import Report
from tasks.evaluation.shards import Shard, of_results
from tasks.evaluation.stage import Looks, look
from tasks.progress import Progress

EVERY = 1.0
"""Seconds between the frames of a video that are looked at, as between keyframes."""

Photographs = Mapping[tuple[str, str], Sequence[Shard]]
"""(story, character) -> pictures of it."""


def reports(
    config: KeyframeMetricsConfig,
    systems: Mapping[str, Sequence[Result]],
    real: Sequence[Result],
    stories: Mapping[str, tuple[Story, Path]],
    same_face: float,
    storage: Storage,
    cluster: ClusterConfig,
    progress: Progress,
) -> list[Report]:
    """A report of each system.

    Args:
        systems: name -> its results.
        real: pictures or videos of real films, for FID.
        stories: name of a result -> the story that it was made of, and its file; empty: metrics of characters and of
            the script are left out.
        same_face: largest distance of two faces of one person.

    Raises:
        ConfigError: naming a file that can't be read.
        StageError, StorageError: as tasks.evaluation.stage.look.
    """
    theirs = of_results(real, EVERY)
    shards = {name: of_results(results, EVERY) for name, results in systems.items()}
    photographs = {
        (name, one.name): of_results(
            [Result(f"{name}/{one.name}", tuple(beside(path.parent, picture) for picture in one.pictures))], EVERY
        )
        for name, (story, path) in stories.items()
        for one in story.cast
        if one.pictures
    }
    scripts = {name: story for name, (story, _) in stories.items()}
    every = [one for some in (*shards.values(), *photographs.values()) for one in some]
    began = datetime.now(UTC)
    look(config, theirs, storage, cluster, progress)
    looks = look(config, every, storage, cluster, progress, MODULES if stories else PLAIN)
    found = []
    for name, mine in shards.items():
        one = measured(name, began, looks, mine, theirs, scripts, photographs, same_face)
        empty = [f"the story {result.story!r} has no results" for result in systems[name] if not result.files]
        found.append(one.model_copy(update={"notes": tuple(dict.fromkeys((*empty, *one.notes)))}))
    return found


def measured(
    name: str,
    began: datetime,
    looks: Looks,
    shards: Sequence[Shard],
    real: Sequence[Shard],
    scripts: Mapping[str, Story],
    photographs: Photographs,
    same_face: float,
) -> Report:
    """The report of pictures that were looked at; arguments as in `reports`."""
    stories = looks.keyframes(shards)
    found, samples = figures(looks.config, stories, looks.keyframes(real), looks.gone)
    notes: list[str] = []
    if scripts:
        references = {key: one for key, some in photographs.items() for one in looks.keyframes(some)}
        clips = _clips(looks, shards)
        pairs = [(one, clips[one.story]) for one in stories]
        told, notes = scripted.measured(looks, pairs, scripts, references, same_face)
        found, samples = found | told.figures, samples | told.samples
    models = {str(module): model for module, model in looks.models.items()}
    return report.made(name, began, sum(len(story.ids) for story in stories), found, samples, models, notes=notes)


def _clips(looks: Looks, shards: Sequence[Shard]) -> dict[str, list[int]]:
    """How many pictures each file of a story has."""
    clips: dict[str, list[int]] = {}
    for shard in shards:
        count = looks.count(shard)
        clips.setdefault(shard.story, []).extend([count] if shard.video else [1] * count)
    return clips
