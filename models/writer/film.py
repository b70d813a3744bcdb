"""The film's own words: scripts of films of which somebody knows what they show, beside those of the captions."""

from collections.abc import Sequence

from models.sentences import fitted
from models.writer import FilmWriterConfig, ScriptFacts
from models.writer.script import Script
from models.writer.template import arrange


class FilmWriter:
    """Writes down what is known of a keyframe; where nothing is, or the captions' turn has come, the template does."""

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
