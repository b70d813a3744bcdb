"""Measures the time per piece, stores it, and estimates the time of further pieces."""

from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, Field, ValidationError

from storage.fingerprint import fingerprint
from storage.root import Storage
from tasks.movies.stories.plan import Settings
from tasks.movies.stories.stream import ActorPool, Answer, Piece

STARTING = Piece("start", "")
"""The start-up of a run before its first piece: starting Ray and its actors, loading models."""

_REL = "stories/rates.json"
_MEMORY = 200  # pieces of a stage after which older ones count less


class Rate(BaseModel, frozen=True, extra="forbid"):
    """Seconds of a stage's pieces with the same settings."""

    stage: str
    pieces: float
    seconds: float

    def with_(self, pieces: int, seconds: float) -> "Rate":
        fades = min(1.0, _MEMORY / (self.pieces + pieces))
        return Rate(stage=self.stage, pieces=fades * self.pieces + pieces, seconds=fades * self.seconds + seconds)


class Rates(BaseModel, frozen=True, extra="forbid"):
    """Rates by a key of everything that affects a stage's time."""

    known: dict[str, Rate] = Field(default_factory=dict)

    @classmethod
    def load(cls, storage: Storage) -> "Rates":
        """The measured rates; none if the file is missing or not a run's."""
        if not storage.exists(_REL):
            return cls()
        try:
            return cls.model_validate_json(storage.read_bytes(_REL))
        except ValidationError:
            return cls()

    def save(self, storage: Storage) -> None:
        storage.write_bytes(_REL, self.model_dump_json(indent=1).encode())

    def learnt(self, answers: Iterable[Answer], settings: Settings) -> "Rates":
        """These rates, updated with new measurements."""
        known = dict(self.known)
        counts: dict[str, tuple[int, float]] = {}
        for answer in answers:
            pieces, seconds = counts.get(answer.piece.stage, (0, 0.0))
            counts[answer.piece.stage] = pieces + 1, seconds + answer.seconds
        for stage, (pieces, seconds) in counts.items():
            key = _key(stage, settings)
            known[key] = known.get(key, Rate(stage=stage, pieces=0, seconds=0)).with_(pieces, seconds)
        return Rates(known=known)

    def hours(self, pieces: Iterable[Piece], settings: Settings, pools: Iterable[ActorPool]) -> float | None:
        """Estimated hours for some pieces: those of the slowest pool. None if a stage was never measured."""
        counts = Counter(piece.stage for piece in pieces)
        counts += Counter([STARTING.stage] if counts else [])
        rates = {stage: self.known.get(_key(stage, settings)) for stage in counts}
        if None in rates.values():
            return None
        seconds = {stage: counts[stage] * rate.seconds / rate.pieces for stage, rate in rates.items() if rate}
        each = (sum(seconds.get(stage, 0) for stage in pool.makes) / pool.size for pool in pools)
        return (seconds.get(STARTING.stage, 0) + max(each)) / 3600


def _key(stage: str, settings: Settings) -> str:
    render, movie, models = settings.render, settings.movie, settings.models
    costs: dict[str, list[object]] = {
        STARTING.stage: [],
        "scripts": [settings.sentence, settings.face],
        "tokens": [models.autoregressive, render.generation],
        "keyframes": [models.decoder, render.steps, render.sampler, render.guidance, settings.stories.gate],
        "enlarged": [movie.upscaler, movie.width, movie.height],
        "clips": [movie.animator, movie.upscaler, movie.width, movie.height, movie.fps, movie.seconds],
        "pages": [],
        "movies": [settings.sound, movie.upscaler, movie.width, movie.height, movie.fps],
    }
    return fingerprint(stage, costs[stage])
