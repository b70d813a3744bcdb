"""A story as a person writes it: who is in it, where it happens, and what is seen in each shot.

storage.stories.reading makes one out of a file. Everything in it is text as it was written, in NFC.
"""

from collections.abc import Iterator
from typing import NamedTuple

from pydantic import BaseModel, Field


class Named(BaseModel, frozen=True, extra="forbid"):
    """Somebody, a place or a thing that shots refer to by name."""

    name: str = Field(min_length=1, description="name by which shots refer to it")
    description: str = Field("", description="what it looks like, in one sentence")
    pictures: tuple[str, ...] = Field((), description="picture files, relative to the story's folder")


class Line(BaseModel, frozen=True, extra="forbid"):
    """Words that are heard; without a speaker they are narration."""

    speaker: str = Field("", description="name of a member of the cast; empty: the narrator")
    text: str = Field(min_length=1, description="the words, as they are spoken")


class Shot(BaseModel, frozen=True, extra="forbid"):
    """What is seen without a cut. Each plot line is one keyframe, unless `seconds` says how long the only one lasts."""

    characters: tuple[str, ...] = Field((), description="members of the cast who are seen, the main one first")
    props: tuple[str, ...] = Field((), description="props that are seen")
    size: str = Field("", description="shot size and camera, such as close-up")
    plots: tuple[str, ...] = Field((), description="what happens, one line a keyframe")
    seconds: float | None = Field(
        None, gt=0, description="length of the shot in seconds; without it each plot line lasts as long as a keyframe"
    )
    lines: tuple[Line, ...] = Field((), description="dialogue and narration that begin with this shot")
    cut: bool = Field(True, description="false: the shot goes on from the last frame of the one before")
    seed: int | None = Field(None, ge=0, description="seed of this shot; without it the story's")
    temperature: float | None = Field(None, ge=0, description="temperature of the tokens; without it the recipe's")
    guidance: float | None = Field(None, ge=0, description="classifier-free guidance; without it the recipe's")


class Scene(BaseModel, frozen=True, extra="forbid"):
    """Shots in one place, one after the other."""

    title: str = Field("", description="title of its chapter")
    place: str = Field("", description="name of a place")
    mood: str = Field("", description="mood of its music")
    shots: tuple[Shot, ...] = Field(min_length=1, description="its shots in order")


class Story(BaseModel, frozen=True, extra="forbid"):
    """A whole movie."""

    title: str = Field(min_length=1, description="title of the movie")
    language: str = Field("en", pattern="^[a-z]{2,3}$", description="ISO 639 code of its words")
    style: str = Field("", description="what all pictures look like")
    seed: int = Field(0, ge=0, description="seed of all random draws")
    continues: str = Field("", description="film of the storage that it goes on from: its id, title or file name")
    music: str = Field("", description="sound file of one's own, relative to the story's folder; empty: composed")
    cast: tuple[Named, ...] = Field((), description="the people, with photographs of their faces")
    places: tuple[Named, ...] = Field((), description="the places")
    props: tuple[Named, ...] = Field((), description="things that matter")
    scenes: tuple[Scene, ...] = Field(min_length=1, description="scenes in order")

    def shots(self) -> Iterator["Placed"]:
        """All shots in order, numbered from 1 through the whole story."""
        pairs = ((scene, shot) for scene in self.scenes for shot in scene.shots)
        for number, (scene, shot) in enumerate(pairs, start=1):
            yield Placed(number, scene, shot)


class Placed(NamedTuple):
    """A shot with its scene; `number` is what commands such as --redo 12-15 refer to."""

    number: int
    scene: Scene
    shot: Shot
