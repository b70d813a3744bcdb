"""Which of some names a text says."""

import re
from collections.abc import Iterable
from functools import lru_cache


def named_in(text: str, names: Iterable[str]) -> list[str]:
    """The names that stand in a text as whole words, in the order of their first appearance; both in NFC.

    Of names inside each other (Ada, Ada Lovelace) the longest counts. Capitals matter: a boy called Will is not will.
    """
    pattern = _pattern(tuple(names))
    return list(dict.fromkeys(found[0] for found in pattern.finditer(text))) if pattern else []


@lru_cache(maxsize=8)
def _pattern(names: tuple[str, ...]) -> re.Pattern[str] | None:
    longest_first = sorted(set(names), key=lambda name: (-len(name), name))
    apart = "|".join(re.escape(name) for name in longest_first if not _runs_on(name))
    within = "|".join(re.escape(name) for name in longest_first if _runs_on(name))
    parts = [rf"(?<!\w)(?:{apart})(?!\w)"] * bool(apart) + [within] * bool(within)
    return re.compile("|".join(parts)) if parts else None


def _runs_on(name: str) -> bool:
    """Whether no spaces part the words of its language: Thai, Lao, kana, Chinese characters."""
    return any("\u0e00" <= letter <= "\u0eff" or "\u3040" <= letter <= "\u9fff" for letter in name)
