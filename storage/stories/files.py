"""Pictures and sounds that a story names; they must be files in its own folder."""

import difflib
import unicodedata
from pathlib import Path, PureWindowsPath

from storage.errors import ConfigError
from storage.printable import printable

_CURE = "put the file into the story's folder and write its name from there, such as photographs/ada.jpg"


def inside(name: str) -> str:
    """Why a name can't be a file in the story's folder, or "" if it can."""
    if PureWindowsPath(name).is_absolute() or PureWindowsPath(name).drive or name.startswith(("/", "\\", "~")):
        return f"{printable(name)!r} is an absolute path: {_CURE}"
    if "://" in name:
        return f"{printable(name)!r} is an address: download the file, {_CURE}"
    if ".." in PureWindowsPath(name).parts or "\x00" in name:
        return f"{printable(name)!r} leaves the story's folder: {_CURE}"
    return ""


def beside(folder: Path, name: str) -> Path:
    """The file that a story in `folder` names; the names in the folder may be in another normal form (NFD).

    Raises:
        ConfigError: a name that leads out of the folder, even through a symbolic link, or a missing file.
    """
    if said := inside(name):
        raise ConfigError(said)
    found = folder
    try:
        for part in Path(name).parts:
            found = _entry(found, part)
        if not found.is_file():
            raise ConfigError(f"{printable(name)!r} is no file: {_CURE}")
        real = found.resolve()
    except OSError as error:  # also a name that is too long for the system
        raise ConfigError(f"{printable(name)!r} can't be opened ({error.strerror}): {_CURE}") from None
    if not real.is_relative_to(folder.resolve()):
        raise ConfigError(f"{printable(name)!r} is a link out of the story's folder: {_CURE}")
    return found


def nearest(name: str, known: list[str]) -> str:
    """ ": did you mean 'x'?" for the most similar of some names, or what there is."""
    folded = {one.casefold(): one for one in known}
    if near := difflib.get_close_matches(name.casefold(), folded, 1):
        return f": did you mean {printable(folded[near[0]])!r}?"
    shown = ", ".join(printable(one, 40) for one in known[:10])
    return f"; there are: {shown}" + (" and others" if len(known) > 10 else "") if known else ""


def _entry(folder: Path, part: str) -> Path:
    path = folder / part
    if path.exists():
        return path
    entries = [one.name for one in folder.iterdir()] if folder.is_dir() else []
    form = unicodedata.normalize("NFC", part)
    same = [one for one in entries if unicodedata.normalize("NFC", one) == form]
    if not same:
        raise ConfigError(f"there is no file {printable(part)!r} in {printable(str(folder))!r}{nearest(part, entries)}")
    return folder / same[0]
