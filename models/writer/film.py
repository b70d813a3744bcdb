"""Scripts in the film's own words, for films with known ground truth, mixed with scripts from captions."""

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import BaseModel, Field

from models.text.sentences import fitted
from models.writer.script import Script
from models.writer.template import TemplateWriter, arrange
from models.writer.writer import ScriptFacts


class FilmWriterConfig(BaseModel, frozen=True, extra="forbid"):
    """Drawn films in their own words: names, looks, places and events, as a person would write them.

    The template writes the scripts of other films.
    """

    kind: Literal["film"] = "film"
    share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the shots written in the film's own words; the template writes the others",
    )
    seed: int = Field(0, ge=0, description="seed of the choice among phrasings")

    revision: ClassVar[str] = f"1, template {TemplateWriter.revision}"


class FilmWriter:
    """Writes the ground truth of a keyframe; if there is none, or the shot is not selected, the template writes."""

    name = "film"
    revision = FilmWriterConfig().revision
    licence = "Apache-2.0"

    def write(self, facts: Sequence[ScriptFacts]) -> list[Script]:
        """One script for each keyframe, in order."""
        return [self._script(one) for one in facts]

    def _script(self, facts: ScriptFacts) -> Script:
        if facts.own is None:
            return arrange(facts, "the film's own words are not known, or not asked for here")
        own = facts.own
        return Script(
            row_id=facts.row_id,
            characters=tuple(map(fitted, own.characters)),
            scene_elements=tuple(map(fitted, own.scene_elements)),
            plots=tuple(map(fitted, own.plots)),
            written_by="film",
        )
