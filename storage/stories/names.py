"""Names in stories: found in a text, or made of the description of somebody or of a place."""

import re
from collections import defaultdict
from collections.abc import Callable, Container, Iterable
from pathlib import PurePath

from storage.stories.nodes import Fields, Items, Node, Text, fields, texts

_LONGEST = 50  # characters of a name made of a description
_WORD = re.compile(r"\w+|[^\w\s]")


def finder(names: Iterable[str]) -> Callable[[str], list[str]]:
    """A function that finds the names in a text, in the order of their first appearance; all in NFC.

    A name must be whole words, except in languages that don't separate words by spaces. If names contain each other
    (Ada, Ada Lovelace), the longest counts. Capitals matter: a boy called Will is not the word will.
    """
    apart: dict[str, list[str]] = defaultdict(list)  # by their first words
    within: list[str] = []
    for name in sorted(set(names), key=lambda name: (-len(name), name)):
        if _runs_on(name):
            within.append(name)
        elif first := _WORD.search(name):
            apart[first[0]].append(name)
    anywhere = re.compile("|".join(map(re.escape, within))) if within else None

    def find(text: str) -> list[str]:
        found: list[tuple[int, str]] = [(one.start(), one[0]) for one in anywhere.finditer(text)] if anywhere else []
        end = 0
        for word in _WORD.finditer(text):
            if word.start() < end:
                continue
            for name in apart.get(word[0], ()):
                if text.startswith(name, word.start()) and not _goes_on(text, word.start() + len(name)):
                    found.append((word.start(), name))
                    end = word.start() + len(name)
                    break
        return list(dict.fromkeys(name for _, name in sorted(found)))

    return find


def short_name(description: str) -> str:
    """The beginning of a description, cut at a word; "" for an empty one."""
    name = description.rstrip(". ")
    if len(name) <= _LONGEST:
        return name
    words = name[:_LONGEST].rpartition(" ")[0] or name[:_LONGEST]
    return words.rstrip(" ,;:.-")


class Names:
    """Makes a unique name from each (description, picture)."""

    def __init__(self, lines: dict[tuple[str, str], int]) -> None:
        self._lines = lines
        self._names: dict[tuple[str, str], str] = {}
        said: dict[str, int] = {}  # how often so far
        for text, picture in lines:
            base = short_name(text or PurePath(picture).stem) or "Somebody"
            said[base] = said.get(base, 0) + 1
            self._names[text, picture] = base if said[base] == 1 else f"{base} ({said[base]})"

    def of(self, key: tuple[str, str]) -> str:
        return self._names[key]

    def nodes(self, keys: Container[tuple[str, str]] | None = None) -> Items:
        """All, or those with some keys, as `cast` or `places` of a story file."""
        return Items(1, tuple(self._node(key) for key in self._lines if keys is None or key in keys))

    def _node(self, key: tuple[str, str]) -> Fields:
        (text, picture), line = key, self._lines[key]
        pairs: list[tuple[str, Node]] = [("name", Text(line, self.of(key))), ("description", Text(line, text))]
        return fields(line, [*pairs, ("pictures", texts(line, [picture] if picture else []))])


def _goes_on(text: str, end: int) -> bool:
    """Whether the word that ends with a name continues after it."""
    return re.match(r"\w", text[end - 1 : end]) is not None and re.match(r"\w", text[end : end + 1]) is not None


def _runs_on(name: str) -> bool:
    """Whether its language has no spaces between words: Thai, Lao, kana, Chinese characters."""
    return any("\u0e00" <= letter <= "\u0eff" or "\u3040" <= letter <= "\u9fff" for letter in name)
