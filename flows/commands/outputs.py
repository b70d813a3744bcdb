"""Files at paths that a user names: what somebody else has put there is never overwritten."""

import os
from collections.abc import Callable
from pathlib import Path

from storage.atomic import beside
from storage.errors import ConfigError
from storage.printable import printable


def refuse_to_replace(path: Path, option: str, ours: Callable[[bytes], bool] = lambda _: False) -> None:
    """Returns if nothing is at `path`, or a file that the same command has written before.

    Args:
        option: the command line's option that gives another path.
        ours: whether a file with these bytes was written by the command.

    Raises:
        ConfigError: something else is there.
    """
    try:
        if not path.exists() or (path.is_file() and ours(path.read_bytes())):
            return
    except OSError as error:
        raise ConfigError(f"{printable(str(path))!r} can't be read: {error.strerror}") from None
    raise ConfigError(f"{printable(str(path))!r} already exists: remove it, or give another name with {option}")


def write_text(path: Path, text: str) -> None:
    """Writes a file in UTF-8, whole or not at all. Another name of the file that it replaces keeps the old text.

    Raises:
        ConfigError: it can't be written.
    """
    try:
        target = Path(os.path.realpath(path, strict=path.is_symlink()))  # a link stays one
        target.parent.stat()  # is there
        with beside(target) as part:
            part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{printable(str(path))!r} can't be written: {error.strerror}") from None
