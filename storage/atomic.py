"""Local files that are written atomically."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath


@contextmanager
def beside(target: Path, owner: str = "", last: Callable[[Path], None] = lambda part: None) -> Iterator[Path]:
    """A new file beside `target`, which replaces it if the block succeeds and is removed otherwise.

    Args:
        owner: part of the new file's name, for storage.claim.sweep_parts.
        last: called with the new file before it replaces `target`; an error prevents that.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{owner}{uuid.uuid4().hex}.part")
    try:
        yield part
        last(part)
        part.replace(target)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def workplace(path: Path) -> Iterator[Path]:
    """An empty folder beside a file that is being made; it is removed at the end of the block."""
    folder = path.with_name(f".{path.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_new(target: Path, data: bytes) -> None:
    """Writes the file `target` atomically, unless it exists."""
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{uuid.uuid4().hex}.part")
    try:
        part.write_bytes(data)
        target.hardlink_to(part)
    except FileExistsError:
        pass
    except OSError:
        if not part.exists():
            raise
        part.replace(target)  # a file system without links
    finally:
        part.unlink(missing_ok=True)


def is_part(path: PurePosixPath) -> bool:
    """Whether a path is that of an unfinished file, or inside an unfinished folder."""
    return any(name.startswith(".") and name.endswith(".part") for name in path.parts)
