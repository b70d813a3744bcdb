"""Local files that appear whole or not at all."""

import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath


@contextmanager
def beside(target: Path, owner: str = "", last: Callable[[Path], None] = lambda part: None) -> Iterator[Path]:
    """A new file beside `target` that takes its place when the block ends well, and vanishes when it doesn't.

    Args:
        owner: stands in the file's name, for storage.claim.sweep_parts.
        last: is called with the new file before it takes its place, which an error of it prevents.
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
    """A folder beside a file that is being made, emptied of what a killed run left there; gone when the block ends."""
    folder = path.with_name(f".{path.name}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write_new(target: Path, data: bytes) -> None:
    """The file `target`, whole, unless there is one: that stays as it is."""
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
    """Whether a path is, or lies in, something unfinished."""
    return any(name.startswith(".") and name.endswith(".part") for name in path.parts)
