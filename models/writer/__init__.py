"""Scripts: captions arranged as Characters, Scene Elements and Plots (the paper's Fig. 16)."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import BaseModel, Field

from models import prompts
from models.answers import VERSION
from models.checkpoint import CheckpointConfig, Origin
from models.packaged import MODELS
from models.server import ServerConfig
from models.writer.script import Script

PROMPTS = Path(__file__).parent / "prompts"


@dataclass(frozen=True)
class OwnWords:
    """What the film itself knows of a keyframe, in the sections of a script."""

    characters: tuple[str, ...]
    scene_elements: tuple[str, ...]
    plots: tuple[str, ...]


@dataclass(frozen=True)
class ScriptFacts:
    """The captions of one keyframe, of the whole picture and of each of its persons; and the film's own words."""

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
    """The packaged SmolLM2-135M-Instruct writes the plot; what it gets wrong is left to the template."""

    not_identity: ClassVar[tuple[str, ...]] = ("batch",)

    kind: Literal["smollm2"] = "smollm2"
    batch: int = Field(16, ge=1, description="keyframes that are written together")
    longest: int = Field(48, ge=8, description="longest facts given to the model, in tokens")

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["smollm2"].revision


class LlmConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """A causal language model of transformers writes scene elements and plots, held to a JSON schema (app. C).

    The paper doesn't name its model. It answers greedily.
    """

    origin: ClassVar[Origin] = Origin(
        name="the script writer's language model",
        licence="see the checkpoint",
        fetch="the folder Qwen/Qwen2.5-7B-Instruct (or any causal model's) from the Hugging Face hub",
        setting="writer.source",
    )

    kind: Literal["llm"] = "llm"
    source: str = Field(
        "Qwen/Qwen2.5-7B-Instruct", description="checkpoint: a folder, a hub id, or smollm2 for the packaged one"
    )
    licence: str = Field("see the checkpoint", description="licence of the weights, for cards and exports")
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "bfloat16", description="number format of weights and arithmetic"
    )
    batch: int = Field(16, ge=1, description="keyframes that are written together")
    most_tokens: int = Field(512, ge=16, description="longest answer in tokens")
    answers: int = Field(3, ge=1, description="attempts at an answer that can be used, before the template writes")
    grounded: float = Field(
        0.5, ge=0, le=1, description="least share of a sentence's words that stand in the captions; 0: any"
    )

    @property
    def revision(self) -> str:
        """Of the weights, the prompts and how answers are read.

        Raises:
            CheckpointError: when `source` is a folder that is not there.
        """
        weights = MODELS[self.source].revision if self.source in MODELS else super().revision
        return f"{weights}, prompts {prompts.digest(prompts.read(PROMPTS))}, answers {VERSION}"


class OpenAiWriterConfig(BaseModel, frozen=True, extra="forbid"):
    """The same by a language model behind an OpenAI-compatible server that takes a JSON schema (vLLM, SGLang)."""

    kind: Literal["openai"] = "openai"
    server: ServerConfig = Field(
        ServerConfig(model="Qwen/Qwen2.5-7B-Instruct"), description="the server and its limits"
    )
    weights: str = Field("as served", description="commit of the served weights, where the operator knows it")
    licence: str = Field("see the served model", description="licence of the weights, for cards and exports")
    most_tokens: int = Field(512, ge=16, description="longest answer in tokens")
    grounded: float = Field(
        0.5, ge=0, le=1, description="least share of a sentence's words that stand in the captions; 0: any"
    )

    @property
    def revision(self) -> str:
        """Of the model, the prompts and how answers are read; part of every fingerprint that this config is in."""
        return f"{self.server.model} {self.weights}, prompts {prompts.digest(prompts.read(PROMPTS))}, answers {VERSION}"


class FilmWriterConfig(BaseModel, frozen=True, extra="forbid"):
    """Drawn films in their own words: names, looks, places and what happens, as a person would write them.

    The template writes the films of which nothing is known.
    """

    kind: Literal["film"] = "film"
    share: float = Field(
        0.5,
        ge=0,
        le=1,
        description="share of the shots written in the film's own words; the template writes the others",
    )
    seed: int = Field(0, ge=0, description="seed of the choice among phrasings")

    @property
    def revision(self) -> str:
        """Of the code; part of every fingerprint that this config is in."""
        from models.writer.template import TemplateWriter

        return f"1, template {TemplateWriter.revision}"


WriterConfig = Annotated[
    TemplateConfig | FilmWriterConfig | SmolLm2Config | LlmConfig | OpenAiWriterConfig, Field(discriminator="kind")
]


def build(config: TemplateConfig | FilmWriterConfig | SmolLm2Config | LlmConfig | OpenAiWriterConfig) -> ScriptWriter:
    """The script writer that `config` describes."""
    match config:
        case TemplateConfig():
            from models.writer.template import TemplateWriter

            return TemplateWriter()
        case FilmWriterConfig():
            from models.writer.film import FilmWriter

            return FilmWriter()
        case SmolLm2Config():
            from models.writer.smollm2 import SmolLm2Writer

            return SmolLm2Writer(config)
        case LlmConfig():
            from models.writer.llm import LlmWriter

            return LlmWriter(config)
        case OpenAiWriterConfig():
            from models.writer.openai import OpenAiWriter

            return OpenAiWriter(config)
