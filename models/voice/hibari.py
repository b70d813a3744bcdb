"""hibari: an American English voice of 6 million parameters inside a package, 60 times real time on one thread.

It has one voice. Members of the cast differ by pitch: they are spoken slower and played faster, or the other way
round, which changes pitch and timbre but not the pace.
"""

import zlib
from collections.abc import Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import numpy as np
from pydantic import BaseModel, Field

from models.voice.voice import Speech, Words, nothing, pieces
from models.weights.packaged import MODELS, packaged

if TYPE_CHECKING:
    from hibari import Hibari

_PITCHES = (0.84, 0.92, 1.07, 1.14)  # of members of the cast, chosen by a hash of the name
_SEED = 0  # of the noise in breath and consonants
_RATE = 24_000

Pitch = Annotated[float, Field(ge=0.7, le=1.4)]


class HibariConfig(BaseModel, frozen=True, extra="forbid"):
    """The embedded voice, American English."""

    kind: Literal["hibari"] = "hibari"
    pitches: Mapping[str, Pitch] = Field(
        {}, description="pitch of members of the cast by name, 0.7 to 1.4; for others it is derived from the name"
    )

    revision: ClassVar[str] = f"{MODELS['hibari'].revision}, words 1"


class HibariVoice:
    """The voice of `HibariConfig`; the model is loaded at the first call."""

    name = "hibari"
    languages = frozenset({"en"})

    def __init__(self, config: HibariConfig) -> None:
        self.config = config
        self.revision, self.licence = config.revision, MODELS["hibari"].licence

    def speak(self, words: Sequence[Words]) -> list[Speech]:
        """See `Voice.speak`; words that aren't English may be unintelligible.

        Raises:
            PackagedModelError: the model is not installed.
        """
        return [self._speak(one) for one in words]

    def _speak(self, words: Words) -> Speech:
        parts = pieces(words.text.replace("](", "] ("))  # the model reads links as phonemes
        if not parts:
            return nothing(_RATE)
        pitch = self._pitch(words.speaker)
        spoken = [_model()(part, speed=1 / pitch, seed=_SEED) for part in parts]
        return Speech(np.clip(np.concatenate(spoken), -1, 1).astype(np.float32), round(_RATE * pitch))

    def _pitch(self, speaker: str) -> float:
        if not speaker:
            return 1.0
        return self.config.pitches.get(speaker, _PITCHES[zlib.crc32(speaker.encode()) % len(_PITCHES)])


@cache
def _model() -> "Hibari":
    packaged("hibari")
    from hibari import Hibari

    return Hibari(threads=1)
