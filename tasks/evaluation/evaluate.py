"""Results in folders become a report: networks look at the pictures, then metrics are computed of what they saw."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from models.metrics.keyframes import KeyframeMetricsConfig, figures
from storage.results.results import Result
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.evaluation import report
from tasks.evaluation.report import Report
from tasks.evaluation.shards import of_results
from tasks.evaluation.stage import look
from tasks.progress import Progress

_EVERY = 1.0  # seconds between the frames of a video that are looked at, as between keyframes


def run(
    config: KeyframeMetricsConfig,
    systems: Mapping[str, Sequence[Result]],
    real: Sequence[Result],
    storage: Storage,
    cluster: ClusterConfig,
    progress: Progress,
) -> list[Report]:
    """A report of each system.

    Args:
        systems: name -> its results.
        real: pictures or videos of real films, for FID.

    Raises:
        ConfigError: naming a file that can't be read.
        StageError, StorageError: as tasks.evaluation.stage.look.
    """
    theirs = of_results(real, _EVERY)
    shards = {name: of_results(results, _EVERY) for name, results in systems.items()}
    began = datetime.now(UTC)
    looks = look(config, [*theirs, *(one for some in shards.values() for one in some)], storage, cluster, progress)
    reports = []
    for name, mine in shards.items():
        stories = looks.keyframes(mine)
        found = figures(config, stories, looks.keyframes(theirs), looks.gone)
        count = sum(len(story.ids) for story in stories)
        models = {str(module): model for module, model in looks.models.items()}
        reports.append(report.made(name, began, count, found.figures, found.samples, models))
    return reports
