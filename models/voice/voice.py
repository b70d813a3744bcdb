"""The interface of voices, from words to speech, and an estimate of the length of speech."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from models.text.sentences import split

Samples = NDArray[np.float32]

LONGEST = 300
"""Characters that are spoken in one piece: longer texts are split at sentences, clauses or words."""

_PACE = 14.5  # characters per second of English, for people and the embedded voice
_DENSE_PACE = 4.5  # for digits, signs that are read as words, and scripts whose characters are syllables or words
_DENSE = re.compile("[0-9&%$€£+=<>@#\u3040-\u30ff\u3400-\u9fff\uac00-\ud7a3]")
_UNSPOKEN = re.compile("[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff\ud800-\udfff]+")


@dataclass(frozen=True)
class Words:
    """A text and its speaker; without a speaker it is the narrator."""

    text: str
    speaker: str = ""


@dataclass(frozen=True)
class Speech:
    """Mono samples within -1..1, float32 [N], and their rate; empty if there is nothing to say."""

    samples: Samples
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate


class Voice(Protocol):
    """Speaks words; equal words always sound the same.

    Attributes:
        languages: ISO 639-1 codes of its languages; empty: unknown, so any language is tried.
    """

    name: str
    revision: str
    licence: str
    languages: frozenset[str]

    def speak(self, words: Sequence[Words]) -> list[Speech]:
        """One speech for each, in order.

        Raises:
            ModelError: the model or the server can't be used.
        """
        ...


def nothing(rate: int = 24_000) -> Speech:
    """An empty speech."""
    return Speech(np.zeros(0, np.float32), rate)


def pieces(text: str, most: int = LONGEST) -> list[str]:
    """The text in parts of at most `most` characters, to be spoken one after the other.

    Control characters are dropped, and so are parts without a letter or a digit.
    """
    parts = [part for sentence in split(_UNSPOKEN.sub(" ", text)) for part in _cut(sentence, most)]
    return [part for part in parts if any(letter.isalnum() for letter in part)]


def _cut(sentence: str, most: int) -> list[str]:
    """Splits at the last clause that fits, otherwise at the last word, otherwise anywhere."""
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
    """Estimated seconds of these words, without speaking them."""
    letters = sum(len(part) for part in pieces(text))
    dense = len(_DENSE.findall(text))
    return (letters - dense) / _PACE + dense / _DENSE_PACE + 0.6 if letters else 0.0
