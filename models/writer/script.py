"""The multimodal script of one keyframe: as text (Fig. 16), and as identifiers and descriptions (§3.4)."""

from dataclasses import dataclass
from typing import Literal

MOST_CHARACTERS, MOST_SCENE_ELEMENTS, MOST_PLOTS = 5, 7, 3  # 15 descriptions, as many as the decoder takes
SECTIONS = ("Characters:", "Scene Elements:", "Plots:")


@dataclass(frozen=True)
class Script:
    """Descriptions in three sections; `reason` says why the template wrote it, otherwise it is empty.

    Raises ValueError if a section has more descriptions than the decoder's 15 places allow.
    """

    row_id: str
    characters: tuple[str, ...]
    scene_elements: tuple[str, ...]
    plots: tuple[str, ...]
    written_by: Literal["llm", "template", "film"]
    reason: str = ""

    def __post_init__(self) -> None:
        limits = (MOST_CHARACTERS, MOST_SCENE_ELEMENTS, MOST_PLOTS)
        for section, lines, most in zip(SECTIONS, self.sections(), limits, strict=True):
            if len(lines) > most:
                raise ValueError(
                    f"script {self.row_id!r} has {len(lines)} entries under {section!r}, at most {most} fit"
                )

    def sections(self) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
        """Characters, scene elements and plots, in the order of SECTIONS."""
        return self.characters, self.scene_elements, self.plots


def parts(script: Script) -> list[tuple[Literal["identifier", "description"], str]]:
    """The script in reading order; an identifier opens each section that has descriptions."""
    reading: list[tuple[Literal["identifier", "description"], str]] = []
    for section, lines in zip(SECTIONS, script.sections(), strict=True):
        if lines:
            reading.append(("identifier", section))
            reading.extend(("description", line) for line in lines)
    return reading


def render(script: Script) -> str:
    """The script for people: headings, and a dash before each description."""
    return "\n".join(text if kind == "identifier" else f"- {text}" for kind, text in parts(script))
