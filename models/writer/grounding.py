"""Whether a sentence of a script says what the captions say: its words stand there, and so do its names."""

import re
from collections.abc import Iterable

STEM = 5  # first letters that make two words the same: walks, walking
SHORTEST = 3  # letters of a word that counts; shorter ones are grammar
MANY_CAPITALS = 0.15  # share of words with a capital from which a language doesn't keep capitals for names


def support(sentence: str, captions: str) -> float:
    """The share of a sentence's words that the captions have too, 0-1; of its pairs of letters where no spaces part
    words (Chinese, Japanese, Thai). 1 where there are none to count."""
    mine, theirs = _stems(sentence), _stems(captions)
    return sum(stem in theirs for stem in mine) / len(mine) if mine else 1.0


def invented_names(sentence: str, captions: str) -> list[str]:
    """Words with a capital inside a sentence that no caption has; [] where a language gives other words capitals."""
    inside = _inside(captions)
    capitals = sum(word[0].isupper() for word in inside)
    if inside and capitals > MANY_CAPITALS * len(inside):
        return []
    known = {word.casefold() for word in _words(captions)}
    said = [word.removesuffix("'s").removesuffix("’s") for word in _inside(sentence)]
    return [word for word in said if word[:1].isupper() and word.casefold() not in known and len(word) > 1]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_][\w'’-]*", text)


def _inside(text: str) -> list[str]:
    """The words that don't open a sentence or a quotation."""
    return re.findall(r"(?<=[^\s.!?…\"“«'‘(] )[^\W\d_][\w'’-]*", text)


def _stems(text: str) -> set[str]:
    stems: set[str] = set()
    for word in _words(text):
        if _without_spaces(word):
            stems.update(word[i : i + 2] for i in range(len(word) - 1))
        elif len(word) >= SHORTEST:
            stems.add(word.casefold()[:STEM])
    return stems


def _without_spaces(letters: Iterable[str]) -> bool:
    """Thai, Lao, kana and Chinese characters."""
    return any("\u0e00" <= one <= "\u0eff" or "\u3040" <= one <= "\u9fff" for one in letters)
