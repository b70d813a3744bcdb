"""Captions by DeepSeek-VL (app. C), by transformers' own classes: the plain one (1.3B) or the hybrid one (7B).

Keyframes are described together, and persons together: every picture takes the same number of tokens, and so does every
prompt of one kind, so a batch needs no padding. Decoding is greedy.
Shapes: B pictures, T tokens.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from models import prompts
from models.captioner import PROMPTS, Caption, DeepseekVlConfig, FrameFacts
from models.captioner.answers import fault, tidied
from models.captioner.subjects import Subject, joined, subjects
from models.checkpoint import missing, place, pretrained
from models.device import device

CLASSES = {
    "deepseek_vl": "DeepseekVLForConditionalGeneration",
    "deepseek_vl_hybrid": "DeepseekVLHybridForConditionalGeneration",
}
IMAGE_TOKEN = "<image_placeholder>"


class DeepseekVl:
    """The answers are joined by row id and subject index; one that can't be used is replaced by what was measured."""

    name = "deepseek_vl"

    def __init__(self, config: DeepseekVlConfig) -> None:
        self.config = config
        self.revision = config.revision
        self.licence = config.origin.licence
        self._processor, model = opened(config)
        self._model = model.to(device())
        texts = prompts.read(PROMPTS)
        self._texts = {name: self._chat(texts[name]) for name in ("frame", "person")}

    def caption(self, frames: Sequence[FrameFacts]) -> list[list[Caption]]:
        """For each frame one caption of the whole (subject -1), then one for each person in their order."""
        asked = subjects(frames, self.config.margin)
        captions = []
        for prompt in ("frame", "person"):
            mine = [one for one in asked if one.prompt == prompt]
            for start in range(0, len(mine), self.config.batch):
                captions += self._described(mine[start : start + self.config.batch], self._texts[prompt])
        return joined(frames, captions)

    @torch.inference_mode()
    def _described(self, batch: Sequence[Subject], text: str) -> list[Caption]:
        inputs = self._processor(
            text=[text] * len(batch), images=[[one.image] for one in batch], return_tensors="pt"
        ).to(self._model.device, dtype=self._model.dtype)
        prompt_BT = inputs["input_ids"]
        tokenizer = self._processor.tokenizer
        said_BT = self._model.generate(
            **inputs,
            do_sample=False,
            max_new_tokens=self.config.most_tokens,
            pad_token_id=tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id,
        )[:, prompt_BT.shape[1] :]
        assert len(said_BT) == len(batch)
        return [self._caption(one, said_T.tolist()) for one, said_T in zip(batch, said_BT, strict=True)]

    def _caption(self, subject: Subject, tokens: list[int]) -> Caption:
        tokenizer = self._processor.tokenizer
        cut = len(tokens) == self.config.most_tokens and tokens[-1] not in {
            tokenizer.eos_token_id,
            tokenizer.pad_token_id,
        }
        text = tokenizer.decode(tokens, skip_special_tokens=True)
        return Caption(subject.row_id, subject.index, tidied(text, cut), fault(text, cut))

    def _chat(self, prompt: str) -> str:
        """A prompt as the model expects it, behind a picture; the checkpoint's own template where it has one."""
        if self._processor.chat_template:
            content = [{"type": "image"}, {"type": "text", "text": prompt}]
            chat: str = self._processor.apply_chat_template(
                [{"role": "user", "content": content}], add_generation_prompt=True, tokenize=False
            )
            return chat
        return f"User: {self._processor.image_token}{prompt}\n\nAssistant:"


def opened(config: DeepseekVlConfig) -> tuple[Any, Any]:
    """Processor and model of a checkpoint; raises CheckpointError when it is missing or of another kind."""
    from transformers import AutoConfig, AutoModelForImageTextToText

    where, pinned = place(config.origin, config.source, config.hub_revision)
    try:
        kind = AutoConfig.from_pretrained(where, **pinned).model_type
        if kind not in CLASSES:
            raise ValueError(f"its model is of the type {kind!r}, which is not DeepSeek-VL in transformers' layout")
        processor = _processor(where, pinned)
    except (OSError, ValueError) as error:
        raise missing(config.origin, config.source, str(error).splitlines()[0]) from error
    dtype = getattr(torch, config.dtype)
    model = pretrained(config.origin, AutoModelForImageTextToText, config.source, config.hub_revision, dtype=dtype)
    assert type(model).__name__ == CLASSES[kind]
    return processor, model


def _processor(where: str | Path, pinned: dict[str, str]) -> Any:
    from transformers import AutoProcessor, AutoTokenizer

    try:
        return AutoProcessor.from_pretrained(where, **pinned)
    except AttributeError:  # a tokenizer saved before transformers 5 doesn't know which token stands for a picture
        named = {"image_token": IMAGE_TOKEN}
        tokenizer = AutoTokenizer.from_pretrained(where, extra_special_tokens=named, **pinned)
        return AutoProcessor.from_pretrained(where, tokenizer=tokenizer, **pinned)
