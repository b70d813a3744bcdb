"""The plan of a story: all pieces that it needs. A piece's key is a hash of exactly the inputs of the piece.

scripts    sentences and faces of a whole story as vectors; its reference pictures as tokens
tokens     of one keyframe; inputs: its script, its seed, reference pictures of people and things in it, its history
keyframes  one keyframe; inputs: its tokens, its script and the thresholds of the quality gate
enlarged   a keyframe at the size of the movie
clips      of one keyframe; inputs: its picture, and its neighbours' unless a cut is between them
movies     inputs: all clips, sound and text
pages      inputs: a movie, and all takes of its shots

The history of a keyframe is the previous keyframes of its scene, up to the size of a window; a film that the story
continues precedes the first scene. So an edited line changes its own keyframe and the later ones of its scene, and
nothing in other scenes.

A take is a shot drawn with another seed. Later shots always continue from the first take, whichever take is chosen, so
a new take changes only its own shot.
"""

from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal, Self

from pydantic import BaseModel, Field

from models.autoregressive.screenplay import Screenplay
from models.face import FaceConfig
from models.sentence import SentenceConfig
from models.upscaler import UnchangedConfig
from storage.fingerprint import fingerprint
from storage.stories.story import Placed, Story
from tasks.movies.movie import MovieConfig
from tasks.movies.render import RenderConfig
from tasks.movies.stories.gate import GateConfig
from tasks.movies.stories.soundtrack import SoundConfig
from tasks.movies.stories.stream import Name, Piece
from tasks.training.frozen import FrozenConfig

STAGES = ("scripts", "tokens", "keyframes", "enlarged", "clips", "movies", "pages")
"""In processing order."""

Pictures = Mapping[str, str]
"""Name of a picture in the story -> hash of its bytes."""


class StoriesConfig(BaseModel, frozen=True, extra="forbid"):
    """How stories become movies."""

    folder: str = Field("", description="folder of stories to render, a path or URI: the queue of render_stories")
    history: Literal["shot", "scene", "movie"] = Field(
        "scene", description="how far back a keyframe's history goes, within its window, and how far an edit reaches"
    )
    autoencoder: str = Field("", description="folder of the autoencoder in the storage; empty: the newest")
    decoder: str = Field("", description="folder of the decoder in the storage; empty: the newest")
    autoregressive: str = Field("", description="folder of the autoregressive model in the storage; empty: the newest")
    batch: int = Field(16, ge=1, description="pieces per call of an actor; the pictures don't depend on it")
    gate: GateConfig = Field(GateConfig(), description="the quality gate: when a keyframe is drawn again")
    max_hours: float | None = Field(None, gt=0, description="hours after which no piece is started; null: no limit")
    price: float | None = Field(None, ge=0, description="price per hour, for the estimate; null: not shown")


@dataclass(frozen=True)
class Models:
    """Folders of the trained models in the storage."""

    autoencoder: str
    decoder: str
    autoregressive: str


@dataclass(frozen=True)
class Settings:
    """All inputs of movies besides their stories."""

    models: Models
    sentence: SentenceConfig
    face: FaceConfig
    frozen: FrozenConfig
    render: RenderConfig
    movie: MovieConfig
    sound: SoundConfig
    stories: StoriesConfig

    def preview(self) -> Self:
        """The same settings at the size of the keyframes, without super-resolution."""
        return replace(self, movie=self.movie.model_copy(update={"upscaler": UnchangedConfig()}))


class Takes(BaseModel, frozen=True, extra="forbid"):
    """Takes of a shot: the first has the story's seed, the others have these seeds; `chosen` counts from 1."""

    seeds: tuple[int, ...] = ()
    chosen: int = Field(1, ge=1)

    @property
    def seed(self) -> int | None:
        """Seed of the chosen take; None for the first."""
        return self.seeds[self.chosen - 2] if self.chosen > 1 else None


Before = tuple[str, int]
"""Key of the tokens of an earlier keyframe, and index of its script; below 0 for a continued film."""


@dataclass(frozen=True)
class Past:
    """The last keyframes of a film that a story continues; `tokens` is the fingerprint of their tokens."""

    snapshot: str
    film_id: str
    row_ids: tuple[str, ...]
    tokens: str

    def keys(self) -> list[str]:
        return [fingerprint("past", row_id, self.tokens) for row_id in self.row_ids]


@dataclass(frozen=True)
class Drawn:
    """A keyframe with all its inputs, by the keys of its pieces.

    Attributes:
        scripts, place: key of the story's scripts, and index of its script.
        frames: length of its clip.
        references: indices of its reference pictures among the story's.
        people: number of named people.
        enlarged: "" if the movie has the size of the keyframes.
        before, after: pictures of its neighbours, "" at a cut.
        anchor: first picture of its shot.
    """

    scripts: str
    place: int
    plot: str
    frames: int
    seed: int
    temperature: float
    guidance: float
    history: tuple[Before, ...]
    references: tuple[int, ...]
    people: int
    tokens: str
    keyframe: str
    enlarged: str = ""
    clip: str = ""
    before: str = ""
    after: str = ""
    anchor: str = ""

    @property
    def picture(self) -> Name:
        """What is animated."""
        return ("enlarged", self.enlarged) if self.enlarged else ("keyframes", self.keyframe)


@dataclass(frozen=True)
class PlannedShot:
    """A shot in its chosen take.

    Attributes:
        id: hash of its content, under which its takes are stored; it doesn't change when earlier shots come or go.
        first: keyframes of the first take, from which the next shots continue.
    """

    id: str
    placed: Placed
    takes: Takes
    first: tuple[Drawn, ...]
    keyframes: tuple[Drawn, ...]


@dataclass(frozen=True)
class Scripts:
    """The inputs of a story's scripts.

    Attributes:
        faces: hashes of the photographs of each member of the cast who has some.
        references: hashes of the reference pictures.
    """

    screenplay: Screenplay
    faces: Mapping[str, Sequence[str]]
    references: Sequence[str]
    past: "Past | None" = None


@dataclass(frozen=True)
class Plan:
    """Everything that a story needs, shot by shot; the movie shows the `shots` that are `shown`."""

    story: Story
    settings: Settings
    key: str
    scripts: Scripts
    pictures: Pictures
    shots: tuple[PlannedShot, ...]
    shown: tuple[PlannedShot, ...]
    movie: str

    def only(self, numbers: Collection[int]) -> "Plan":
        """The plan of a movie with only these shots."""
        shown = tuple(shot for shot in self.shots if shot.placed.number in numbers)
        return replace(self, shown=shown, movie=fingerprint("part", self.movie, [shot.placed.number for shot in shown]))

    @property
    def movie_name(self) -> Name:
        return "movies", self.movie

    @property
    def page(self) -> str:
        """Key of the page, which lists all takes."""
        takes = [[shot.placed.number, shot.takes] for shot in self.shown]
        return fingerprint("story page", self.movie, takes, self.story, self.pictures)

    def keyframes(self) -> Iterator[Drawn]:
        """The movie's keyframes, in order."""
        for shot in self.shown:
            yield from shot.keyframes

    def lasts(self) -> list[tuple[Placed, float]]:
        """The movie's shots, with their lengths in seconds."""
        fps = self.settings.movie.fps
        return [(shot.placed, sum(one.frames for one in shot.keyframes) / fps) for shot in self.shown]

    def pieces(self) -> Iterator[Piece]:
        """All pieces, each after its inputs; the movie is last."""
        scripts = Piece("scripts", self.key, self.scripts)
        yield scripts
        for shot in self.shots:
            for one in {one.tokens: one for one in (*shot.first, *shot.keyframes)}.values():
                past = tuple(("tokens", key) for key, place in one.history if place >= 0)
                yield Piece("tokens", one.tokens, one, (scripts.name, *past))
        every = [one for shot in self.shots for one in shot.keyframes]
        for one in every:
            yield Piece("keyframes", one.keyframe, one, (scripts.name, ("tokens", one.tokens)))
            if one.enlarged:
                yield Piece("enlarged", one.enlarged, one, (("keyframes", one.keyframe),))
        for one in every:
            stage = one.picture[0]
            beside = tuple((stage, key) for key in (one.before, one.after, one.anchor) if key)
            yield Piece("clips", one.clip, one, (one.picture, *beside))
        clips = tuple(("clips", one.clip) for one in self.keyframes())
        yield Piece("movies", self.movie, self, (scripts.name, *clips))
        yield Piece("pages", self.page, self, (self.movie_name,))


def missing(pieces: Iterable[Piece], there: Container[Name]) -> list[Piece]:
    """The pieces that must be made for the movies among them.

    Args:
        pieces: each after its inputs.
        there: names of the existing pieces.
    """
    found: dict[Name, Piece] = {}
    needed: set[Name] = set()
    for piece in reversed(list(pieces)):
        if (piece.stage in ("movies", "pages") or piece.name in needed) and piece.name not in there:
            found[piece.name] = piece
            needed.update(piece.needs)
    return list(reversed(found.values()))
