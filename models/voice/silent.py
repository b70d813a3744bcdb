"""No voice: spoken lines appear only in the subtitles."""

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel

from models.voice.voice import Speech, Words, nothing


class SilentConfig(BaseModel, frozen=True, extra="forbid"):
    """Nobody speaks."""

    kind: Literal["none"] = "none"


class SilentVoice:
    """The voice of `SilentConfig`."""

    name = "none"
    revision = "1"
    licence = "Apache-2.0"
    languages: frozenset[str] = frozenset()

    def speak(self, words: Sequence[Words]) -> list[Speech]:
        """See `Voice.speak`; every speech is empty."""
        return [nothing() for _ in words]
