"""File names from titles: readable, legal on every system, and unique."""

import re
import unicodedata
from collections.abc import Sequence

MOST_BYTES = 180
"""Of a name without its endings: 75 of the 255 that file systems take are left for these."""

_FORBIDDEN = re.compile(r'[/\\:*?"<>|%]+')  # on some system
_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)
_JOINERS = "\u200c\u200d\ufe0e\ufe0f"


def file_names(titles: Sequence[str]) -> list[str]:
    """One name without ending for each title, of at most MOST_BYTES in UTF-8, in the order of the titles.

    Names differ in more than case or the way in which accents are written: equal ones get " (2)", " (3)" and so on. A
    title without any usable character becomes "movie".
    """
    names: list[str] = []
    taken: set[str] = set()
    following: dict[str, int] = {}  # folded name -> number to try next
    for title in titles:
        name = base = _cleaned(title) or "movie"
        number = following.get(_folded(base), 2)
        while _folded(name) in taken:
            suffix = f" ({number})"
            name = _shortened(base, MOST_BYTES - len(suffix)) + suffix
            number += 1
        following[_folded(base)] = number
        taken.add(_folded(name))
        names.append(name)
    return names


def _cleaned(title: str) -> str:
    text = unicodedata.normalize("NFC", title)
    text = "".join(
        each if unicodedata.category(each)[0] in "LMNPSZ" or each in _JOINERS else " "
        for each in text[: 4 * MOST_BYTES]
    )
    text = _FORBIDDEN.sub("-", text)
    text = re.sub(r"\s+", " ", text).strip(" .-" + _JOINERS)
    text = f"{text}_" if _DEVICES.fullmatch(text) else text
    return _shortened(text, MOST_BYTES)


def _shortened(text: str, most: int) -> str:
    """As many whole characters as fit, accents and joined emoji kept together."""
    if len(text.encode()) <= most:
        return text
    end = len(text.encode()[:most].decode(errors="ignore"))
    while end and (unicodedata.combining(text[end]) or text[end] in _JOINERS or text[end - 1] == "\u200d"):
        end -= 1
    return text[:end].rstrip(" .-")


def _folded(name: str) -> str:
    """Equal for names that some file system treats as the same."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())
