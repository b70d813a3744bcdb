"""Metrics of pictures, from their features: quality, plot, style.

Shapes: N pictures, M real pictures, C numbers of a feature vector, K classes.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.metrics.figure import Figure, Floats, Ints, absent, mean, resampled, unusable

FID_LAYERS = {"2048": "fid", "768": "fid_layer_768", "192": "fid_layer_192", "64": "fid_layer_64"}
"""Layer of FID's Inception -> the metric's name. Only the last pooling layer is FID."""

WHAT = {
    "clip_score": "CLIP score: 100 times the cosine of keyframe and plot, more is better",
    "clip_sim": "CLIP-sim: cosine of picture and target, more is better",
    "aesthetic_score": "aesthetic score of LAION's head, more is better",
    "csd_cross": "CSD cross: cosine of the styles of shot and references, more is better",
    "csd_self": "CSD self: cosine of the styles of two shots of a story, more is better",
}
"""Metric -> one line for people."""


def frechet_name(features: str) -> str:
    """The name of a Fréchet distance: that of FID for a layer of its Inception, another for all other features."""
    return FID_LAYERS.get(features, f"frechet_{features}")


def frechet_words(features: str) -> str:
    """One line for people."""
    return f"{frechet_name(features)}: Fréchet distance of generated and real pictures, less is better"


def frechet(generated_NC: Floats, real_MC: Floats, features: str, resamples: int = 0) -> Figure:
    """Fréchet distance of two Gaussians fitted to features: FID for the layer 2048.

    Args:
        generated_NC, real_MC: features.
        features: layer of FID's Inception, or the name of another encoder.
        resamples: of the interval. It grows with few pictures: compare sets of equal size only.
    """
    what = frechet_words(features)
    if min(len(generated_NC), len(real_MC)) < 2:
        return absent(what, _too_few(len(generated_NC), len(real_MC)))
    if unfit := unusable(what, paired=False, generated_pictures=generated_NC, real_pictures=real_MC):
        return unfit
    left_NC, right_MC = generated_NC.astype(np.float64), real_MC.astype(np.float64)
    return resampled(
        lambda left_N, right_M: frechet_distance(left_NC[left_N], right_MC[right_M]),
        (len(left_NC), len(right_MC)),
        what,
        resamples,
        least=0.0,
    )


def frechet_distance(left_NC: Floats, right_MC: Floats) -> float:
    """|m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)).

    The trace of the root is the sum of singular values of A1 A2^T, where S = A^T A: no root of a singular matrix, and
    no matrix larger than the smaller of pictures and numbers.
    """
    return _distance(left_NC.mean(0) - right_MC.mean(0), _half(left_NC), _half(right_MC))


def _distance(shift_C: Floats, left_KC: Floats, right_KC: Floats) -> float:
    root = np.linalg.svd(left_KC @ right_KC.T, compute_uv=False).sum()
    distance = shift_C @ shift_C + np.square(left_KC).sum() + np.square(right_KC).sum() - 2 * root
    return float(max(distance, 0.0))


def _half(rows_NC: Floats) -> Floats:
    """A with A^T A the covariance of rows, of min(N, C) rows."""
    centred_NC: Floats = (rows_NC - rows_NC.mean(0)) / np.sqrt(len(rows_NC) - 1)
    if centred_NC.shape[0] <= centred_NC.shape[1]:
        return centred_NC
    triangle_CC: Floats = np.asarray(np.linalg.qr(centred_NC, mode="r"))
    return triangle_CC


@dataclass
class Moments:
    """Mean and covariance of features that come in parts, summed in 64 bits in the order of the parts."""

    n: int
    sum_C: NDArray[np.float64]
    products_CC: NDArray[np.float64]

    @classmethod
    def of(cls, parts: Iterable[Floats]) -> "Moments":
        """The moments of parts [N, C]; only one part is in memory at a time."""
        found = cls(0, np.zeros(0), np.zeros((0, 0)))
        for part_NC in parts:
            rows_NC = part_NC.astype(np.float64)
            if not found.n:
                found = cls(0, np.zeros(rows_NC.shape[1]), np.zeros((rows_NC.shape[1],) * 2))
            found.n += len(rows_NC)
            found.sum_C += rows_NC.sum(0)
            found.products_CC += rows_NC.T @ rows_NC
        return found

    def half(self) -> Floats:
        """A with A^T A the covariance [C, C]."""
        mean_C = self.sum_C / self.n
        covariance_CC = (self.products_CC - self.n * np.outer(mean_C, mean_C)) / (self.n - 1)
        values_C, vectors_CC = np.linalg.eigh(covariance_CC)
        half_CC: Floats = np.sqrt(np.maximum(values_C, 0))[:, None] * vectors_CC.T
        return half_CC


def frechet_of_many(generated: Moments, real: Moments, features: str) -> Figure:
    """As `frechet` of too many pictures to hold at once; its interval would take hours and is narrow."""
    what = frechet_words(features)
    if min(generated.n, real.n) < 2:
        return absent(what, _too_few(generated.n, real.n))
    sums = {"generated_pictures": generated.products_CC, "real_pictures": real.products_CC}
    if unfit := unusable(what, paired=False, **sums):
        return unfit
    shift_C = generated.sum_C / generated.n - real.sum_C / real.n
    value = _distance(shift_C, generated.half(), real.half())
    reason = f"no interval: {generated.n} and {real.n} pictures are too many to resample"
    return Figure(value=value, n=generated.n, what=what, reason=reason)


def _too_few(generated: int, real: int) -> str:
    return f"a covariance takes two pictures, there are {generated} generated and {real} real"


def inception_score(logits_NK: Floats, splits: int = 10, resamples: int = 0) -> Figure:
    """exp of the mean KL divergence of a picture's classes from those of all, averaged over `splits` parts."""
    what = _inception_words(splits)
    if unfit := unusable(what, pictures=logits_NK):
        return unfit
    if unfit := _unsplit(len(logits_NK), splits):
        return unfit
    from scipy.special import rel_entr, softmax

    classes_NK = softmax(logits_NK.astype(np.float64), axis=1)
    shuffled_N = np.random.default_rng(0).permutation(len(classes_NK))

    def score(rows_N: Ints) -> float:
        parts = np.array_split(classes_NK[rows_N][shuffled_N], splits)
        return float(np.mean([np.exp(rel_entr(part, part.mean(0)).sum(axis=1).mean()) for part in parts]))

    return resampled(score, (len(logits_NK),), what, resamples, least=1.0)


def inception_score_of_many(parts: Iterable[Floats], n: int, splits: int = 10) -> Figure:
    """As `inception_score` of too many pictures to hold at once: logits [N, K] in parts, `n` rows in all."""
    from scipy.special import log_softmax, xlogy

    if unfit := _unsplit(n, splits):
        return unfit
    split_N = np.empty(n, np.int64)
    for split, rows in enumerate(np.array_split(np.random.default_rng(0).permutation(n), splits)):
        split_N[rows] = split
    counts_S, certain_S, classes_SK, start = np.bincount(split_N, minlength=splits), np.zeros(splits), None, 0
    for logits_NK in parts:
        logs_NK = log_softmax(logits_NK.astype(np.float64), axis=1)
        part_N, start = split_N[start : start + len(logs_NK)], start + len(logs_NK)
        classes_SK = np.zeros((splits, logs_NK.shape[1])) if classes_SK is None else classes_SK
        np.add.at(classes_SK, part_N, np.exp(logs_NK))
        np.add.at(certain_S, part_N, (np.exp(logs_NK) * logs_NK).sum(axis=1))
    if classes_SK is None or start != n:
        raise ValueError(f"{start} rows of logits, {n} were told")
    if unfit := unusable(_inception_words(splits), splits=classes_SK):
        return unfit
    mean_SK = classes_SK / counts_S[:, None]
    value = float(np.mean(np.exp(certain_S / counts_S - xlogy(mean_SK, mean_SK).sum(axis=1))))
    return Figure(value=value, n=n, what=_inception_words(splits), reason=f"no interval: {n} pictures are too many")


def _inception_words(splits: int) -> str:
    return f"Inception Score over {splits} splits, more is better"


def _unsplit(count: int, splits: int) -> Figure | None:
    if count >= splits:
        return None
    return absent(_inception_words(splits), f"{count} pictures can't be split into {splits} parts")


def clip_scores(pictures_NC: Floats, plots_NC: Floats) -> Floats:
    """[N] 100 times the cosine of a keyframe and its plot in CLIP's joint space."""
    return 100 * cosine(pictures_NC, plots_NC)


def clip_score(pictures_NC: Floats, plots_NC: Floats, stories: Sequence[str] | None = None) -> Figure:
    """The mean of `clip_scores`."""
    what = WHAT["clip_score"]
    if unfit := unusable(what, keyframes=pictures_NC, plots=plots_NC):
        return unfit
    return mean(clip_scores(pictures_NC, plots_NC), what, stories)


def clip_sim(pictures_NC: Floats, others_NC: Floats, stories: Sequence[str] | None = None) -> Figure:
    """The cosine of a picture and its target (Table 3), or of a frame and the next (Table 2)."""
    what = WHAT["clip_sim"]
    if unfit := unusable(what, pictures=pictures_NC, targets=others_NC):
        return unfit
    return mean(cosine(pictures_NC, others_NC), what, stories)


def aesthetic_score(scores_N: Floats, stories: Sequence[str] | None = None) -> Figure:
    """The mean of what the aesthetic head says, about 1-10."""
    return mean(scores_N, WHAT["aesthetic_score"], stories)


def style_cross(shots_NC: Floats, references_MC: Floats) -> Figure:
    """CSD cross: the cosine of a shot's style and that of each reference, averaged over references."""
    what = WHAT["csd_cross"]
    if unfit := unusable(what, paired=False, shots=shots_NC, references=references_MC):
        return unfit
    return mean((unit(shots_NC) @ unit(references_MC).T).mean(axis=1), what)


def style_self(shots_NC: Floats, stories: Sequence[str] | None = None) -> Figure:
    """CSD self: the mean cosine of a shot's style and those of the other shots of its story; n is the number of shots.

    Args:
        shots_NC: style vectors.
        stories: the story of each shot; None: all are of one. A shot that is alone in its story is left out.
    """
    what = WHAT["csd_self"]
    names = np.zeros(len(shots_NC), np.int64) if stories is None else np.asarray(stories)
    if unfit := unusable(what, shots=shots_NC, stories_of_shots=names):
        return unfit
    values: list[float] = []
    kept: list[str] = []
    for name in np.unique(names):
        found_N = style_selves(shots_NC[names == name])
        values += found_N.tolist()
        kept += [str(name)] * len(found_N)
    if not values:
        return absent(what, "a pair takes two shots of a story, there is none")
    return mean(values, what, None if stories is None else kept)


def style_selves(shots_NC: Floats) -> Floats:
    """[N] the mean cosine of a shot's style and those of the other shots of its story; [0] where it is alone."""
    if len(shots_NC) < 2:
        return np.zeros(0)
    shots = unit(shots_NC)
    alike_NN = shots @ shots.T
    selves_N: Floats = (alike_NN.sum(axis=1) - alike_NN.diagonal()) / (len(shots) - 1)
    return selves_N


def unit(rows_NC: Floats) -> Floats:
    """Rows of length 1, in 64 bits; rows of zeros stay."""
    wide_NC = np.asarray(rows_NC, dtype=np.float64)
    unit_NC: Floats = wide_NC / np.maximum(np.linalg.norm(wide_NC, axis=-1, keepdims=True), 1e-12)
    return unit_NC


def cosine(left_NC: Floats, right_NC: Floats) -> Floats:
    """[N] cosine of the angle between two rows."""
    cosine_N: Floats = (unit(left_NC) * unit(right_NC)).sum(axis=1)
    return cosine_N
