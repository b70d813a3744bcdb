"""A language model that chooses among given options: it may choose badly, but it can't invent.

Checkpoints of transformers choose the option whose likelihood per token the question raises most, so no option wins
only because its words are common. Servers are constrained by a JSON schema of the options.
Shapes: O options, T tokens, V vocabulary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from models.device import device
from models.server import Question, Reply
from models.server.client import Client
from models.text import prompts
from models.text.answers import json_value
from models.text.chat import AnswerError
from models.writer import WriterConfig
from models.writer.film import FilmWriterConfig
from models.writer.llm import LlmConfig, network, words
from models.writer.openai import OpenAiWriterConfig
from models.writer.smollm2 import SmolLm2Config
from models.writer.template import TemplateConfig
from models.writer.writer import PROMPTS


@dataclass(frozen=True)
class Choice:
    """A text, a question about it, and the possible answers."""

    text: str
    question: str
    options: tuple[str, ...]


class Chooser(Protocol):
    """Answers choices."""

    name: str

    def choose(self, choices: Sequence[Choice]) -> list[str]:
        """One of the options of each choice, in order; "" for a choice that got no answer."""
        ...


def build(config: WriterConfig) -> Chooser | None:
    """A chooser with the writer's model; None for a writer without a model."""
    match config:
        case TemplateConfig() | FilmWriterConfig():
            return None
        case SmolLm2Config():
            return LikelihoodChooser(LlmConfig(source="smollm2", dtype="float32"))
        case LlmConfig():
            return LikelihoodChooser(config)
        case OpenAiWriterConfig():
            return ServerChooser(config)


class LikelihoodChooser:
    """A causal language model of transformers."""

    def __init__(self, config: LlmConfig) -> None:
        self.name = config.source
        self._model = network(config).to(device())
        self._tokenizer = words(config)
        self._prior: dict[tuple[str, tuple[str, ...]], list[float]] = {}

    def choose(self, choices: Sequence[Choice]) -> list[str]:
        """One of the options of each choice, in order."""
        return [self._chosen(choice) for choice in choices]

    def _chosen(self, choice: Choice) -> str:
        kind = (choice.question, choice.options)
        if kind not in self._prior:
            self._prior[kind] = self._likelihoods(Choice("Something happens.", *kind))
        gains = [own - prior for own, prior in zip(self._likelihoods(choice), self._prior[kind], strict=True)]
        return choice.options[gains.index(max(gains))]

    def _likelihoods(self, choice: Choice) -> list[float]:
        """Mean log-likelihood of the tokens of each option."""
        import torch

        asked = self._tokens(f"{choice.text}\n{choice.question}")
        found = []
        with torch.inference_mode():
            for option in choice.options:
                said = self._tokens(f" {option}")
                ids_1T = torch.tensor([[*asked, *said]], device=self._model.device)
                logits_TV = self._model(ids_1T).logits[0, len(asked) - 1 : -1].float()
                of_said_T = logits_TV.log_softmax(-1)[torch.arange(len(said)), torch.tensor(said)]
                found.append(float(of_said_T.mean()))
        return found

    def _tokens(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


class ServerChooser:
    """A language model behind an OpenAI-compatible server."""

    def __init__(self, config: OpenAiWriterConfig) -> None:
        self.name = config.server.model
        self._config = config
        self._client = Client(config.server, prompts.read(PROMPTS)["again"])

    def choose(self, choices: Sequence[Choice]) -> list[str]:
        """One of the options of each choice, in order; "" for a choice that got no answer."""
        by_key = {str(number): choice for number, choice in enumerate(choices)}
        questions = [Question(key, "", _messages(choice), 64, _schema(choice)) for key, choice in by_key.items()]
        answers = self._client.ask(questions, lambda asked, reply: _fault(by_key[asked.key], reply))
        return ["" if answers[key].reason else _answer(answers[key].reply) for key in by_key]


def _messages(choice: Choice) -> list[Mapping[str, Any]]:
    options = ", ".join(choice.options)
    asked = f'{choice.text}\n{choice.question}\nAnswer with JSON, {{"choice": "..."}}, and one of: {options}.'
    return [{"role": "user", "content": asked}]


def _schema(choice: Choice) -> Mapping[str, Any]:
    one = {"choice": {"type": "string", "enum": list(choice.options)}}
    return {"type": "object", "properties": one, "required": ["choice"], "additionalProperties": False}


def _fault(choice: Choice, reply: Reply) -> str:
    try:
        said = _answer(reply)
    except AnswerError as error:
        return str(error)
    return "" if said in choice.options else f"{said!r} is none of {', '.join(choice.options)}"


def _answer(reply: Reply) -> str:
    value = json_value(reply.text, reply.cut)
    if not isinstance(value, dict) or not isinstance(value.get("choice"), str):
        raise AnswerError("it is not a JSON object with a choice")
    return str(value["choice"])
