"""The result of a metric: a value with its bootstrap interval, or the reason why there is none.

Shapes: N samples, U units that are resampled together (samples, or the stories that they belong to).
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field, FiniteFloat

Floats = NDArray[np.floating[Any]]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]

Samples = dict[str, float]
"""Sample -> value. A sample is named "story/keyframe", "story/character" or the like, or "story"."""

RESAMPLES = 1000
_SEED = 0


class Figure(BaseModel, frozen=True, extra="forbid"):
    """One computed figure.

    Args:
        value: None if it can't be computed.
        n: number of samples.
        what: one line for people.
        interval: lower and upper end of the 95 % bootstrap interval, None if it can't be computed.
        reason: why there is no value, or no interval.
    """

    value: FiniteFloat | None
    n: int
    what: str
    interval: tuple[FiniteFloat, FiniteFloat] | None = Field(None, exclude_if=lambda interval: interval is None)
    reason: str | None = Field(None, exclude_if=lambda reason: reason is None)


class Measured(NamedTuple):
    """The figure of each metric and, if it is a mean, the value of each sample."""

    figures: dict[str, Figure]
    samples: dict[str, Samples]


def joined(parts: Iterable[Measured]) -> Measured:
    """Several in one."""
    found = Measured({}, {})
    for part in parts:
        found.figures.update(part.figures)
        found.samples.update(part.samples)
    return found


def absent(what: str, reason: str) -> Figure:
    """A figure without a value."""
    return Figure(value=None, n=0, what=what, reason=reason)


def mean(values_N: Sequence[float] | Floats | Bools, what: str, stories: Sequence[str] | None = None) -> Figure:
    """The mean and its percentile interval.

    Args:
        values_N: samples.
        what: one line for people.
        stories: the story of each sample. If given, whole stories are resampled, because their samples are similar.
    """
    values = np.asarray(values_N, dtype=np.float64)
    if len(values) == 0:
        return absent(what, "there are no samples")
    if broken := _not_finite(values):
        return absent(what, broken)
    if stories is not None and len(stories) != len(values):
        return absent(what, f"{len(values)} samples and the stories of {len(stories)}")
    unit_N = np.arange(len(values)) if stories is None else np.unique(np.asarray(stories), return_inverse=True)[1]
    sums_U, counts_U = np.bincount(unit_N, values), np.bincount(unit_N)

    def average(picked: Ints, axis: int) -> NDArray[np.float64]:
        averages: NDArray[np.float64] = sums_U[picked].sum(axis) / counts_U[picked].sum(axis)
        return averages

    whole = Figure(value=float(values.mean()), n=len(values), what=what)
    if len(sums_U) == 1:
        return whole.model_copy(update={"reason": f"no interval: one {'sample' if stories is None else 'story'}"})
    from scipy.stats import bootstrap

    units = (np.arange(len(sums_U)),)
    batch = max(1, 1_000_000 // len(sums_U))
    found = bootstrap(
        units, average, n_resamples=RESAMPLES, batch=batch, vectorized=True, method="percentile", rng=_SEED
    )
    low, high = found.confidence_interval
    return whole.model_copy(update={"interval": (float(low), float(high))})


def means_by_sample(words: Mapping[str, str], samples: Mapping[str, Mapping[str, Any]]) -> Measured:
    """The mean of each metric, with an interval from resampled samples.

    Args:
        words: metric -> one line for people.
        samples: metric -> sample -> value.
    """
    plain = {name: {str(sample): float(value) for sample, value in values.items()} for name, values in samples.items()}
    return _with_values({name: mean(list(values.values()), words[name]) for name, values in plain.items()}, plain)


def means_by_story(words: Mapping[str, str], samples: Mapping[str, Samples], reasons: Mapping[str, str]) -> Measured:
    """The mean of each metric, with an interval from resampled stories.

    Args:
        words: metric -> one line for people.
        samples: metric -> sample -> value.
        reasons: metric -> why there may be no samples.
    """
    found: dict[str, Figure] = {}
    for name, what in words.items():
        values = samples[name]
        stories = [one.partition("/")[0] for one in values]
        found[name] = (
            mean(list(values.values()), what, stories)
            if values
            else absent(what, reasons.get(name, "there are no keyframes"))
        )
    return _with_values(found, samples)


def _with_values(figures: dict[str, Figure], samples: Mapping[str, Samples]) -> Measured:
    """Without the samples of a metric that has no value: some of them may not be finite."""
    return Measured(figures, {name: dict(samples[name]) for name, one in figures.items() if one.value is not None})


def resampled(statistic: Callable[..., float], sizes: Sequence[int], what: str, resamples: int, least: float) -> Figure:
    """A statistic of one or more sets and its basic interval, which corrects for the bias of repeated samples.

    Args:
        statistic: function from the rows [n] of each set to the value.
        sizes: number of rows of each set.
        what: one line for people.
        resamples: 0: no interval.
        least: smallest value that the statistic can have; the interval doesn't go below it.
    """
    rows = tuple(np.arange(size) for size in sizes)
    value = statistic(*rows)
    whole = Figure(value=value, n=sizes[0], what=what)
    if not resamples:
        return whole.model_copy(update={"reason": "no interval: no resamples were asked for"})
    from scipy.stats import bootstrap

    found = bootstrap(
        rows, statistic, n_resamples=resamples, vectorized=False, method="basic", batch=1, rng=_SEED
    ).confidence_interval
    return whole.model_copy(update={"interval": (max(float(found.low), least), max(float(found.high), least))})


def unusable(what: str, paired: bool = True, **arrays: NDArray[Any]) -> Figure | None:
    """A figure with the reason, if an array of rows is empty, not finite, or doesn't fit the others.

    Args:
        what: one line for people.
        paired: whether rows of all arrays belong together, so that there must be equally many.
        arrays: arrays [N] or [N, C] under the name that the reason quotes.
    """
    lengths = {name.replace("_", " "): len(rows) for name, rows in arrays.items()}
    if empty := [name for name, length in lengths.items() if length == 0]:
        return absent(what, f"there are no {empty[0]}")
    if paired and len(set(lengths.values())) > 1:
        return absent(what, " and ".join(f"{length} {name}" for name, length in lengths.items()) + " don't match")
    if len(widths := {rows.shape[1] for rows in arrays.values() if rows.ndim == 2}) > 1:
        return absent(what, f"vectors have {' and '.join(map(str, sorted(widths)))} numbers: embed all by one network")
    for name, rows in arrays.items():
        if rows.dtype.kind == "f" and (broken := _not_finite(rows)):
            return absent(what, f"{name.replace('_', ' ')}: {broken}")
    return None


def _not_finite(values: NDArray[Any]) -> str | None:
    broken = int(np.size(values) - np.isfinite(values).sum())
    return f"{broken} of {np.size(values)} numbers are not finite" if broken else None
