"""A description of the mirrored picture, for horizontal flips (section 3.4): left and right change places."""

import re

_OTHER = {"left": "right", "right": "left"}
_SIDES = re.compile(r"\b(left|right)\b", re.IGNORECASE)


def mirrored(sentence: str) -> str:
    """The sentence with the words `left` and `right` exchanged; captions use them for sides only."""
    return _SIDES.sub(_exchange, sentence)


def _exchange(side: re.Match[str]) -> str:
    other = _OTHER[side[0].lower()]
    return other.capitalize() if side[0][0].isupper() else other
