"""Which of some names a text says."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterable

_WORD = re.compile(r"\w+|[^\w\s]")


def finder(names: Iterable[str]) -> Callable[[str], list[str]]:
    """A function from a text to those of the names that it says, in the order of their first appearance; all in NFC.

    A name counts as whole words, or anywhere in a language that doesn't part its words by spaces. Of names inside each
    other (Ada, Ada Lovelace) the longest counts. Capitals matter: a boy called Will is not will.
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


def _goes_on(text: str, end: int) -> bool:
    """Whether a word goes on behind a name."""
    return re.match(r"\w", text[end - 1 : end]) is not None and re.match(r"\w", text[end : end + 1]) is not None


def _runs_on(name: str) -> bool:
    """Whether no spaces part the words of its language: Thai, Lao, kana, Chinese characters."""
    return any("\u0e00" <= letter <= "\u0eff" or "\u3040" <= letter <= "\u9fff" for letter in name)
