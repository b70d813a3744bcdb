"""Local files that appear whole or not at all."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath


@contextmanager
def beside(target: Path) -> Iterator[Path]:
    """A new file beside `target` that takes its place when the block ends well, and vanishes when it doesn't."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


def is_part(path: PurePosixPath) -> bool:
    """Whether a path is, or lies in, something unfinished."""
    return any(name.startswith(".") and name.endswith(".part") for name in path.parts)


def sweep(folder: Path, deep: bool) -> None:
    """Removes what killed processes left unfinished in a folder, or also below it; for whoever is alone there."""
    for part in folder.glob("**/.*.part" if deep else ".*.part"):
        if re.fullmatch(r"\.(.+\.)?[0-9a-f]{32}\.part", part.name) and part.is_file():
            part.unlink(missing_ok=True)
