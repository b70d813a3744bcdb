"""Scripts: captions arranged as Characters, Scene Elements and Plots (the paper's Fig. 16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, Protocol

from pydantic import BaseModel, Field

from models.packaged import MODELS
from models.writer.script import Script


@dataclass(frozen=True)
class ScriptFacts:
    """The captions of one keyframe: of the whole picture and of each of its persons."""

    row_id: str
    frame_caption: str
    character_captions: tuple[str, ...] = ()


class ScriptWriter(Protocol):
    """Writes scripts."""

    name: str
    revision: str
    licence: str

    def write(self, facts: Sequence[ScriptFacts]) -> list[Script]:
        """One script for each keyframe, in order, each with the id of its row and who wrote it."""
        ...


class TemplateConfig(BaseModel, frozen=True, extra="forbid"):
    """Sorts the captions' sentences into the three sections and writes nothing of its own."""

    kind: Literal["template"] = "template"

    @property
    def revision(self) -> str:
        """Of the code; part of every fingerprint that this config is in."""
        from models.writer.template import TemplateWriter

        return TemplateWriter.revision


class SmolLm2Config(BaseModel, frozen=True, extra="forbid"):
    """The packaged SmolLM2-135M-Instruct writes the plot; what it gets wrong is left to the template.

    `batch` keyframes are written together; facts longer than `longest` tokens are not given to the model.
    """

    kind: Literal["smollm2"] = "smollm2"
    batch: int = Field(default=16, ge=1)
    longest: int = Field(default=48, ge=8)

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["smollm2"].revision


WriterConfig = Annotated[TemplateConfig | SmolLm2Config, Field(discriminator="kind")]


def build(config: TemplateConfig | SmolLm2Config) -> ScriptWriter:
    """The script writer that `config` describes."""
    match config:
        case TemplateConfig():
            from models.writer.template import TemplateWriter

            return TemplateWriter()
        case SmolLm2Config():
            from models.writer.smollm2 import SmolLm2Writer

            return SmolLm2Writer(config)
