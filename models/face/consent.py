"""Whose faces may be used: where pictures of people who agreed are named, no other person's face is."""

import hashlib
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, Field


class ConsentConfig(BaseModel, frozen=True, extra="forbid"):
    """Who agreed that a likeness of them is made."""

    not_identity: ClassVar[tuple[str, ...]] = ("folder",)

    folder: str = Field(
        "", description="folder with pictures, one face in each, of the people whose faces may be used; empty: all may"
    )

    @property
    def pictures(self) -> list[Path]:
        """The files in the folder, sorted; hidden ones are passed over."""
        if not self.folder:
            return []
        return sorted(path for path in Path(self.folder).iterdir() if path.is_file() and path.name[0] != ".")

    @property
    def revision(self) -> str:
        """Of the pictures, wherever they are; part of every fingerprint that this config is in."""
        if not self.folder:
            return ""
        digests = sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in self.pictures)
        return hashlib.sha256("".join(digests).encode()).hexdigest()[:16]
