"""Scripts by a language model behind an OpenAI-compatible server that holds its answers to a JSON schema."""

from collections.abc import Sequence

from models import prompts
from models.answers import AnswerError
from models.server import Answer, Question, Reply
from models.server.client import Client
from models.server.waiting import Clock
from models.writer import PROMPTS, OpenAiWriterConfig, ScriptFacts
from models.writer.answers import messages, schema, script
from models.writer.script import Script
from models.writer.template import arrange


class OpenAiWriter:
    """One request a keyframe; the answers are joined by row id, and what can't be used is left to the template."""

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
