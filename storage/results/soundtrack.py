"""What is heard and seen of a video over time, for the metrics of sound.

Shapes: T moments, a tenth of a second each.
"""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.errors import ConfigError, StorageError
from storage.movies.mix import loudness
from storage.results.videos import video

if TYPE_CHECKING:
    from av.container import InputContainer

Floats = NDArray[np.float32]

RATE = 16_000
"""Samples a second."""

_MOMENTS = 10  # a second
_CUT = 20.0  # grey levels by which small pictures differ, on average, across a cut
_SMALL = (32, 18)


def heard(path: Path) -> dict[str, Floats]:
    """`moments` [1], `loud` and `cuts` [T], and `loudness` [1] in LUFS, -inf of a silent video.

    `loud` is by how much the sound has become louder (RMS), `cuts` 1 where the picture cuts. T counts from the first
    picture to the end of sound or picture, whichever is later.

    Raises:
        ConfigError: naming a video that can't be read.
    """
    try:
        with video(path) as container:
            cuts_T = _cuts(container)
        loud_T = _loud(path)
        level = loudness(path) if loud_T.any() else -np.inf
    except StorageError as error:
        raise ConfigError(str(error)) from error
    length = max(len(cuts_T), len(loud_T))
    curves = [np.pad(curve_T, (0, length - len(curve_T))) for curve_T in (loud_T, cuts_T)]
    return {
        "moments": np.array([length], np.float32),
        "loud": curves[0],
        "cuts": curves[1],
        "loudness": np.array([level], np.float32),
    }


def _cuts(container: "InputContainer") -> Floats:
    found, before, first = [0.0], None, None
    for frame in container.decode(video=0):
        small = frame.reformat(*_SMALL, format="gray").to_ndarray().astype(np.float32)
        time = frame.time or 0.0
        first = time if first is None else first
        moment = int((time - first) * _MOMENTS)
        found += [0.0] * (moment + 1 - len(found))
        if before is not None and np.abs(small - before).mean() > _CUT:
            found[moment] = 1.0
        before = small
    return np.array(found, np.float32)


def _loud(path: Path) -> Floats:
    heard_N = samples(path)
    each = RATE // _MOMENTS
    whole = heard_N[: len(heard_N) // each * each].reshape(-1, each)
    rms_T = np.sqrt(np.square(whole).mean(axis=1)) if len(whole) else np.zeros(0)
    louder_T: Floats = np.maximum(np.diff(rms_T, prepend=0.0), 0).astype(np.float32)
    return louder_T


def samples(path: Path) -> Floats:
    """Its sound as mono samples at RATE; none of a video without sound; raises ConfigError as `heard` does.

    Samples that are not finite, as floats in a damaged file may be, are silent.
    """
    import av

    resampler = av.AudioResampler(format="fltp", layout="mono", rate=RATE)
    with video(path) as container:
        if not container.streams.audio:
            return np.zeros(0, np.float32)
        parts = [part.to_ndarray()[0] for frame in container.decode(audio=0) for part in resampler.resample(frame)]
        parts += [part.to_ndarray()[0] for part in resampler.resample(None)]
    return np.nan_to_num(np.concatenate(parts), posinf=0, neginf=0) if parts else np.zeros(0, np.float32)
