"""Makes text from outside (names, titles, addresses, answers) safe for a line, a page or JSON.

Whoever names a film chooses its bytes: a control character would move the cursor, clear the screen or set the window's
title, a change of direction would turn a line around, and a name that is not UTF-8 can't be printed at all.
"""

import json
import re

NAME = 200
"""Characters that a name or a title may take."""

LINE = 2000
"""Characters that a line may take."""

_UNPRINTABLE = re.compile(  # what joins letters, as in emoji and Persian, stays
    "[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\u3164\ufeff\uffa0\ufff9-\ufffb"
    "\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)


def printable(text: str, most: int = NAME) -> str:
    r"""One line of the first `most` characters, with control characters escaped, as "\x1b"."""
    return _UNPRINTABLE.sub(_escaped, cut(text, most))


def cut(text: str, most: int) -> str:
    """At most this many characters."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _escaped(found: re.Match[str]) -> str:
    code = ord(found[0])
    byte = code - 0xDC00 if 0xDC80 <= code <= 0xDCFF else 0  # of a name that is not UTF-8
    return rf"\x{byte:02x}" if byte else found[0].encode("unicode_escape").decode()


def is_utf8(text: str) -> bool:
    """Whether a name that the system gave can be written down; one that is not UTF-8 has lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable_lines(text: str) -> str:
    """As `printable`, line by line."""
    return "\n".join(printable(line, LINE) for line in text.split("\n"))


def json_text(value: object, indent: int | None = 2) -> str:
    """JSON for people and programs: letters as they are, control characters escaped, nothing cut."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _UNPRINTABLE.sub(lambda found: found[0] if found[0] == "\n" else json.dumps(found[0])[1:-1], text)
