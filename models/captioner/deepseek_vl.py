"""Captions by DeepSeek-VL (app. C), with transformers' own classes: the plain one (1.3B) or the hybrid one (7B).

Keyframes are batched together, and persons together: every picture has the same number of tokens, and so has every
prompt of one kind, so a batch needs no padding. Unusable answers are requested again one by one. Decoding is greedy.
Shapes: B pictures, T tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from pydantic import Field

from models.captioner.answers import caption, fault
from models.captioner.captioner import PROMPTS, Caption, FrameFacts
from models.captioner.subjects import Subject, joined, subjects
from models.device import device
from models.server import Message, Reply
from models.text import prompts
from models.weights.checkpoint import CheckpointConfig, Origin, missing, place, pretrained

CLASSES = {
    "deepseek_vl": "DeepseekVLForConditionalGeneration",
    "deepseek_vl_hybrid": "DeepseekVLHybridForConditionalGeneration",
}
IMAGE_TOKEN = "<image_placeholder>"


class DeepseekVlConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """DeepSeek-VL, the paper's captioner (app. C), in transformers' port: 7B (hybrid) by default, or 1.3B."""

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
    answers: int = Field(3, ge=1, description="attempts at a usable description")
    margin: float = Field(0.1, ge=0, description="margin around a person's crop on each side, as a share of the box")

    @property
    def revision(self) -> str:
        """Revision of weights, prompts and parser of answers.

        Raises:
            CheckpointError: `source` is a folder that does not exist.
        """
        return f"{super().revision}, {prompts.revision(PROMPTS)}"


class DeepseekVl:
    """Answers are joined by row id and subject index; an unusable one is replaced by the describer's."""

    name = "deepseek_vl"

    def __init__(self, config: DeepseekVlConfig) -> None:
        self.config = config
        self.revision = config.revision
        self.licence = config.origin.licence
        self._processor, model = opened(config)
        self._model = model.to(device())
        self._prompts = prompts.read(PROMPTS)

    def caption(self, frames: Sequence[FrameFacts]) -> list[list[Caption]]:
        """For each frame one caption of the whole picture (subject -1), then one per person in their order."""
        asked = subjects(frames, self.config.margin)
        captions = []
        for prompt in ("frame", "person"):
            mine = [one for one in asked if one.prompt == prompt]
            for start in range(0, len(mine), self.config.batch):
                batch = mine[start : start + self.config.batch]
                replies = self._replies(batch, [_question(self._prompts[prompt])])
                captions += [self._caption(one, reply) for one, reply in zip(batch, replies, strict=True)]
        return joined(frames, captions)

    def _caption(self, subject: Subject, reply: Reply) -> Caption:
        """Returns the caption in a reply. If it can't be used, tells the model why and asks again."""
        for _ in range(self.config.answers - 1):
            if not (reason := fault(reply.text, reply.cut)):
                break
            chat = [
                _question(self._prompts[subject.prompt]),
                _words("assistant", reply.text.replace(self._processor.image_token, "")),
                _words("user", self._prompts["again"].format(reason=reason)),
            ]
            (reply,) = self._replies([subject], chat)
        reason = fault(reply.text, reply.cut)
        return Caption(subject.row_id, subject.index, "" if reason else caption(reply.text, reply.cut), reason)

    def _replies(self, batch: Sequence[Subject], chat: Sequence[Message]) -> list[Reply]:
        """The answers to one chat per picture."""
        import torch

        inputs = self._processor(
            text=[self._text(chat)] * len(batch), images=[[one.image] for one in batch], return_tensors="pt"
        ).to(self._model.device, dtype=self._model.dtype)
        prompt_BT = inputs["input_ids"]
        tokenizer = self._processor.tokenizer
        with torch.inference_mode():
            said_BT = self._model.generate(
                **inputs,
                do_sample=False,
                max_new_tokens=self.config.most_tokens,
                pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
            )[:, prompt_BT.shape[1] :]
        assert len(said_BT) == len(batch)
        return [self._reply(said_T.tolist()) for said_T in said_BT]

    def _reply(self, tokens: list[int]) -> Reply:
        tokenizer = self._processor.tokenizer
        ends = {tokenizer.eos_token_id, tokenizer.pad_token_id}
        cut = len(tokens) == self.config.most_tokens and tokens[-1] not in ends
        return Reply(tokenizer.decode(tokens, skip_special_tokens=True), cut)

    def _text(self, chat: Sequence[Message]) -> str:
        """A chat in the model's format, beginning with the picture; by the checkpoint's template if it has one."""
        if self._processor.chat_template:
            text: str = self._processor.apply_chat_template(list(chat), add_generation_prompt=True, tokenize=False)
            return text
        turns = [f"{message['role'].capitalize()}: {_plain(message, self._processor.image_token)}" for message in chat]
        return "\n\n".join([*turns, "Assistant:"])


def _question(prompt: str) -> Message:
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}


def _words(role: str, text: str) -> Message:
    return {"role": role, "content": [{"type": "text", "text": text}]}


def _plain(message: Message, image: str) -> str:
    return "".join(image if part["type"] == "image" else part["text"] for part in message["content"])


def opened(config: DeepseekVlConfig) -> tuple[Any, Any]:
    """Processor and model of a checkpoint; raises CheckpointError if it is missing or of another kind."""
    from transformers import AutoConfig

    where, pinned = place(config.origin, config.source, config.hub_revision)
    try:
        kind = AutoConfig.from_pretrained(where, **pinned).model_type
        if kind not in CLASSES:
            raise ValueError(f"its model is of the type {kind!r}, which is not DeepSeek-VL in transformers' layout")
        processor = _processor(where, pinned)
    except (OSError, ValueError) as error:
        raise missing(config.origin, config.source, str(error).splitlines()[0]) from error
    model = network(config)
    assert type(model).__name__ == CLASSES[kind]
    return processor, model


def network(config: DeepseekVlConfig) -> Any:
    """Only the model; raises CheckpointError if it is missing."""
    import torch
    from transformers import AutoModelForImageTextToText

    dtype = getattr(torch, config.dtype)
    return pretrained(config.origin, AutoModelForImageTextToText, config.source, config.hub_revision, dtype=dtype)


def _processor(where: str | Path, pinned: dict[str, str]) -> Any:
    from transformers import AutoProcessor, AutoTokenizer

    try:
        return AutoProcessor.from_pretrained(where, **pinned)
    except AttributeError:  # a tokenizer saved before transformers 5 doesn't know the picture's token
        named = {"image_token": IMAGE_TOKEN}
        tokenizer = AutoTokenizer.from_pretrained(where, extra_special_tokens=named, **pinned)
        return AutoProcessor.from_pretrained(where, tokenizer=tokenizer, **pinned)
