"""The sound: slow chords and a plucked tune in a key a place, over waves, wind, rain, birds or a ticking clock.

`compose` makes that of a drawn film, `score` that of any parts, as long as they like.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from drawn.paint import Array
from drawn.script import Script

RATE = 32000
_FADE = 2 * RATE  # samples over which a part goes over into the next
SCALES = {
    "harbour": (0, 2, 4, 7, 9),
    "forest": (0, 2, 4, 7, 11),
    "street": (0, 3, 5, 7, 10),
    "room": (0, 2, 3, 7, 9),
    "mountain": (0, 2, 4, 6, 7),
    "village": (0, 4, 5, 7, 11),
    "beach": (0, 2, 4, 7, 9),
    "desert": (0, 1, 4, 7, 8),
}
ROOTS = {
    "harbour": 50,
    "forest": 55,
    "street": 45,
    "room": 48,
    "mountain": 52,
    "village": 53,
    "beach": 57,
    "desert": 46,
}


@dataclass(frozen=True)
class Feeling:
    """What a mood does to music.

    Attributes:
        scale: in semitones above the root; None: that of the place.
        shift: of the root, in semitones.
        beat: seconds between the times at which a string may be plucked.
        density: share of these at which one is.
    """

    scale: tuple[int, ...] | None = None
    shift: int = 0
    beat: float = 0.5
    density: float = 0.6


PLAIN = Feeling()
"""The mood of drawn films."""


@dataclass(frozen=True)
class Part:
    """Some seconds of music that stay in one key.

    Attributes:
        kind: of place, one of SCALES.
        air: whether the place itself is heard, such as its waves.
    """

    kind: str
    seed: int
    seconds: float
    feeling: Feeling = PLAIN
    air: bool = True


def compose(script: Script) -> Array:
    """The film's sound, float32 [2, seconds * RATE] within -1..1."""
    out = np.zeros((2, script.seconds * RATE), np.float32)
    start = 0
    while start < len(script.shots):
        end = start
        while end + 1 < len(script.shots) and script.shots[end + 1].place == script.shots[start].place:
            end += 1
        a, b = script.shots[start].start, script.shots[end].end
        kind = script.places[script.shots[start].place].kind
        out[:, a * RATE : b * RATE] += _played(Part(kind, script.seed * 1000 + start, b - a))
        start = end + 1
    edge = np.minimum(1, np.arange(RATE // 2) / (RATE // 2)).astype(np.float32)
    out[:, : RATE // 2] *= edge
    out[:, -RATE // 2 :] *= edge[::-1]
    return (0.8 * out / max(1e-6, float(np.abs(out).max()))).astype(np.float32)


def score(parts: Sequence[Part]) -> Iterator[Array]:
    """The sound of any number of parts, each fading into the next: float32 [2, N] within -1..1, an array a part.

    Only one part is held at a time. Together they have round(seconds * RATE) samples, seconds being those of all parts.
    """
    over = np.zeros((2, 0), np.float32)  # the end of earlier parts that is still audible
    end, at = 0.0, 0
    for number, part in enumerate(parts):
        end += part.seconds
        n, fades = round(end * RATE) - at, number + 1 < len(parts)
        wave = _played(replace(part, seconds=(n + _FADE * fades) / RATE))
        length = min(_FADE, wave.shape[1])
        rise = np.sin(np.linspace(0, np.pi / 2, length, dtype=np.float32))
        wave[:, :length] *= rise
        wave[:, wave.shape[1] - length :] *= rise[::-1]
        heard = np.zeros((2, max(wave.shape[1], over.shape[1])), np.float32)
        heard[:, : wave.shape[1]] += 0.5 * wave
        heard[:, : over.shape[1]] += over
        yield np.clip(heard[:, :n], -1, 1)
        over, at = heard[:, n:], at + n


def _played(part: Part) -> Array:
    rng = np.random.default_rng(part.seed)
    n = round(part.seconds * RATE)
    t = np.arange(n, dtype=np.float32) / RATE
    feeling = part.feeling
    scale, root = feeling.scale or SCALES[part.kind], ROOTS[part.kind] + feeling.shift
    pad = np.zeros(n, np.float32)
    for k, step in enumerate((0, 2, 3)):
        w = 2 * np.pi * _hertz(root + scale[step])
        swell = 0.6 + 0.4 * np.sin(2 * np.pi * t * (0.11 + 0.03 * k) + k)
        pad += swell * (np.sin(w * t) + 0.5 * np.sin(1.003 * w * t) + 0.2 * np.sin(2 * w * t))
    tune = np.zeros((2, n), np.float32)
    length = int(1.4 * RATE)
    decay = np.exp(-np.arange(length, dtype=np.float32) / (0.35 * RATE))
    for beat in np.arange(0, part.seconds, feeling.beat):
        if rng.random() < feeling.density:
            note = root + 12 * int(rng.integers(1, 3)) + int(rng.choice(scale))
            at = int(beat * RATE)
            wave = decay * np.sin(2 * np.pi * _hertz(note) * np.arange(length, dtype=np.float32) / RATE)
            m = min(length, n - at)
            pan = rng.uniform(0.3, 0.7)
            tune[0, at : at + m] += wave[:m] * pan
            tune[1, at : at + m] += wave[:m] * (1 - pan)
    music = 0.10 * pad[None] + 0.35 * tune
    return (music + _air(part.kind, rng, t) if part.air else music).astype(np.float32)


def _hertz(note: int) -> float:
    return float(440.0 * 2 ** ((note - 69) / 12))


def _hiss(rng: np.random.Generator, n: int, low: float, high: float) -> Array:
    """Noise between two frequencies in hertz, float32 [2, n], about 1 in size."""
    spectrum = np.fft.rfft(rng.standard_normal((2, n)).astype(np.float32), axis=1)
    f = np.fft.rfftfreq(n, 1 / RATE)
    spectrum *= 1 / (1 + (f / high) ** 4) * (f / low) ** 2 / (1 + (f / low) ** 2)
    wave = np.fft.irfft(spectrum, n, axis=1)
    return cast(Array, (wave / (wave.std() + 1e-9)).astype(np.float32))


def _air(kind: str, rng: np.random.Generator, t: Array) -> Array:
    n = len(t)
    slow = 0.5 + 0.5 * np.sin(2 * np.pi * t / 5.5 + rng.uniform(0, 6))
    if kind in ("harbour", "beach"):
        return cast(Array, 0.07 * _hiss(rng, n, 200, 1500) * slow**2)
    if kind == "street":
        return cast(Array, 0.035 * _hiss(rng, n, 1500, 9000) + 0.03 * _hiss(rng, n, 60, 200))
    if kind == "room":
        tick = np.exp(-(np.mod(t, 1.0) * 300)) * np.sin(2 * np.pi * 1900 * t)
        return cast(Array, 0.15 * np.stack([tick, tick * 0.8]) + 0.008 * _hiss(rng, n, 100, 800))
    out = 0.04 * _hiss(rng, n, 150, 600 if kind != "village" else 900) * (0.4 + 0.6 * slow)
    if kind in ("forest", "mountain"):
        for at in rng.uniform(0, max(0.1, n / RATE - 0.6), max(1, n // RATE)):
            m, i = int(0.16 * RATE), int(at * RATE)
            u = np.arange(m, dtype=np.float32) / RATE
            whistle = 2 * np.pi * (2600 + 900 * rng.random()) * u + 40 * np.sin(2 * np.pi * 14 * u)
            chirp = np.sin(whistle) * np.sin(np.pi * u / 0.16) ** 2
            out[:, i : i + m] += 0.05 * chirp[: max(0, n - i)] * np.array([[rng.random()], [rng.random()]])
    return cast(Array, out)
