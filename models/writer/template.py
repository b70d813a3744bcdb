"""The template writer: sorts the captions' own sentences into the script's sections, without adding words."""

import re
from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel

from models.text.sentences import fitted, split
from models.writer.script import MOST_CHARACTERS, MOST_PLOTS, MOST_SCENE_ELEMENTS, Script
from models.writer.writer import ScriptFacts

PLOT_WORDS = re.compile(
    r"\b(person|people|man|men|woman|women|child|children|shot|close-up|moves?|moving)\b", re.IGNORECASE
)


def sentences(text: str) -> list[str]:
    """The sentences of a caption, without repetitions, each short enough for the text encoder."""
    return list(dict.fromkeys(map(fitted, split(text))))


class TemplateConfig(BaseModel, frozen=True, extra="forbid"):
    """Sorts the captions' sentences into the three sections, without adding words."""

    kind: Literal["template"] = "template"

    revision: ClassVar[str] = "1"


class TemplateWriter:
    """Sentences about people, shots and motion are plots; all others are scene elements."""

    name = "template"
    revision = TemplateConfig.revision
    licence = "Apache-2.0"

    def write(self, facts: Sequence[ScriptFacts]) -> list[Script]:
        """One script for each keyframe, in order."""
        return [arrange(one, "the template was chosen") for one in facts]


def arrange(facts: ScriptFacts, reason: str) -> Script:
    """The template's script; `reason` says why no model wrote it. Sentences beyond a section's places are dropped."""
    said = sentences(facts.frame_caption)
    return Script(
        row_id=facts.row_id,
        characters=tuple(map(fitted, facts.character_captions[:MOST_CHARACTERS])),
        scene_elements=tuple(one for one in said if not PLOT_WORDS.search(one))[:MOST_SCENE_ELEMENTS],
        plots=tuple(one for one in said if PLOT_WORDS.search(one))[:MOST_PLOTS],
        written_by="template",
        reason=reason,
    )
