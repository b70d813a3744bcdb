"""Results in folders become a report: networks look at the pictures, then metrics are computed of what they saw."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from models.metrics.keyframes import figures
from models.metrics.networks import MODULES, PLAIN, KeyframeMetricsConfig
from storage.errors import ConfigError
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
    """A report of each system; a story, film or photograph that can't be read is left out, which its notes tell.

    Args:
        systems: name -> its results.
        real: pictures or videos of real films, for FID.
        stories: name of a result -> the story that it was made of, and its file; empty: metrics of characters and of
            the script are left out.
        same_face: largest distance of two faces of one person.

    Raises:
        StageError, StorageError: as tasks.evaluation.stage.look.
    """
    cast = {
        (name, one.name): Result(f"{name}/{one.name}", tuple(beside(path.parent, file) for file in one.pictures))
        for name, (story, path) in stories.items()
        for one in story.cast
        if one.pictures
    }
    theirs, faces, ours = _Readable(real), _Readable(cast.values()), {n: _Readable(r) for n, r in systems.items()}
    began = datetime.now(UTC)
    theirs.leave_out(look(config, theirs.shards, storage, cluster, progress))
    every = [shard for readable in (*ours.values(), faces) for shard in readable.shards]
    looks = look(config, every, storage, cluster, progress, MODULES if stories else PLAIN)
    for readable in (*ours.values(), faces):
        readable.leave_out(looks)
    photographs = {key: some for key, one in cast.items() if (some := faces.of(one.story))}
    others = [f"left out of the real films: {said}" for said in theirs.faults.values()]
    others += [f"left out of the photographs: {said}" for said in faces.faults.values()]
    found = []
    for name, mine in ours.items():
        scripts = {one: story for one, (story, _) in stories.items() if one not in mine.faults}
        one = measured(name, began, looks, mine.shards, theirs.shards, scripts, photographs, same_face)
        notes = [f"the story {result.story!r} has no results" for result in systems[name] if not result.files]
        notes += [f"the story {story!r} is left out: {said}" for story, said in mine.faults.items()]
        found.append(one.model_copy(update={"notes": tuple(dict.fromkeys((*notes, *others, *one.notes)))}))
    return found


class _Readable:
    """Results whose files can all be read.

    Attributes:
        shards: of them.
        faults: story of any other result -> the file that can't be read, and why.
    """

    def __init__(self, results: Iterable[Result]) -> None:
        self.shards: list[Shard] = []
        self.faults: dict[str, str] = {}
        for result in results:
            try:
                self.shards += of_results([result], EVERY)
            except ConfigError as error:
                self.faults[result.story] = str(error)

    def leave_out(self, looks: Looks) -> None:
        """What turned out to be broken when networks looked at it."""
        self.faults |= {one.story: looks.broken[one.id] for one in self.shards if one.id in looks.broken}
        self.shards = [one for one in self.shards if one.story not in self.faults]

    def of(self, story: str) -> list[Shard]:
        """The shards of a story."""
        return [one for one in self.shards if one.story == story]


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
        clips.setdefault(shard.story, []).extend([count] if shard.clip else [1] * count)
    return clips
