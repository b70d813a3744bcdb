"""Sentence encoders: one vector for each sentence of a script (sentence-level tokenization, §3.4)."""

from collections.abc import Sequence
from typing import Annotated, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.packaged import MODELS


class SentenceEncoder(Protocol):
    """Turns sentences into vectors of `width` numbers."""

    name: str
    revision: str
    licence: str
    width: int

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [N, width] of unit length, in the order of the sentences."""
        ...


class MiniLmConfig(BaseModel, frozen=True, extra="forbid"):
    """all-MiniLM-L6-v2: 384 numbers, the mean of the last layer. `batch` distinct sentences run together."""

    kind: Literal["minilm"] = "minilm"
    batch: int = Field(default=32, ge=1)

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["minilm"].revision


SentenceConfig = Annotated[MiniLmConfig, Field(discriminator="kind")]


def build(config: MiniLmConfig) -> SentenceEncoder:
    """The sentence encoder that `config` describes."""
    match config:
        case MiniLmConfig():
            from models.sentence.minilm import MiniLm

            return MiniLm(config)
