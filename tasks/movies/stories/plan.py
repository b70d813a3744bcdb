"""The plan of a story: each piece that it needs, with a key that depends on exactly what the piece depends on.

    scripts    sentences and faces of a whole story as vectors; what its reference pictures look like as tokens
    tokens     of one keyframe: of its own script, its seed, pictures of who and what is seen, and its history
    keyframes  of one keyframe: of its tokens, its script and the thresholds by which it is judged
    enlarged   a keyframe at the size of the movie
    clips      of one keyframe, and of its neighbours where no cut stands between them
    movies     of all clips, and of what is heard and written
    pages      of a movie, and of all takes of its shots

The history of a keyframe are the keyframes before it in its scene, as many as a window holds; a film that the story
continues stands before the first scene. So an edited line changes its own keyframe and those that follow in its scene,
and nothing in other scenes.

A take is a shot drawn with another seed. Shots that follow go on from the first take whichever is chosen, so a new take
changes no shot but its own.
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
"""In the order of the work."""

Pictures = Mapping[str, str]
"""Name of a picture in the story -> the hash of its bytes."""


class StoriesConfig(BaseModel, frozen=True, extra="forbid"):
    """How stories become movies."""

    folder: str = Field("", description="folder of stories to render, a path or URI: the queue of render_stories")
    history: Literal["shot", "scene", "movie"] = Field(
        "scene", description="how far back a keyframe looks, within its window; an edit reaches as far forward"
    )
    autoencoder: str = Field("", description="folder of the autoencoder in the storage; empty: the newest")
    decoder: str = Field("", description="folder of the decoder in the storage; empty: the newest")
    autoregressive: str = Field("", description="folder of the autoregressive model in the storage; empty: the newest")
    batch: int = Field(16, ge=1, description="pieces that an actor is given together; the pictures don't depend on it")
    gate: GateConfig = Field(GateConfig(), description="when a keyframe is drawn again")
    max_hours: float | None = Field(None, gt=0, description="hours after which no piece begins; null: no limit")
    price: float | None = Field(None, ge=0, description="price of an hour, for the estimate; null: none is told")


@dataclass(frozen=True)
class Models:
    """The trained models' folders in the storage."""

    autoencoder: str
    decoder: str
    autoregressive: str


@dataclass(frozen=True)
class Settings:
    """Everything that movies depend on besides their stories."""

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
    """Takes of a shot: the first is the story's own, the others have these seeds; `chosen` counts from 1."""

    seeds: tuple[int, ...] = ()
    chosen: int = Field(1, ge=1)

    @property
    def seed(self) -> int | None:
        """Of the chosen take; None for the first."""
        return self.seeds[self.chosen - 2] if self.chosen > 1 else None


Before = tuple[str, int]
"""Tokens of an earlier keyframe by their key, and the place of its script; below 0 those of a continued film."""


@dataclass(frozen=True)
class Past:
    """The last keyframes of a film of a snapshot, that a story goes on from; `tokens` is the fingerprint of theirs."""

    snapshot: str
    film_id: str
    row_ids: tuple[str, ...]
    tokens: str

    def keys(self) -> list[str]:
        return [fingerprint("past", row_id, self.tokens) for row_id in self.row_ids]


@dataclass(frozen=True)
class Drawn:
    """A keyframe with all that it depends on; its names are the keys of its pieces.

    Attributes:
        scripts, place: where its script is.
        frames: of its clip.
        references: pictures of what is seen, by their places among the story's.
        people: how many are named.
        enlarged: "" where the movie has the size of the keyframes.
        before, after: pictures of its neighbours, "" at a cut.
        anchor: picture that its shot begins with.
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
    """A shot in the take that was chosen.

    Attributes:
        id: of what it shows, by which its takes are kept: it stays when shots before it come or go.
        first: keyframes of the first take, which the next shots go on from.
    """

    id: str
    placed: Placed
    takes: Takes
    first: tuple[Drawn, ...]
    keyframes: tuple[Drawn, ...]


@dataclass(frozen=True)
class Scripts:
    """What the scripts of a story are made of.

    Attributes:
        faces: photographs of each member of the cast who has some, by hash.
        references: pictures of what is seen, by hash.
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
        """A movie of these shots alone."""
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
        """Of the movie, in its order."""
        for shot in self.shown:
            yield from shot.keyframes

    def lasts(self) -> list[tuple[Placed, float]]:
        """The movie's shots, and the seconds that each lasts."""
        fps = self.settings.movie.fps
        return [(shot.placed, sum(one.frames for one in shot.keyframes) / fps) for shot in self.shown]

    def pieces(self) -> Iterator[Piece]:
        """Each after what it needs; the movie last."""
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
    """The pieces that must be made so that the movies among them exist.

    Args:
        pieces: each after what it needs.
        there: names of the pieces that exist.
    """
    found: dict[Name, Piece] = {}
    needed: set[Name] = set()
    for piece in reversed(list(pieces)):
        if (piece.stage in ("movies", "pages") or piece.name in needed) and piece.name not in there:
            found[piece.name] = piece
            needed.update(piece.needs)
    return list(reversed(found.values()))
