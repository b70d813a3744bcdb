"""Captions by a vision-language model behind an OpenAI-compatible server."""

import base64
import io
from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from models.captioner.answers import caption, fault
from models.captioner.captioner import PROMPTS, Caption, FrameFacts
from models.captioner.subjects import Subject, joined, subjects
from models.face import Image
from models.server import Answer, Question, ServerConfig
from models.server.client import Client
from models.server.sender import Clock
from models.text import prompts

JPEG_QUALITY = 95


class OpenAiConfig(BaseModel, frozen=True, extra="forbid"):
    """A vision-language model behind an OpenAI-compatible server, such as vLLM or SGLang.

    Pictures are sent as JPEG.
    """

    kind: Literal["openai"] = "openai"
    server: ServerConfig = Field(
        ServerConfig(model="Qwen/Qwen2.5-VL-7B-Instruct"), description="the server and its limits"
    )
    weights: str = Field("as served", description="commit of the served weights, if the operator knows it")
    licence: str = Field("see the served model", description="licence of the weights, for cards and exports")
    most_tokens: int = Field(256, ge=1, description="longest description in tokens")
    margin: float = Field(0.1, ge=0, description="margin around a person's crop on each side, as a share of the box")

    @property
    def revision(self) -> str:
        """Revision of model, prompts and parser of answers; part of every fingerprint of this config."""
        return f"{self.server.model} {self.weights}, {prompts.revision(PROMPTS)}"


class OpenAiCaptioner:
    """One request per subject; answers are joined by row id and subject index."""

    name = "openai"

    def __init__(self, config: OpenAiConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.revision = config.revision
        self.licence = config.licence
        self._prompts = prompts.read(PROMPTS)
        self.client = Client(config.server, self._prompts["again"], clock)

    def caption(self, frames: Sequence[FrameFacts]) -> list[list[Caption]]:
        """For each frame one caption of the whole picture (subject -1), then one per person in their order."""
        asked = subjects(frames, self.config.margin)
        answers = self.client.ask([self._question(one) for one in asked], lambda _, reply: fault(reply.text, reply.cut))
        return joined(frames, [_caption(one, answers[_key(one)]) for one in asked])

    def _question(self, subject: Subject) -> Question:
        content = [
            {"type": "image_url", "image_url": {"url": data_uri(subject.image)}},
            {"type": "text", "text": self._prompts[subject.prompt]},
        ]
        film_id = subject.row_id.rpartition("-")[0]
        return Question(_key(subject), film_id, [{"role": "user", "content": content}], self.config.most_tokens)


def _key(subject: Subject) -> str:
    return f"{subject.row_id}/{subject.index}"


def _caption(subject: Subject, answer: Answer) -> Caption:
    text = "" if answer.reason else caption(answer.reply.text, answer.reply.cut)
    return Caption(subject.row_id, subject.index, text, answer.reason)


def data_uri(image: Image) -> str:
    """A picture as a JPEG data URI."""
    from PIL import Image as Pillow

    file = io.BytesIO()
    Pillow.fromarray(image).save(file, "JPEG", quality=JPEG_QUALITY)
    return f"data:image/jpeg;base64,{base64.b64encode(file.getvalue()).decode()}"
