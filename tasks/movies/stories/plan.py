"""What a story needs, planned before anything is made: each piece with a key that says exactly what it depends on.

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

import math
from collections import Counter
from collections.abc import Collection, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Literal, Self

from pydantic import BaseModel, Field

from models.autoregressive.screenplay import Character, Keyframe, Screenplay
from models.face import FaceConfig
from models.sentence import SentenceConfig
from models.upscaler import UnchangedConfig
from storage.fingerprint import fingerprint
from storage.stories.story import Named, Placed, Scene, Shot, Story
from tasks.movies.movie import MovieConfig
from tasks.movies.render import RenderConfig
from tasks.movies.stories.gate import GateConfig
from tasks.movies.stories.soundtrack import SoundConfig, seconds_of_lines
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
    """What movies depend on beside their stories."""

    models: Models
    sentence: SentenceConfig
    face: FaceConfig
    frozen: FrozenConfig
    render: RenderConfig
    movie: MovieConfig
    sound: SoundConfig
    stories: StoriesConfig

    def preview(self) -> Self:
        """The same at the size of the keyframes, without super-resolution."""
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
    """All that a story needs, shot by shot; the movie shows those of the `shots` that are `shown`."""

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
    """Those that must be made so that the movies among them are there.

    Args:
        pieces: each after what it needs.
        there: names of those that are made.
    """
    found: dict[Name, Piece] = {}
    needed: set[Name] = set()
    for piece in reversed(list(pieces)):
        if (piece.stage in ("movies", "pages") or piece.name in needed) and piece.name not in there:
            found[piece.name] = piece
            needed.update(piece.needs)
    return list(reversed(found.values()))


def plan(
    story: Story,
    settings: Settings,
    pictures: Pictures,
    takes: Mapping[str, Takes] | None = None,
    past: Past | None = None,
) -> Plan:
    """Keys of all pieces of a story; reads and makes nothing.

    Args:
        takes: by the shots' ids.
        past: what the story goes on from, at most as many keyframes as a window holds.
    """
    planner = _Planner(story, settings, pictures, past.keys() if past else [])
    shots = tuple(_clipped(planner.shots(takes or {}), settings))
    movie = _movie_key(story, settings, shots, pictures)
    faces = {one.name: [pictures[name] for name in one.pictures] for one in story.cast if one.pictures}
    scripts = Scripts(planner.screenplay, faces, planner.shown, past)
    return Plan(story, settings, planner.key, scripts, pictures, shots, shots, movie)


def beats(shot: Shot, movie: MovieConfig, sound: SoundConfig) -> list[tuple[str, int]]:
    """(plot line, frames) of each keyframe of a shot: one a line or, where it says its seconds, as many as these hold.

    Where it does not, the shot lasts at least as long as what is said in it.
    """
    lines = shot.plots or ("",)
    seconds = shot.seconds or max(len(lines) * movie.clip, seconds_of_lines(shot, sound))
    count = max(len(lines), round(shot.seconds / movie.clip) if shot.seconds else 1)
    frames = seconds * movie.fps
    total = max(count, round(frames) if shot.seconds else math.ceil(round(frames, 6)))
    ends = [round(total * place / count) for place in range(count + 1)]
    return [(lines[place * len(lines) // count], ends[place + 1] - ends[place]) for place in range(count)]


def _script(story: Story, scene: Scene, shot: Shot, plot: str) -> Keyframe:
    """What a keyframe of a shot shows."""
    cast = _by_name(story.cast)
    characters = tuple(
        Character(description=_told(name, cast), face=name if name in cast and cast[name].pictures else "")
        for name in shot.characters
    )
    props = _by_name(story.props)
    elements = [_told(scene.place, _by_name(story.places)), *(_told(name, props) for name in shot.props)]
    said = tuple(element for element in (*elements, shot.size, story.style) if element)
    return Keyframe(characters=characters, scene_elements=said, plots=(plot,) if plot else ())


def _by_name(named: Iterable[Named]) -> dict[str, Named]:
    return {one.name: one for one in named}


def _told(name: str, known: Mapping[str, Named]) -> str:
    return (known[name].description if name in known else "") or name


class _Planner:
    """Goes through the shots in order, and knows what stands before each."""

    def __init__(self, story: Story, settings: Settings, pictures: Pictures, past: Sequence[str]) -> None:
        self.story, self.settings, self.pictures = story, settings, pictures
        self.window = settings.render.generation.window - 1
        self.film = [(name, place - len(past)) for place, name in enumerate(past)]
        self.screenplay = Screenplay(
            keyframes=tuple(
                _script(story, placed.scene, placed.shot, plot)
                for placed in story.shots()
                for plot, _ in beats(placed.shot, settings.movie, settings.sound)
            )
        )
        named = (*story.places, *story.props, *story.cast)
        self.shown = tuple(dict.fromkeys(pictures[file] for one in named for file in one.pictures))
        seen = [
            [one.name, [pictures[name] for name in one.pictures]] for one in (*story.cast, *story.places, *story.props)
        ]
        self.reads = [settings.sentence, settings.face, settings.frozen, settings.models.autoencoder]
        self.key = fingerprint("story scripts", self.screenplay, seen, past, self.reads)

    def shots(self, takes: Mapping[str, Takes]) -> Iterator[PlannedShot]:
        known: Counter[str] = Counter()
        past, place, reach = self.film, 0, self.settings.stories.history
        numbers = count(1)
        for scene in self.story.scenes:
            for shot in scene.shots:
                scripts = list(
                    self.screenplay.keyframes[
                        place : place + len(beats(shot, self.settings.movie, self.settings.sound))
                    ]
                )
                looks = fingerprint("shot", scripts)
                known[looks] += 1
                name = fingerprint(looks, known[looks])
                mine = takes.get(name, Takes())
                first = self._drawn(
                    scene, shot, scripts, place, past, self.story.seed if shot.seed is None else shot.seed
                )
                chosen = first if mine.seed is None else self._drawn(scene, shot, scripts, place, past, mine.seed)
                yield PlannedShot(name, Placed(next(numbers), scene, shot), mine, first, chosen)
                place += len(scripts)
                past = [] if reach == "shot" else [*past, *((one.tokens, one.place) for one in first)]
            past = [] if reach == "scene" else past

    def _drawn(
        self, scene: Scene, shot: Shot, scripts: Sequence[Keyframe], start: int, past: Sequence[Before], take: int
    ) -> tuple[Drawn, ...]:
        """The keyframes of a take."""
        models, render = self.settings.models, self.settings.render
        generation = render.generation
        temperature = generation.temperature if shot.temperature is None else shot.temperature
        guidance = generation.guidance if shot.guidance is None else shot.guidance
        drawing = generation.model_copy(update={"temperature": temperature, "guidance": guidance})
        painting = [render.seed, render.quality, render.sampler, render.steps, render.guidance, render.fast]
        cast = _by_name(self.story.cast)
        faces = [[self.pictures[name] for name in cast[who].pictures] for who in shot.characters if who in cast]
        references = self._references(scene, shot)
        drawn: list[Drawn] = []
        for number, (script, (plot, frames)) in enumerate(
            zip(scripts, beats(shot, self.settings.movie, self.settings.sound), strict=True)
        ):
            before = (*past, *((one.tokens, one.place) for one in drawn))[-self.window :]
            seed = int(fingerprint("seed", render.seed, take, number, script)[:7], 16)
            history = [key for key, _ in before]
            tokens = fingerprint(
                "story tokens", script, faces, references, seed, history, drawing, self.reads, models.autoregressive
            )
            keyframe = fingerprint("story keyframe", tokens, models.decoder, painting, self.settings.stories.gate)
            drawn.append(
                Drawn(
                    scripts=self.key,
                    place=start + number,
                    plot=plot,
                    frames=frames,
                    seed=seed,
                    temperature=temperature,
                    guidance=guidance,
                    history=before,
                    references=tuple(map(self.shown.index, references)),
                    people=len(script.characters),
                    tokens=tokens,
                    keyframe=keyframe,
                )
            )
        return tuple(drawn)

    def _references(self, scene: Scene, shot: Shot) -> tuple[str, ...]:
        """Pictures of the place, the props and the cast of a shot, each once."""
        known = _by_name((*self.story.props, *self.story.cast, *self.story.places))
        names = dict.fromkeys((scene.place, *shot.props, *shot.characters))
        files = [self.pictures[file] for name in names if name in known for file in known[name].pictures]
        return tuple(dict.fromkeys(files))[: self.settings.render.references]


def _clipped(shots: Iterable[PlannedShot], settings: Settings) -> list[PlannedShot]:
    """The same with the keys of pictures at the movie's size and of clips, which know what is beside them."""
    movie, planned = settings.movie, list(shots)
    size = [movie.upscaler, movie.width, movie.height]
    sized = [[replace(one, enlarged=_enlarged_key(one, size, movie)) for one in shot.keyframes] for shot in planned]
    every = [
        (one, number == 0 and shot.placed.shot.cut, ones[0].picture[1])
        for shot, ones in zip(planned, sized, strict=True)
        for number, one in enumerate(ones)
    ]
    made = []
    for place, (one, cut, anchor) in enumerate(every):
        before = "" if place == 0 or cut else every[place - 1][0].picture[1]
        after = "" if place + 1 == len(every) or every[place + 1][1] else every[place + 1][0].picture[1]
        shown = [one.picture[1], before, after, anchor, one.plot, one.frames]
        clip = fingerprint("story clip", shown, movie.animator, movie.fps, movie.codec, movie.mark)
        made.append(replace(one, clip=clip, before=before, after=after, anchor=anchor))
    rest = iter(made)
    return [replace(shot, keyframes=tuple(islice(rest, len(shot.keyframes)))) for shot in planned]


def _enlarged_key(one: Drawn, size: Sequence[object], movie: MovieConfig) -> str:
    return "" if movie.upscaler.kind == "none" else fingerprint("story enlarged", one.keyframe, size)


def _movie_key(story: Story, settings: Settings, shots: Iterable[PlannedShot], pictures: Pictures) -> str:
    told = [
        [
            [scene.title, scene.place, scene.mood, list(shot.lines), shot.plots],
            [[one.clip, one.frames] for one in planned.keyframes],
        ]
        for planned in shots
        for _, scene, shot in [planned.placed]
    ]
    given = [story.title, story.language, story.seed, pictures.get(story.music, ""), [*story.places]]
    return fingerprint("story movie", given, told, settings.movie, settings.sound)
