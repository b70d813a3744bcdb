"""Two reports side by side: how far apart each metric is, and whether that may be chance.

Samples are paired by their names. Those of one story are alike, so whole stories are resampled and have their signs
flipped; where both reports have one story only, its samples are.

Shapes: N pairs of samples, U stories or, of a single story, samples.
"""

from collections.abc import Sequence

import numpy as np
from pydantic import BaseModel, Field

from models.metrics.figure import mean
from storage.errors import ConfigError
from tasks.evaluation.report import Model, Report

_FLIPS = 9999  # random ones, where there are more than so many; else all of them


class Difference(BaseModel, frozen=True, extra="forbid"):
    """Of one metric.

    Args:
        first, second: means over the samples that both have or, where nothing is paired, the reports' own values.
        n: pairs; 0 where nothing is paired.
        difference: first - second, and its 95 % bootstrap interval.
        p: of a paired permutation test, two-sided.
        p_holm: the same, corrected by Holm for the number of metrics.
        reason: why something is missing.
    """

    metric: str
    first: float | None
    second: float | None
    n: int = 0
    stories: int = 0
    difference: float | None = None
    interval: tuple[float, float] | None = None
    p: float | None = Field(None, ge=0, le=1)
    p_holm: float | None = Field(None, ge=0, le=1)
    reason: str | None = None


def compare(first: Report, second: Report) -> list[Difference]:
    """One difference for each metric that both have.

    Raises:
        ConfigError: when they share no sample.
    """
    found = [_difference(metric, first, second) for metric in first.figures if metric in second.figures]
    if not any(one.n for one in found):
        raise ConfigError(
            f"{first.name!r} and {second.name!r} share no samples: compare reports of the same stories, "
            f"measured by the same metrics ({_some(first)} and {_some(second)})"
        )
    return _corrected(found)


def other_networks(first: Report, second: Report) -> list[str]:
    """A note on each network that differs, since the values of different networks can't be compared."""
    modules = [*first.models, *(one for one in second.models if one not in first.models)]
    pairs = {module: (first.models.get(module), second.models.get(module)) for module in modules}
    return [
        f"{module} is {_named(mine)} in {first.name!r}, {_named(theirs)} in {second.name!r}: don't compare its metrics"
        for module, (mine, theirs) in pairs.items()
        if (mine is None) != (theirs is None) or (mine and theirs and mine.revision != theirs.revision)
    ]


def _named(model: Model | None) -> str:
    return f"{model.id} ({model.revision})" if model else "missing"


def _difference(metric: str, first: Report, second: Report) -> Difference:
    mine, theirs = first.samples.get(metric, {}), second.samples.get(metric, {})
    shared = sorted(mine.keys() & theirs.keys())
    if not shared:
        reasons = (first.figures[metric].reason, second.figures[metric].reason, "no sample is in both reports")
        reason = next(filter(None, reasons))
        values = first.figures[metric].value, second.figures[metric].value
        return Difference(metric=metric, first=values[0], second=values[1], reason=reason)
    mine_N, theirs_N = (np.array([samples[name] for name in shared]) for samples in (mine, theirs))
    stories = [name.partition("/")[0] for name in shared]
    if len(set(stories)) == 1:
        stories = shared
    apart = mean(mine_N - theirs_N, metric, stories)
    whole = Difference(
        metric=metric,
        first=float(mine_N.mean()),
        second=float(theirs_N.mean()),
        n=len(shared),
        stories=len(set(stories)),
        difference=apart.value,
        interval=apart.interval,
        reason=apart.reason,
    )
    return whole.model_copy(update={"p": _chance(mine_N - theirs_N, stories)}) if apart.interval else whole


def _chance(apart_N: np.ndarray, stories: Sequence[str]) -> float:
    """How often the sum of stories' differences is as far from 0 when each may have either sign."""
    from scipy.stats import permutation_test

    sums_U = np.bincount(np.unique(stories, return_inverse=True)[1], apart_N)
    found = permutation_test((sums_U,), np.sum, permutation_type="samples", n_resamples=_FLIPS, rng=0)
    return float(found.pvalue)


def _corrected(found: Sequence[Difference]) -> list[Difference]:
    """With Holm's p: the k-th smallest of m times m - k + 1, never below the one before."""
    tested = sorted((one for one in found if one.p is not None), key=lambda one: one.p or 0.0)
    corrected: dict[str, float] = {}
    least = 0.0
    for place, one in enumerate(tested):
        least = max(least, min(1.0, (len(tested) - place) * (one.p or 0.0)))
        corrected[one.metric] = least
    return [one.model_copy(update={"p_holm": corrected.get(one.metric)}) for one in found]


def _some(report: Report) -> str:
    return next((repr(name) for samples in report.samples.values() for name in samples), "no samples at all")
