"""Scripts by a causal language model of transformers, with decoding constrained to a JSON schema.

Shapes: B keyframes written together, T tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

from pydantic import Field

from models.device import device
from models.server import Message, Reply
from models.text import prompts
from models.text.chat import AnswerError
from models.weights.checkpoint import CheckpointConfig, Origin, missing, pretrained, tokenizer
from models.weights.packaged import MODELS, packaged
from models.writer.answers import messages, schema, script
from models.writer.script import Script
from models.writer.template import arrange
from models.writer.writer import PROMPTS, ScriptFacts


class LlmConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """A causal language model of transformers writes scene elements and plots, constrained to a JSON schema (app. C).

    The paper doesn't name its model. Decoding is greedy.
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
    batch: int = Field(16, ge=1, description="keyframes per batch")
    most_tokens: int = Field(512, ge=16, description="longest answer in tokens")
    answers: int = Field(3, ge=1, description="attempts at a usable answer, before the template writes")
    grounded: float = Field(
        0.5, ge=0, le=1, description="smallest share of a sentence's words that must be in the captions; 0: any"
    )

    @property
    def revision(self) -> str:
        """Revision of weights, prompts and parser of answers.

        Raises:
            CheckpointError: `source` is a folder that does not exist.
        """
        weights = MODELS[self.source].revision if self.source in MODELS else super().revision
        return f"{weights}, {prompts.revision(PROMPTS)}"


def network(config: LlmConfig) -> Any:
    """Only the model; raises CheckpointError if it is missing."""
    import torch
    from transformers import AutoModelForCausalLM

    dtype = getattr(torch, config.dtype)
    return pretrained(config.origin, AutoModelForCausalLM, _source(config), config.hub_revision, dtype=dtype)


def words(config: LlmConfig) -> Any:
    """Only the tokenizer; raises CheckpointError if it is missing."""
    return tokenizer(config.origin, _source(config), config.hub_revision)


def _source(config: LlmConfig) -> str:
    return str(packaged(config.source)) if config.source in MODELS else config.source


class LlmWriter:
    """Scene elements and plots are the model's if they are valid, otherwise the template's, with the reason."""

    name = "llm"

    def __init__(self, config: LlmConfig) -> None:
        from models.writer.constrained import Grammar

        self.config = config
        self.revision = config.revision
        self.licence = MODELS[config.source].licence if config.source in MODELS else config.licence
        self._model = network(config).to(device())
        self._tokenizer = words(config)
        self._tokenizer.padding_side = "left"
        if self._tokenizer.eos_token_id is None:
            raise missing(config.origin, config.source, "its tokenizer has no token that ends a text")
        self._tokenizer.pad_token_id = self._tokenizer.eos_token_id
        self._grammar = Grammar(self._tokenizer, self._model.config.vocab_size, schema())
        self._prompts = prompts.read(PROMPTS)

    def write(self, facts: Sequence[ScriptFacts]) -> list[Script]:
        """One script for each keyframe, in order; raises ValueError if two have the same row id."""
        if len({one.row_id for one in facts}) != len(facts):
            raise ValueError(f"{len(facts)} keyframes don't have {len(facts)} ids: {[one.row_id for one in facts]}")
        written: dict[str, Script] = {}
        chats = {one.row_id: messages(one, self._prompts) for one in facts}
        for _ in range(self.config.answers):
            open_ = [one for one in facts if one.row_id not in written or written[one.row_id].reason]
            for start in range(0, len(open_), self.config.batch):
                batch = open_[start : start + self.config.batch]
                for one, reply in zip(batch, self._replies([chats[one.row_id] for one in batch]), strict=True):
                    written[one.row_id] = self._script(one, reply)
                    chats[one.row_id] = self._again(one, reply, written[one.row_id].reason)
        return [written[one.row_id] for one in facts]

    def _script(self, facts: ScriptFacts, reply: Reply) -> Script:
        try:
            return script(facts, reply.text, reply.cut, self.config.grounded)
        except AnswerError as error:
            return arrange(facts, str(error))

    def _again(self, facts: ScriptFacts, reply: Reply, reason: str) -> list[Message]:
        """The chat that tells the model the fault of its last answer."""
        return [
            *messages(facts, self._prompts),
            {"role": "assistant", "content": reply.text},
            {"role": "user", "content": self._prompts["again"].format(reason=reason)},
        ]

    def _replies(self, chats: Sequence[Sequence[Message]]) -> list[Reply]:
        """One answer per chat, with greedy decoding; prompts are padded on the left."""
        import torch
        from transformers import LogitsProcessorList

        from models.writer.constrained import Constraint

        texts = [self._text(chat) for chat in chats]
        inputs = self._tokenizer(texts, add_special_tokens=False, padding=True, return_tensors="pt")
        prompt = inputs["input_ids"].shape[1]
        with torch.inference_mode():
            said_BT = self._model.generate(
                **inputs.to(self._model.device),
                do_sample=False,
                max_new_tokens=self.config.most_tokens,
                eos_token_id=self._tokenizer.eos_token_id,
                pad_token_id=self._tokenizer.pad_token_id,
                logits_processor=LogitsProcessorList([Constraint(self._grammar, len(chats), prompt)]),
            )[:, prompt:]
        return [self._reply(said_T.tolist()) for said_T in said_BT]

    def _reply(self, tokens: list[int]) -> Reply:
        end = self._tokenizer.eos_token_id
        text = self._tokenizer.decode(tokens[: tokens.index(end)] if end in tokens else tokens)
        return Reply(text, cut=end not in tokens)

    def _text(self, chat: Sequence[Message]) -> str:
        """A chat in the model's template, or as plain lines if it has none."""
        if self._tokenizer.chat_template:
            text: str = self._tokenizer.apply_chat_template(list(chat), tokenize=False, add_generation_prompt=True)
            return text
        lines = [_line(message) for message in chat]
        return (self._tokenizer.bos_token or "") + "\n\n".join([*lines, "Answer:"])


def _line(message: Mapping[str, Any]) -> str:
    return f"Answer:\n{message['content']}" if message["role"] == "assistant" else str(message["content"])
