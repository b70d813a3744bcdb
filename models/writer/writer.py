"""The interface of script writers: from the captions of a keyframe to its script."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from models.writer.script import Script

PROMPTS = Path(__file__).parent / "prompts"


@dataclass(frozen=True)
class OwnWords:
    """The ground truth of a keyframe, in the sections of a script."""

    characters: tuple[str, ...]
    scene_elements: tuple[str, ...]
    plots: tuple[str, ...]


@dataclass(frozen=True)
class ScriptFacts:
    """The captions of one keyframe (the whole picture and each person), and the film's own words."""

    row_id: str
    frame_caption: str
    character_captions: tuple[str, ...] = ()
    own: OwnWords | None = None


class ScriptWriter(Protocol):
    """Writes scripts."""

    name: str
    revision: str
    licence: str

    def write(self, facts: Sequence[ScriptFacts]) -> list[Script]:
        """One script for each keyframe, in order, each with its row id and writer."""
        ...
