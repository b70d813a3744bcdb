"""Files that tests put somewhere, with the folders that they need."""

from collections.abc import Mapping
from pathlib import Path


def put(path: Path, data: bytes = b"a stranger's") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def put_all(folder: Path, files: Mapping[str, bytes]) -> str:
    for name, data in files.items():
        put(folder / name, data)
    return str(folder)
