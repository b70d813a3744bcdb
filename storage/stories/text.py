"""Decodes the bytes of a story file, in any Unicode encoding and from any editor."""

import codecs
import re
import unicodedata

from storage.errors import ConfigError
from storage.printable import printable

MOST_BYTES = 16 * 2**20
"""Size of the largest story file."""

_MARKS = {  # the longer first: UTF-32's begins with UTF-16's
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_REFUSED = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\ufeff\ufff9-\ufffb\ufffe\uffff\ud800-\udfff]")


def fault(name: str, line: int, said: str) -> ConfigError:
    """The error for one line, numbered from 1, of a file."""
    return ConfigError(f"{printable(name)}, line {line}: {said}")


def decoded(data: bytes, name: str) -> str:
    r"""Text whose lines end with "\n", without a byte order mark.

    Args:
        name: of the file, for errors.

    Raises:
        ConfigError: too large, no Unicode encoding, or control characters.
    """
    if len(data) > MOST_BYTES:
        raise ConfigError(f"{printable(name)} has {len(data):,} bytes: a story has at most {MOST_BYTES:,}, split it")
    encoding = next((one for mark, one in _MARKS.items() if data.startswith(mark)), "")
    if not encoding and b"\x00" in data[:2]:
        encoding = "utf-16-be" if data[0] == 0 else "utf-16-le"
    try:
        text = data.decode(encoding or "utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        found = data[error.start : error.end].hex(" ")
        raise fault(name, line, f"bytes {found} are not {error.encoding.upper()}: save the file as UTF-8") from None
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    require_readable(text, name, 1)
    return text


def require_readable(text: str, name: str, line: int) -> None:
    """Raises ConfigError for characters that no story has: control characters, halves of characters, line separators.

    Args:
        line: number of the text's first line.
    """
    if found := _REFUSED.search(text):
        read = text[: found.start()]
        what, before = f"the control character U+{ord(found[0]):04X}", printable(read.rpartition("\n")[2][-20:])
        raise fault(name, line + read.count("\n"), f"found {what} behind {before!r}: remove it")


def normal(text: str) -> str:
    """One line of text in NFC, without space around it and with single spaces in it."""
    return unicodedata.normalize("NFC", re.sub("[ \t\n]+", " ", text)).strip(" ")
