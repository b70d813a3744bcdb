"""Reads prompts from text files beside their backend; their hash is part of the rows' revision."""

import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from models.text.answers import VERSION


@cache
def read(folder: Path) -> Mapping[str, str]:
    """File name without extension -> text, for every `.txt` in a folder; the trailing newline is removed."""
    return {path.stem: path.read_text(encoding="utf-8").rstrip("\n") for path in sorted(folder.glob("*.txt"))}


def digest(prompts: Mapping[str, str]) -> str:
    """12 hex digits that depend on the names and texts of all prompts."""
    whole = "\0".join(f"{name}\0{text}" for name, text in sorted(prompts.items()))
    return hashlib.sha256(whole.encode()).hexdigest()[:12]


def revision(folder: Path) -> str:
    """Of the prompts in a folder and of the parser of answers; part of the revision of the backend that asks them."""
    return f"prompts {digest(read(folder))}, answers {VERSION}"
