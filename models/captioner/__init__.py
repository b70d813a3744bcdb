"""Captions: what a frame and each person in it look like, in plain sentences."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar, Literal, Protocol

from pydantic import BaseModel, Field

from models import prompts
from models.answers import VERSION
from models.checkpoint import CheckpointConfig, Origin
from models.detector import Person
from models.face import Image
from models.server import ServerConfig

PROMPTS = Path(__file__).parent / "prompts"
FRAME = -1  # the subject index of a caption that describes the whole picture


@dataclass(frozen=True)
class FrameFacts:
    """One keyframe and what was measured about it before.

    `motion` is the mean absolute difference of luma (0-255) to the picture one second earlier;
    `shot_second` counts the keyframes since the shot's first, which has 0.
    """

    row_id: str
    image: Image
    persons: tuple[Person, ...] = ()
    motion: float = 0.0
    shot_second: int = 0


@dataclass(frozen=True)
class Caption:
    """Sentences about the frame (`subject_index` -1) or about one of its persons; carries the id of its row.

    `reason` says why the captioner's own answer could not be used, and is empty where it could; `text` is then what the
    describer measured.
    """

    row_id: str
    subject_index: int
    text: str
    reason: str = ""


class Captioner(Protocol):
    """Describes pictures."""

    name: str
    revision: str
    licence: str

    def caption(self, frames: Sequence[FrameFacts]) -> list[list[Caption]]:
        """For each frame one caption of the whole, then one for each person in their order."""
        ...


class DescriberConfig(BaseModel, frozen=True, extra="forbid"):
    """Sentences that state only what was measured; no model, nothing invented."""

    kind: Literal["describer"] = "describer"

    @property
    def revision(self) -> str:
        """Of the code; part of every fingerprint that this config is in."""
        from models.captioner.describer import Describer

        return Describer.revision


class DeepseekVlConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """DeepSeek-VL, the paper's captioner (app. C), in transformers' port: 7B (hybrid) by default, 1.3B as well."""

    origin: ClassVar[Origin] = Origin(
        name="DeepSeek-VL",
        licence="DeepSeek Model License",
        fetch="the folder deepseek-community/deepseek-vl-7b-chat (or -1.3b-chat) from the Hugging Face hub",
        setting="captioner.source",
    )

    kind: Literal["deepseek_vl"] = "deepseek_vl"
    source: str = Field(
        "deepseek-community/deepseek-vl-7b-chat", description="checkpoint: a file, a folder or a hub id"
    )
    dtype: Literal["float32", "bfloat16", "float16"] = Field(
        "bfloat16", description="number format of weights and arithmetic"
    )
    batch: int = Field(16, ge=1, description="pictures that are described together")
    most_tokens: int = Field(256, ge=1, description="longest description in tokens")
    answers: int = Field(3, ge=1, description="attempts at a description that can be used")
    margin: float = Field(
        0.1, ge=0, description="share of a person's box that is added on each side before it is cut out"
    )

    @property
    def revision(self) -> str:
        """Of the weights, the prompts and how answers are read.

        Raises:
            CheckpointError: when `source` is a folder that is not there.
        """
        return f"{super().revision}, prompts {prompts.digest(prompts.read(PROMPTS))}, answers {VERSION}"


class OpenAiConfig(BaseModel, frozen=True, extra="forbid"):
    """A vision-language model behind an OpenAI-compatible server, such as vLLM or SGLang.

    Pictures are sent as JPEG.
    """

    kind: Literal["openai"] = "openai"
    server: ServerConfig = Field(
        ServerConfig(model="Qwen/Qwen2.5-VL-7B-Instruct"), description="the server and its limits"
    )
    weights: str = Field("as served", description="commit of the served weights, where the operator knows it")
    licence: str = Field("see the served model", description="licence of the weights, for cards and exports")
    most_tokens: int = Field(256, ge=1, description="longest description in tokens")
    margin: float = Field(
        0.1, ge=0, description="share of a person's box that is added on each side before it is cut out"
    )

    @property
    def revision(self) -> str:
        """Of the model, the prompts and how answers are read; part of every fingerprint that this config is in."""
        return f"{self.server.model} {self.weights}, prompts {prompts.digest(prompts.read(PROMPTS))}, answers {VERSION}"


CaptionerConfig = Annotated[DescriberConfig | DeepseekVlConfig | OpenAiConfig, Field(discriminator="kind")]


def build(config: DescriberConfig | DeepseekVlConfig | OpenAiConfig) -> Captioner:
    """The captioner that `config` describes."""
    match config:
        case DescriberConfig():
            from models.captioner.describer import Describer

            return Describer()
        case DeepseekVlConfig():
            from models.captioner.deepseek_vl import DeepseekVl

            return DeepseekVl(config)
        case OpenAiConfig():
            from models.captioner.openai import OpenAiCaptioner

            return OpenAiCaptioner(config)
