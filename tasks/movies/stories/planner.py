"""Plans a story: computes the key of each piece from exactly its inputs. Reads no files and makes nothing.

Keys are chained: the key of a keyframe's tokens includes the keys of its history, the key of a picture that of its
tokens, the key of a clip those of its pictures.
"""

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import count, islice

from models.autoregressive.screenplay import Character, Keyframe, Screenplay
from storage.fingerprint import fingerprint
from storage.stories.story import Named, Placed, Scene, Shot, Story
from tasks.movies.movie import MovieConfig
from tasks.movies.stories.plan import (
    Before,
    Drawn,
    Past,
    Pictures,
    Plan,
    PlannedShot,
    Scripts,
    Settings,
    Takes,
)
from tasks.movies.stories.soundtrack import SoundConfig, seconds_of_lines


def plan(
    story: Story,
    settings: Settings,
    pictures: Pictures,
    takes: Mapping[str, Takes] | None = None,
    past: Past | None = None,
) -> Plan:
    """The plan with the keys of all pieces of a story; reads no files and makes nothing.

    Args:
        takes: shot id -> takes.
        past: the keyframes that the story continues, at most as many as a window holds.
    """
    planner = _Planner(story, settings, pictures, past.keys() if past else [])
    shots = tuple(_clipped(planner.shots(takes or {}), settings))
    movie = _movie_key(story, settings, shots, pictures)
    faces = {one.name: [pictures[name] for name in one.pictures] for one in story.cast if one.pictures}
    scripts = Scripts(planner.screenplay, faces, planner.shown, past)
    return Plan(story, settings, planner.key, scripts, pictures, shots, shots, movie)


def beats(shot: Shot, movie: MovieConfig, sound: SoundConfig) -> list[tuple[str, int]]:
    """(plot line, frames) of each keyframe of a shot: one per line or, if the shot has `seconds`, as many as fit.

    Without `seconds`, the shot is at least as long as its spoken lines.
    """
    lines = shot.plots or ("",)
    seconds = shot.seconds or max(len(lines) * movie.clip, seconds_of_lines(shot, sound))
    count = max(len(lines), round(shot.seconds / movie.clip) if shot.seconds else 1)
    frames = seconds * movie.fps
    total = max(count, round(frames) if shot.seconds else math.ceil(round(frames, 6)))
    ends = [round(total * place / count) for place in range(count + 1)]
    return [(lines[place * len(lines) // count], ends[place + 1] - ends[place]) for place in range(count)]


def _by_name(named: Iterable[Named]) -> dict[str, Named]:
    return {one.name: one for one in named}


def _told(name: str, known: Mapping[str, Named]) -> str:
    return (known[name].description if name in known else "") or name


class _Planner:
    """Goes through the shots in order, and tracks their history."""

    def __init__(self, story: Story, settings: Settings, pictures: Pictures, past: Sequence[str]) -> None:
        self.story, self.settings, self.pictures = story, settings, pictures
        self.window = settings.render.generation.window - 1
        self.film = [(name, place - len(past)) for place, name in enumerate(past)]
        self.cast, self.places, self.props = (_by_name(some) for some in (story.cast, story.places, story.props))
        self.screenplay = Screenplay(
            keyframes=tuple(
                self._script(placed.scene, placed.shot, plot)
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
                past = [*past, *((one.tokens, one.place) for one in first)][-self.window :] if reach != "shot" else []
            past = [] if reach == "scene" else past

    def _script(self, scene: Scene, shot: Shot, plot: str) -> Keyframe:
        """The script of a keyframe of a shot."""
        cast = self.cast
        characters = tuple(
            Character(description=_told(name, cast), face=name if name in cast and cast[name].pictures else "")
            for name in shot.characters
        )
        elements = [_told(scene.place, self.places), *(_told(name, self.props) for name in shot.props)]
        said = tuple(element for element in (*elements, shot.size, self.story.style) if element)
        return Keyframe(characters=characters, scene_elements=said, plots=(plot,) if plot else ())

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
        seen = [self.cast[who] for who in shot.characters if who in self.cast]
        faces = [[self.pictures[name] for name in one.pictures] for one in seen]
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
        """Pictures of the place, the props and the cast of a shot, without duplicates."""
        seen = [(self.places, scene.place), *((self.props, name) for name in shot.props)]
        seen += [(self.cast, name) for name in shot.characters]
        files = [self.pictures[file] for known, name in seen if name in known for file in known[name].pictures]
        return tuple(dict.fromkeys(files))[: self.settings.render.references]


def _clipped(shots: Iterable[PlannedShot], settings: Settings) -> list[PlannedShot]:
    """The shots with the keys of enlarged pictures and of clips, which depend on their neighbours."""
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
