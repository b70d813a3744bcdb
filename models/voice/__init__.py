"""Voices speak the lines of a story.

To add one, write a file with a class and a config, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.voice.hibari import HibariConfig, HibariVoice
from models.voice.openai import OpenAiVoice, OpenAiVoiceConfig
from models.voice.silent import SilentConfig, SilentVoice
from models.voice.voice import Speech, Voice, Words, estimate, pieces

VoiceConfig = Annotated[HibariConfig | OpenAiVoiceConfig | SilentConfig, Field(discriminator="kind")]


def build(config: VoiceConfig) -> Voice:
    """The voice that `config` names.

    Raises:
        ServerError: the key of a server is not set.
    """
    match config:
        case HibariConfig():
            return HibariVoice(config)
        case OpenAiVoiceConfig():
            return OpenAiVoice(config)
        case SilentConfig():
            return SilentVoice()


__all__ = [
    "HibariConfig",
    "OpenAiVoiceConfig",
    "SilentConfig",
    "SilentVoice",
    "Speech",
    "Voice",
    "VoiceConfig",
    "Words",
    "build",
    "estimate",
    "pieces",
]
