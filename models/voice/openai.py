"""A voice behind any server with OpenAI's speech API (POST /v1/audio/speech)."""

import asyncio
import hashlib
import io
import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, Field

from models.server import ServerConfig, ServerError
from models.server.sender import Clock, RefusedError, Sender, first_error
from models.voice.voice import Samples, Speech, Words, nothing, pieces

if TYPE_CHECKING:
    import httpx

_FILM = "story"  # key of the budget: a voice speaks for one story
_LONGEST = 2000  # characters per request; most servers accept 4096
_RATE = 24_000
_FORMATS = "wav,mp3,flac,ogg,aac,mov,matroska"


class SpeechServerConfig(ServerConfig, frozen=True, extra="forbid"):
    """The config of a speech server."""

    def error(self, url: str, problem: str) -> ServerError:
        """The error to raise if the server can't be used, with the cure."""
        return ServerError(
            f"{url}: {problem}. Start a server with OpenAI's speech API for {self.model!r}, set sound.voice.server "
            "base_url, model and key_variable to a running one, or select another voice with sound.voice.kind"
        )


class OpenAiVoiceConfig(BaseModel, frozen=True, extra="forbid"):
    """A text-to-speech model behind an OpenAI-compatible server."""

    kind: Literal["openai"] = "openai"
    server: SpeechServerConfig = Field(SpeechServerConfig(model="kokoro"), description="the server and its limits")
    voice: str = Field("af_heart", min_length=1, description="name of the server's voice, the narrator's")
    voices: Mapping[str, str] = Field({}, description="member of the cast -> name of the server's voice")
    weights: str = Field("as served", description="commit of the served weights, if the operator knows it")
    licence: str = Field("see the served model", description="licence of the weights, for cards and movies")

    @property
    def revision(self) -> str:
        """Revision of the model; part of every fingerprint of this config."""
        return f"{self.server.model} {self.weights}, words 1"


class OpenAiVoice:
    """One request per part of at most 2,000 characters; speeches are in the order of their words."""

    name = "openai"
    languages: frozenset[str] = frozenset()

    def __init__(self, config: OpenAiVoiceConfig, clock: Clock | None = None) -> None:
        self.config = config
        self.revision, self.licence = config.revision, config.licence
        self._sender = Sender(config.server, "audio/speech", clock)
        self.budget = self._sender.budget

    def speak(self, words: Sequence[Words]) -> list[Speech]:
        """See `Voice.speak`.

        Raises:
            ServerError: the server gives no answer, or refuses words.
            BudgetError: requests_a_film is used up.
        """
        try:
            return asyncio.run(self._speak(words))
        except BaseExceptionGroup as group:
            raise first_error(group) from None

    async def _speak(self, words: Sequence[Words]) -> list[Speech]:
        gate = asyncio.Semaphore(self.config.server.concurrency)
        async with self._sender.http() as http, asyncio.TaskGroup() as group:
            asked = [
                [group.create_task(self._part(http, gate, part, one.speaker)) for part in pieces(one.text, _LONGEST)]
                for one in words
            ]
        spoken = [[task.result() for task in tasks] for tasks in asked]
        return [Speech(np.concatenate(parts), _RATE) if parts else nothing(_RATE) for parts in spoken]

    async def _part(self, http: "httpx.AsyncClient", gate: asyncio.Semaphore, text: str, speaker: str) -> Samples:
        asked = {
            "model": self.config.server.model,
            "input": text,
            "voice": self.config.voices.get(speaker, self.config.voice),
            "response_format": "wav",
        }
        body = json.dumps(asked, ensure_ascii=False).encode()
        try:
            async with gate:
                return await self._sender.send(http, _FILM, hashlib.sha256(body).hexdigest()[:16], body, _heard)
        except RefusedError as refused:
            raise self.config.server.error(self._sender.url, f"it refuses {text[:80]!r}: {refused}") from None


def _heard(response: "httpx.Response") -> Samples:
    """The samples of an answer in any file format; ValueError if it has no sound."""
    import av

    parts = []
    options = {"format_whitelist": _FORMATS, "protocol_whitelist": ""}
    resampler = av.AudioResampler(format="fltp", rate=_RATE)
    try:
        with av.open(io.BytesIO(response.content), options=options) as container:
            for frame in container.decode(audio=0):
                parts += [part.to_ndarray().mean(0) for part in resampler.resample(frame)]
            parts += [part.to_ndarray().mean(0) for part in resampler.resample(None)]
    except (av.error.FFmpegError, IndexError) as error:
        raise ValueError(f"{len(response.content)} bytes that are no sound: {type(error).__name__}") from error
    if not parts:
        raise ValueError(f"{len(response.content)} bytes without a sample")
    samples: Samples = np.clip(np.nan_to_num(np.concatenate(parts)), -1, 1).astype(np.float32)
    return samples
