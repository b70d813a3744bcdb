"""Files at paths that a user names: what somebody else has put there is never overwritten."""

from collections.abc import Callable
from pathlib import Path

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
    """Writes a file in UTF-8.

    Raises:
        ConfigError: it can't be written.
    """
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{printable(str(path))!r} can't be written: {error.strerror}") from None
