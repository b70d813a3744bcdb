"""Sentence encoders: one vector for each sentence of a script (sentence-level tokenization, §3.4)."""

from collections.abc import Sequence
from typing import Annotated, ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.checkpoint import CheckpointConfig, Origin
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

    def too_long(self, sentences: Sequence[str]) -> list[str]:
        """Those whose end doesn't fit in and is not encoded."""
        ...


class MiniLmConfig(BaseModel, frozen=True, extra="forbid"):
    """all-MiniLM-L6-v2: 384 numbers, the mean of the last layer."""

    not_identity: ClassVar[tuple[str, ...]] = ("batch",)

    kind: Literal["minilm"] = "minilm"
    batch: int = Field(32, ge=1, description="distinct sentences that run together")

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["minilm"].revision

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return 384


class LongClipConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """LongCLIP-L, the paper's: 768 numbers, sentences of up to 248 tokens."""

    origin: ClassVar[Origin] = Origin(
        name="LongCLIP-L",
        licence="Apache-2.0",
        fetch="longclip-L.pt from BeichenZhang/LongCLIP-L on the Hugging Face hub",
        setting="sentence.source",
    )

    kind: Literal["longclip"] = "longclip"
    source: str = Field(
        "longclip-L.pt",
        description="longclip-L.pt of its authors, or a folder or hub id with transformers' text tower of 248 "
        "positions",
    )
    width: int = Field(768, ge=1, description="numbers of a vector; checked against the checkpoint")
    batch: int = Field(32, ge=1, description="distinct sentences that run together")


SentenceConfig = Annotated[MiniLmConfig | LongClipConfig, Field(discriminator="kind")]


def build(config: MiniLmConfig | LongClipConfig) -> SentenceEncoder:
    """The sentence encoder that `config` describes."""
    match config:
        case MiniLmConfig():
            from models.sentence.minilm import MiniLm

            return MiniLm(config)
        case LongClipConfig():
            from models.sentence.longclip import LongClip

            return LongClip(config)
