"""Sentence encoders: one vector for each sentence of a script (sentence-level tokenization, §3.4).

Adding one = one file with a class and a config, and one line in the union and in `build`.
"""

from typing import Annotated

from pydantic import Field

from models.sentence.longclip import LongClip, LongClipConfig
from models.sentence.minilm import MiniLm, MiniLmConfig
from models.sentence.sentence import SentenceEncoder

SentenceConfig = Annotated[MiniLmConfig | LongClipConfig, Field(discriminator="kind")]


def build(config: SentenceConfig) -> SentenceEncoder:
    """The sentence encoder that `config` describes."""
    match config:
        case MiniLmConfig():
            return MiniLm(config)
        case LongClipConfig():
            return LongClip(config)


__all__ = ["LongClipConfig", "MiniLmConfig", "SentenceConfig", "SentenceEncoder", "build"]
