"""Captioners describe a frame and each person in it, in plain sentences.

To add one, write a file with a class and a config, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.captioner.captioner import FRAME, PROMPTS, Caption, Captioner, FrameFacts
from models.captioner.deepseek_vl import DeepseekVl, DeepseekVlConfig
from models.captioner.describer import Describer, DescriberConfig
from models.captioner.openai import OpenAiCaptioner, OpenAiConfig

CaptionerConfig = Annotated[DescriberConfig | DeepseekVlConfig | OpenAiConfig, Field(discriminator="kind")]


def build(config: CaptionerConfig) -> Captioner:
    """The captioner that `config` describes."""
    match config:
        case DescriberConfig():
            return Describer()
        case DeepseekVlConfig():
            return DeepseekVl(config)
        case OpenAiConfig():
            return OpenAiCaptioner(config)


__all__ = [
    "FRAME",
    "PROMPTS",
    "Caption",
    "Captioner",
    "CaptionerConfig",
    "DeepseekVlConfig",
    "DescriberConfig",
    "FrameFacts",
    "OpenAiConfig",
    "build",
]
