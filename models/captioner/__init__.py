"""Captions: what a frame and each person in it look like, in plain sentences.

Adding one = one file with a class and a config, and one line in the union and in `build`.
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
