"""Metrics of sound: its synchrony with the picture, and its loudness.

Shapes: T moments of a movie, at `rate` a second.
"""

from collections.abc import Sequence

import numpy as np

from models.metrics.figure import Figure, Floats, absent, mean, unusable

RATE = 10
"""Moments per second at which sound is measured."""

STEP = "sound: seconds between sound and picture, less is better"
"""One line for people."""


def gap_words(target: float) -> str:
    """One line for people."""
    return f"loudness: distance in LU from {target:g} LUFS, less is better"


def lag(sound_T: Floats, picture_T: Floats, rate: float, most: float = 2.0) -> float | None:
    """Seconds by which sound comes after the picture: where their cross-correlation is largest, within `most`.

    Args:
        sound_T: loudness of each moment, such as the RMS of speech.
        picture_T: what the sound should follow, such as 1 where the script has speech, or where the picture cuts.
        rate: moments a second.
        most: longest lag in seconds.

    Returns:
        None if one of the two never changes.

    Raises:
        ValueError: the two have different lengths.
    """
    from scipy.signal import correlate, correlation_lags

    if len(sound_T) != len(picture_T):
        raise ValueError(f"{len(sound_T)} moments of sound and {len(picture_T)} of the picture")
    if len(np.unique(sound_T)) < 2 or len(np.unique(picture_T)) < 2:
        return None
    follows = correlate(sound_T - np.mean(sound_T), picture_T - np.mean(picture_T))
    lags = correlation_lags(len(sound_T), len(picture_T))
    near = np.abs(lags) <= most * rate
    return float(lags[near][follows[near].argmax()] / rate)


def sound_step(movies: Sequence[tuple[Floats, Floats]], rate: float) -> Figure:
    """The mean distance in seconds between sound and picture.

    Args:
        movies: for each (sound [T], picture [T]), as in `lag`.
        rate: moments a second.
    """
    what = STEP
    for sound_T, picture_T in movies:
        if unfit := unusable(what, moments_of_sound=sound_T, moments_of_the_picture=picture_T):
            return unfit
    found = [lag(sound_T, picture_T, rate) for sound_T, picture_T in movies]
    lags = [abs(one) for one in found if one is not None]
    if not lags:
        return absent(what, f"in none of {len(movies)} movies both sound and picture change")
    return mean(lags, what)


def loudness_gap(measured: Sequence[float], target: float) -> Figure:
    """The mean distance in LU of movies' integrated loudness (EBU R128, LUFS) from the target."""
    return mean([abs(one - target) for one in measured], gap_words(target))
