"""Scripts by a language model behind an OpenAI-compatible server that constrains answers to a JSON schema."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, Field

from models.server import Answer, Question, Reply, ServerConfig
from models.server.client import Client
from models.server.sender import Clock
from models.text import prompts
from models.text.chat import AnswerError
from models.writer.answers import messages, schema, script
from models.writer.script import Script
from models.writer.template import arrange
from models.writer.writer import PROMPTS, ScriptFacts


class OpenAiWriterConfig(BaseModel, frozen=True, extra="forbid"):
    """The same as LlmConfig, behind an OpenAI-compatible server that supports JSON schemas (vLLM, SGLang)."""

    kind: Literal["openai"] = "openai"
    server: ServerConfig = Field(
        ServerConfig(model="Qwen/Qwen2.5-7B-Instruct"), description="the server and its limits"
    )
    weights: str = Field("as served", description="commit of the served weights, if the operator knows it")
    licence: str = Field("see the served model", description="licence of the weights, for cards and exports")
    most_tokens: int = Field(512, ge=16, description="longest answer in tokens")
    grounded: float = Field(
        0.5, ge=0, le=1, description="smallest share of a sentence's words that must be in the captions; 0: any"
    )

    @property
    def revision(self) -> str:
        """Revision of model, prompts and parser of answers; part of every fingerprint of this config."""
        return f"{self.server.model} {self.weights}, {prompts.revision(PROMPTS)}"


class OpenAiWriter:
    """One request per keyframe; answers are joined by row id, and the template replaces unusable ones."""

    name = "openai"

    def __init__(self, config: OpenAiWriterConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.revision = config.revision
        self.licence = config.licence
        self._prompts = prompts.read(PROMPTS)
        self.client = Client(config.server, self._prompts["again"], clock)

    def write(self, facts: Sequence[ScriptFacts]) -> list[Script]:
        """One script for each keyframe, in order."""
        by_row = {one.row_id: one for one in facts}
        answers = self.client.ask(
            [self._question(one) for one in facts], lambda asked, reply: self._fault(by_row[asked.key], reply)
        )
        return [self._script(one, answers[one.row_id]) for one in facts]

    def _question(self, facts: ScriptFacts) -> Question:
        film_id = facts.row_id.rpartition("-")[0]
        return Question(facts.row_id, film_id, messages(facts, self._prompts), self.config.most_tokens, schema())

    def _fault(self, facts: ScriptFacts, reply: Reply) -> str:
        try:
            script(facts, reply.text, reply.cut, self.config.grounded)
        except AnswerError as error:
            return str(error)
        return ""

    def _script(self, facts: ScriptFacts, answer: Answer) -> Script:
        if answer.reason:
            return arrange(facts, answer.reason)
        return script(facts, answer.reply.text, answer.reply.cut, self.config.grounded)
