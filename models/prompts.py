"""Prompts lie in text files beside the backend that speaks them; their hash is part of what names its rows."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path


@cache
def read(folder: Path) -> Mapping[str, str]:
    """File name without ending -> text, of every `.txt` in a folder; a file's last line end does not count."""
    return {path.stem: path.read_text(encoding="utf-8").rstrip("\n") for path in sorted(folder.glob("*.txt"))}


def digest(prompts: Mapping[str, str]) -> str:
    """12 hex digits that change with any letter of any prompt, or with its name."""
    whole = "\0".join(f"{name}\0{text}" for name, text in sorted(prompts.items()))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]
