"""What every voice is: words in, speech out; and how long words take."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.sentences import split

Samples = NDArray[np.float32]

LONGEST = 300
"""Characters that are spoken in one piece: longer texts are split at sentences, clauses or words."""

_PACE = 14.5  # characters a second, as people and the embedded voice read English
_DENSE_PACE = 4.5  # of scripts whose characters are syllables or words
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_UNSPOKEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


@dataclass(frozen=True)
class Words:
    """What somebody says; without a speaker it is the narrator."""

    text: str
    speaker: str = ""


@dataclass(frozen=True)
class Speech:
    """Mono samples within -1..1, float32 [N], so many a second; none where there is nothing to say."""

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class Voice(Protocol):
    """Speaks; equal words sound equal, whatever else is asked.

    Attributes:
        languages: ISO 639-1 codes of those that it speaks; empty: not known, so any may be asked.
    """

    name: str
    revision: str
    licence: str
    languages: frozenset[str]

    def speak(self, words: Sequence[Words]) -> list[Speech]:
        """One speech for each, in their order.

        Raises:
            ModelError: when the model or the server can't be used.
        """
        ...


def nothing(rate: int = 24_000) -> Speech:
    """Speech of no length."""
    return Speech(np.zeros(0, np.float32), rate)


def pieces(text: str, most: int = LONGEST) -> list[str]:
    """The text in parts of at most `most` characters that can be spoken one after the other.

    Control characters are left out, and so are parts without a letter or a digit.
    """
    parts = [part for sentence in split(_UNSPOKEN.sub(" ", text)) for part in _cut(sentence, most)]
    return [part for part in parts if any(letter.isalnum() for letter in part)]


def _cut(sentence: str, most: int) -> list[str]:
    """At the last clause that fits, or the last word, or anywhere."""
    parts = []
    rest = sentence.strip()
    while len(rest) > most:
        head = rest[: most + 1]
        ends = [found.end() for found in re.finditer(r"[,;:—–、，；：]\s*", head) if found.end() > most // 3]
        end = ends[-1] if ends else head.rfind(" ")
        end = min(end, most) if end > 0 else most
        parts.append(rest[:end].strip())
        rest = rest[end:].strip()
    return [part for part in (*parts, rest) if part]


def estimate(text: str) -> float:
    """Seconds that these words take about, known without speaking them."""
    letters = sum(len(part) for part in pieces(text))
    dense = len(_DENSE.findall(text))
    return (letters - dense) / _PACE + dense / _DENSE_PACE + 0.6 if letters else 0.0
