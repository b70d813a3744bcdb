"""A Story as the YAML text of a story file, which reads back as the same story."""

from collections.abc import Mapping
from typing import Any

import yaml

from storage.printable import printable
from storage.stories.story import Line, Named, Scene, Shot, Story

_ONE_LINE = 2**31 - 1


class _Row(list[str]):
    """A list that is written in one line."""


class _Dumper(yaml.SafeDumper):  # type: ignore[misc]  # the one in C escapes emoji
    pass


_Dumper.add_representer(
    _Row, lambda dumper, row: dumper.represent_sequence("tag:yaml.org,2002:seq", row, flow_style=True)
)


def yaml_text(story: Story, heads: Mapping[int, str] | None = None, top: str = "") -> str:
    """The text of a file that reading.parse reads as `story`. Texts that other YAML readers would convert are quoted.

    Args:
        heads: comments above shots, by their numbers.
        top: comment above everything, of any number of lines.
    """
    text = yaml.dump(_story(story), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=_ONE_LINE)
    lines = [f"# {printable(line, len(line))}" for line in top.splitlines()]
    in_scenes, number = False, 0
    for line in text.splitlines():
        in_scenes = in_scenes or line == "scenes:"
        if in_scenes and line.startswith("  - "):
            number += 1
            if heads and number in heads:
                lines.append(f"  # {printable(heads[number], len(heads[number]))}")
        lines.append(line)
    return "\n".join(lines) + "\n"


def _story(story: Story) -> dict[str, Any]:
    given = _set(story, ("title", "language", "style", "seed"))
    given |= {"continue": story.continues} if story.continues else {}
    given |= _set(story, ("music",))
    given |= {"cast": [_named(one, "photographs") for one in story.cast]} if story.cast else {}
    given |= {"places": [_named(one, "pictures") for one in story.places]} if story.places else {}
    given |= {"props": [_named(one, "pictures") for one in story.props]} if story.props else {}
    return given | {"scenes": [_scene(scene) for scene in story.scenes]}


def _scene(scene: Scene) -> dict[str, Any]:
    return _set(scene, ("title", "place", "mood")) | {"shots": [_shot(shot) for shot in scene.shots]}


def _shot(shot: Shot) -> dict[str, Any]:
    given: dict[str, Any] = {"cut": False} if not shot.cut else {}
    given |= {"characters": _Row(shot.characters)} if shot.characters else {}
    given |= {"props": _Row(shot.props)} if shot.props else {}
    given |= _set(shot, ("size",))
    match shot.plots:
        case (plot,):
            given["plot"] = plot
        case (_, *_):
            given["plots"] = list(shot.plots)
    given |= _set(shot, ("seconds", "seed", "temperature", "guidance"))
    return given | _lines(shot.lines)


def _lines(lines: tuple[Line, ...]) -> dict[str, Any]:
    if not lines:
        return {}
    if all(line.speaker for line in lines):
        return {"dialogue": [{line.speaker: line.text} for line in lines]}
    if not any(line.speaker for line in lines):
        return {"narration": [line.text for line in lines] if len(lines) > 1 else lines[0].text}
    return {"lines": [_set(line, ("speaker", "text")) for line in lines]}


def _named(one: Named, pictures: str) -> dict[str, Any]:
    return _set(one, ("name", "description")) | ({pictures: _Row(one.pictures)} if one.pictures else {})


def _set(given: Any, names: tuple[str, ...]) -> dict[str, Any]:
    """Those of some fields that differ from their defaults."""
    fields = type(given).model_fields
    return {name: value for name in names if (value := getattr(given, name)) != fields[name].default}
