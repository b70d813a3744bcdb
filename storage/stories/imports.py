"""Converts the story files of other projects (ViStoryBench, StoryMem, MSVBench) and our script by keyframes.

They are recognised by their fields. What is not part of a story (indexes, tags, overviews) is ignored.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from pathlib import Path, PurePath

from storage.stories import screenplay
from storage.stories.names import Names
from storage.stories.nodes import Fields, Items, Node, Text, fields, items, text_of, texts

STORYMEM_SECONDS = "5"
"""Length of a shot of StoryMem, whose prompts are written for clips of five seconds."""

_PICTURES = (".jpg", ".jpeg", ".png", ".webp")


def converted(tree: Node, name: str, folder: Path | None) -> Node:
    """The tree as a story file of ours would have it; a tree of an unknown kind is returned unchanged.

    Args:
        name: of the file.
        folder: that holds the pictures of its characters.

    Raises:
        ConfigError: as screenplay.story does.
    """
    given = _by_key(tree)
    scenes = [_by_key(scene) for scene in items(given.get("scenes"))]
    if not isinstance(tree, Fields):
        return tree
    if screenplay.KEY in given:
        return screenplay.story(tree, name)
    if "Shots" in given and "Characters" in given:
        return _vistory(given, name, folder)
    if any("video_prompts" in scene for scene in scenes):
        return _storymem(given, scenes, name)
    if "script" in given and any("clips" in _by_key(scene) for scene in items(given["script"])):
        return _msvbench(given, name, folder)
    return tree


def _vistory(given: Mapping[str, Node], name: str, folder: Path | None) -> Node:
    """ViStoryBench 1.3: <id>/story.json with pictures in <id>/image/<character>."""
    cast: list[Node] = []
    names: dict[str, str] = {}
    for key, who in given["Characters"].pairs if isinstance(given["Characters"], Fields) else ():
        about = _by_key(who)
        names[text_of(key)] = text_of(about.get("name_en")) or text_of(key)
        pictures = _pictures(folder, "image", key.text)
        cast.append(_named(key.line, names[text_of(key)], text_of(about.get("prompt_en")), pictures))
    shots = [(shot, _by_key(shot)) for shot in items(given["Shots"])]
    settings = {_english(shot, "Setting Description"): node.line for node, shot in shots}
    places = Names({(setting, ""): line for setting, line in settings.items() if setting})
    scenes: list[Node] = []
    for setting, of_scene in groupby(shots, key=lambda pair: _english(pair[1], "Setting Description")):
        made: list[Node] = []
        for node, shot in of_scene:
            seen = items(_by_key(shot.get("Characters Appearing")).get("en"))
            said = [_english(shot, "Plot Correspondence"), _english(shot, "Static Shot Description")]
            made.append(
                _shot(
                    node.line,
                    [names[one] for one in map(text_of, seen) if one in names],
                    " ".join(filter(None, said)),
                    _english(shot, "Shot Perspective Design"),
                )
            )
        scenes.append(_scene(made, places.of((setting, "")) if setting else ""))
    path = PurePath(name)
    title = (path.parent.name if path.stem == "story" else "") or path.stem
    return _story(title, cast, places.nodes(), scenes)


def _storymem(given: Mapping[str, Node], scenes: Sequence[Mapping[str, Node]], name: str) -> Node:
    """StoryMem and its ST-Bench: scenes of prompts, with `cut` for each."""
    made: list[Node] = []
    for scene in scenes:
        cuts = [text_of(cut).lower() != "false" for cut in items(scene.get("cut"))]
        shots: list[Node] = []
        for place, prompt in enumerate(items(scene.get("video_prompts"))):
            cut = cuts[place] if place < len(cuts) else True
            first = not made and not shots
            pairs: list[tuple[str, Node]] = [("plots", Items(prompt.line, (prompt,)))]
            pairs.append(("cut", Text(prompt.line, "true" if cut or first else "false")))
            shots.append(fields(prompt.line, [*pairs, ("seconds", Text(prompt.line, STORYMEM_SECONDS))]))
        if shots:
            made.append(_scene(shots, ""))
    return _story(text_of(given.get("story_name")) or PurePath(name).stem, [], Items(1, ()), made)


def _msvbench(given: Mapping[str, Node], name: str, folder: Path | None) -> Node:
    """MSVBench: script/<id>.json; pictures in characters/<id>/<name>, where that is beside the file."""
    cast: list[Node] = []
    names: dict[str, str] = {}
    for who in items(given.get("characters")):
        about = _by_key(who)
        called = text_of(about.get("name"))
        names[text_of(about.get("id"))] = called
        place = called.replace(" ", "_")
        pictures = _pictures(folder, "characters", PurePath(name).stem, place) or _pictures(folder, "characters", place)
        cast.append(_named(who.line, called, _described(about), pictures))
    places: list[Node] = []
    where: dict[str, str] = {}
    for one in items(given.get("environments")):
        about = _by_key(one)
        number = text_of(about.get("id"))
        where[number] = text_of(about.get("name")) or f"Place {number}"
        places.append(_named(one.line, where[number], _described(about), []))
    scenes: list[Node] = []
    for scene in map(_by_key, items(given["script"])):
        made: list[Node] = []
        for clip in items(scene.get("clips")):
            about = _by_key(clip)
            seen = [names[one] for one in map(text_of, items(about.get("characters"))) if names.get(one)]
            size = ", ".join(filter(None, map(text_of, (about.get("shot_distance"), about.get("camera_angle")))))
            made.append(_shot(clip.line, seen, text_of(about.get("description")), size))
        if made:
            scenes.append(_scene(made, where.get(text_of(scene.get("environment")), "")))
    return _story(PurePath(name).stem, cast, Items(1, tuple(places)), scenes)


def _described(about: Mapping[str, Node]) -> str:
    """The description of somebody or a place: all texts but its name and number."""
    return " ".join(text for key, node in about.items() if key not in ("id", "name") and (text := text_of(node)))


def _english(shot: Mapping[str, Node], field: str) -> str:
    return text_of(_by_key(shot.get(field)).get("en"))


def _by_key(node: Node | None) -> dict[str, Node]:
    return {key.text: value for key, value in node.pairs} if isinstance(node, Fields) else {}


def _pictures(folder: Path | None, *parts: str) -> list[str]:
    """Paths, relative to the folder, of the pictures in a folder below it; [] if there is none."""
    place = PurePath(*parts)
    if folder is None or len(place.parts) != len(parts) or ".." in parts:  # a name that is a path leads elsewhere
        return []
    try:
        return sorted(
            str(one.relative_to(folder)) for one in (folder / place).iterdir() if one.suffix.lower() in _PICTURES
        )
    except OSError:
        return []


def _named(line: int, name: str, description: str, pictures: Iterable[str]) -> Node:
    pairs: list[tuple[str, Node]] = [("name", Text(line, name)), ("description", Text(line, description))]
    return fields(line, [*pairs, ("pictures", texts(line, pictures))])


def _shot(line: int, characters: Iterable[str], plot: str, size: str) -> Node:
    pairs: list[tuple[str, Node]] = [("characters", texts(line, characters)), ("size", Text(line, size))]
    return fields(line, [*pairs, ("plots", texts(line, [plot] if plot else []))])


def _scene(shots: Sequence[Node], place: str) -> Node:
    line = shots[0].line
    return fields(line, [("place", Text(line, place)), ("shots", Items(line, tuple(shots)))])


def _story(title: str, cast: Sequence[Node], places: Node, scenes: Sequence[Node]) -> Node:
    pairs: list[tuple[str, Node]] = [("title", Text(1, title)), ("cast", Items(1, tuple(cast))), ("places", places)]
    return fields(1, [*pairs, ("scenes", Items(1, tuple(scenes)))])
