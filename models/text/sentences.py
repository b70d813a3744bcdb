"""Splits a text in any language into sentences, and shortens long ones for the text encoder.

A sentence ends at . ! ? or …, with the closing quotes, brackets and emoji after it, if a space or the end of the line
follows; the full stops of Chinese, Japanese, Hindi and Arabic need no space. A sentence does not end at an
abbreviation, at the initial of a name, inside a number, or at an ellipsis or a quoted ! or ? that a lower-case letter
follows. The end of a line also ends a sentence. List markers are dropped.
"""

import re
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from open_clip.tokenizer import SimpleTokenizer

MOST_TOKENS = 248  # of LongCLIP, including its start and end tokens

_LONGEST = 40  # characters of a word that is looked at
_CLOSERS = "\"'”’»)\\]｣」』）】〉》"
_EMOJI = "\U0001f000-\U0001faff\u2600-\u27bf\ufe0f\u200d"
_END = re.compile(
    rf"(?:(?P<wide>[。！？．｡।॥؟۔]+)|(?P<marks>[.!?…]+))(?P<closed>[{_CLOSERS}]*)(?P<emoji>(?:[ \t]*[{_EMOJI}]+)*)"
)
_OPENERS = re.compile(r"\s*[\"'“‘«(\[]*")
_BULLET = re.compile(r"^(?:[-*•–—]|\(?\d{1,2}[.)])[ \t]+")
_GOES_ON = re.compile(  # after these a sentence goes on, whatever follows
    r"mrs?|ms|dra?|prof|st|mt|rev|gen|sgt|capt|lt|col|hon|pres|gov|sra?|srta|m|mme|mlle|vs|cf|ca|approx|fig|nr|e\.g|i\.e"
    r"|z\.b|d\.h"
)
_SPACED = re.compile(r"\b(?:z\. ?B|d\. ?h|u\. ?a|z\. ?T|p\. ?ej)\.")  # with a space inside
_ABBREVIATION = re.compile(  # these don't end a sentence if a lower-case letter or a digit follows
    r"jr|etc|vol|ed|est|dept|inc|ltd|co|corp|bros|a\.m|p\.m|u\.s|u\.k|u\.n|d\.c|ph\.d|bzw|usw"
)


def split(text: str) -> list[str]:
    """The sentences of a text, in order, each stripped; [] if there are none."""
    return [sentence for line in text.splitlines() for sentence in _of_line(_BULLET.sub("", line.strip()))]


def _of_line(line: str) -> list[str]:
    found, start = [], 0
    for end in _END.finditer(line):
        if end.end() > start and _ends(line, start, end):
            found.append(line[start : end.end()].strip())
            start = end.end()
    found.append(line[start:].strip())
    return [sentence for sentence in found if sentence]


def _ends(line: str, start: int, end: re.Match[str]) -> bool:
    """Whether the sentence that begins at `start` ends with these marks."""
    if end["wide"] or end.end() == len(line):
        return True
    if not line[end.end()].isspace():
        return bool(end["emoji"])
    before = _OPENERS.match(line, end.end())
    assert before
    following = line[before.end() : before.end() + 1]
    if end["marks"] != ".":
        return not following.islower() or not (end["closed"] or set(end["marks"]) <= {".", "…"})
    word = re.split(r"[\s(\[\"'“‘«]", line[max(start, end.start() - _LONGEST) : end.start()])[-1]
    name = word.casefold()
    if _GOES_ON.fullmatch(name) or any(
        found.start() < end.end() <= found.end()
        for found in _SPACED.finditer(line, max(start, end.start() - 8), end.end() + 8)
    ):
        return False
    if name == "no":
        return not following.isdigit()
    if _ABBREVIATION.fullmatch(name):
        return following.isupper()
    initial = len(word) == 1 and word.isupper() and word != "I"
    return not (initial and following.isupper())


def tokens(text: str) -> int:
    """Number of CLIP tokens of a text, including the start and end tokens."""
    return len(_tokenizer().encode(text)) + 2


def fitted(text: str, most: int = MOST_TOKENS) -> str:
    """`text`, shortened if necessary so that it fits into `most` tokens of the text encoder.

    The last sentences are dropped first. If the first sentence alone is too long, it ends after the last clause that
    fits or, if no clause ends in its second half, after the last word that fits, and then with an ellipsis.
    """
    if len(text.encode()) + 2 <= most or tokens(text) <= most:  # a token is at least a byte
        return text
    first, *others = split(text)
    if tokens(first) > most:
        return _shortened(first, most)
    kept = first
    for sentence in others:
        if tokens(f"{kept} {sentence}") > most:
            break
        kept = f"{kept} {sentence}"
    return kept


def _shortened(sentence: str, most: int) -> str:
    """The longest beginning that fits, with an ellipsis; found by bisection."""
    low, high = 0, len(sentence)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if tokens(sentence[:middle].rstrip() + "…") <= most else (low, middle)
    fits = sentence[:low]
    clauses = [mark.start() for mark in re.finditer(r"[,;:、，；：](?=\s|[^\x00-\x7f])| [-–—] ", fits)]
    words = [mark.start() for mark in re.finditer(r"\s", fits)]
    for places in (clauses, words):
        if places and places[-1] > low / 2:
            return fits[: places[-1]].rstrip() + "…"
    return fits.rstrip() + "…"


@cache
def _tokenizer() -> "SimpleTokenizer":
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()
