"""The metrics that compare systems (docs/metrics.md), of what a run drew of its held-out keyframes.

A metric whose weights are missing stands there once, with the reason; the others stand there for each version.
"""

from collections.abc import Mapping, Sequence

from models.metrics import keyframes, pictures
from models.metrics.figure import Measured, joined, means_by_sample
from models.metrics.keyframes import Keyframes
from models.metrics.networks import KeyframeMetricsConfig, Module
from storage.root import Storage
from storage.tables.schemas import film_of
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.evaluation.shards import SIZE, Rows
from tasks.evaluation.stage import look
from tasks.figures.identity import VERSIONS
from tasks.progress import Progress
from tasks.stage import Work

MODULES: tuple[Module, ...] = ("clip", "inception", "style")


def measured(
    config: KeyframeMetricsConfig,
    storage: Storage,
    work: Work,
    versions: Sequence[str],
    row_ids: Sequence[str],
    cluster: ClusterConfig,
    progress: Progress,
) -> Measured:
    """<metric>_<version>; FID is taken to the originals of the same keyframes.

    Args:
        work: with `keyframes`, `scripts` and `renders`.
        row_ids: of the keyframes, in order.
    """
    plots = _plots(storage, work["scripts"], row_ids)
    shards = {version: _shards(work, version, row_ids, plots) for version in versions}
    looks = look(config, [one for some in shards.values() for one in some], storage, cluster, progress, modules=MODULES)
    original = looks.keyframes(shards["original"])
    there = [module for module in MODULES if module not in looks.gone]
    found = keyframes.figures(config, [], [], looks.gone, [one for one in MODULES if one not in there])
    for version, mine in shards.items():
        shown, words = looks.keyframes(mine), VERSIONS[version]
        own = keyframes.figures(config, shown, [] if version == "original" else original, {}, there)
        if version != "original" and "clip" in there:
            own = joined([own, _to_originals(shown, original)])
        for name, figure in own.figures.items():
            found.figures[f"{name}_{version}"] = figure.model_copy(update={"what": f"{figure.what}; of {words}"})
        found.samples.update({f"{name}_{version}": samples for name, samples in own.samples.items()})
    return found


def _to_originals(shown: Sequence[Keyframes], original: Sequence[Keyframes]) -> Measured:
    """CLIP-sim of Table 3: of each keyframe to its original."""
    alike = {
        name: value
        for one, other in zip(shown, original, strict=True)
        for name, value in zip(
            one.ids, pictures.cosine(one.load("clip")["pictures"], other.load("clip")["pictures"]), strict=True
        )
    }
    name, what = "clip_sim_to_original", f"{pictures.WHAT['clip_sim']}; each with its original"
    return means_by_sample({name: what}, {name: alike})


def _shards(work: Work, version: str, row_ids: Sequence[str], plots: Mapping[str, str]) -> list[Rows]:
    table, variant = ("keyframes", "") if version == "original" else ("renders", version)
    films: dict[str, list[str]] = {}
    for row_id in row_ids:
        films.setdefault(film_of(row_id), []).append(row_id)
    return [
        Rows(table, film_id, work[table][film_id], variant, tuple(some), tuple(plots[row_id] for row_id in some))
        for film_id, mine in films.items()
        for some in (mine[start : start + SIZE] for start in range(0, len(mine), SIZE))
    ]


def _plots(storage: Storage, work: Mapping[str, str], row_ids: Sequence[str]) -> dict[str, str]:
    wanted = {film_of(row_id) for row_id in row_ids}
    some = {film_id: key for film_id, key in work.items() if film_id in wanted}
    scripts = Tables(storage).read("scripts", some, ["row_id", "plots"]).to_pylist()
    return {row["row_id"]: " ".join(row["plots"]) for row in scripts}
