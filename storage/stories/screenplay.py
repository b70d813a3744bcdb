"""Converts a JSON script with one entry per keyframe ({"keyframes": [...]}, docs/autoregressive.md) to a story's tree.

Scene elements become a place and props. Consecutive entries with equal elements make a scene, with equal characters a
shot.
"""

import re
from itertools import groupby
from pathlib import PurePath

from storage.stories.names import Names
from storage.stories.nodes import Fields, Items, Node, Text, fields, items, text_of, texts
from storage.stories.text import fault

KEY = "keyframes"
"""The field that tells such a script from a story."""

_FACE_OF_A_FILM = re.compile(r"[^/.]+/\d+")
_KEYFRAME = {"characters", "scene_elements", "plots"}
_CHARACTER = {"description", "face"}


def story(tree: Fields, name: str) -> Fields:
    """The story of a script; raises ConfigError for fields that no script has and for faces of films.

    Args:
        name: of the file; the title is taken from it, errors quote it.
    """
    entries = items(_own(tree, {KEY}, name)[KEY])
    keyframes = [_Keyframe(number, node, name) for number, node in enumerate(entries, start=1)]
    cast = Names({key: line for one in keyframes for key, line in one.people.items()})
    elements = Names({key: line for one in keyframes for key, line in one.elements.items()})
    first = {key for one in keyframes for key in list(one.elements)[:1]}
    other = {key for one in keyframes for key in list(one.elements)[1:]}
    scenes = []
    for _, of_scene in groupby(keyframes, key=lambda one: list(one.elements)):
        shots: list[Node] = []
        for (people, _), of_shot in groupby(of_scene, key=lambda one: (list(one.people), one.alone)):
            same = list(of_shot)
            place, *props = [elements.of(key) for key in same[0].elements] or [""]
            at = same[0].line
            plots = texts(at, (one.plot for one in same if one.plot))
            said: list[tuple[str, Node]] = [("characters", texts(at, map(cast.of, people))), ("plots", plots)]
            goes_on = Text(at, "false" if shots else "true")
            shots.append(fields(at, [*said, ("props", texts(at, props)), ("cut", goes_on)]))
        line = shots[0].line
        scenes.append(fields(line, [("place", Text(line, place)), ("shots", Items(line, tuple(shots)))]))
    pairs: list[tuple[str, Node]] = [("title", Text(tree.line, PurePath(name).stem))]
    pairs += [("cast", cast.nodes()), ("places", elements.nodes(first)), ("props", elements.nodes(other))]
    return fields(tree.line, [*pairs, ("scenes", Items(tree.line, tuple(scenes)))])


class _Keyframe:
    """One entry; `alone` separates it from its neighbours if it has no plot."""

    def __init__(self, number: int, node: Node, name: str) -> None:
        self.line = node.line
        given = _own(node, _KEYFRAME, name)
        self.people: dict[tuple[str, str], int] = {}
        for one in items(given.get("characters")):
            who = _own(one, _CHARACTER, name)
            face = text_of(who.get("face"))
            if _FACE_OF_A_FILM.fullmatch(face):
                cure = "give a photograph, or set script.path of the flow render_movies"
                raise fault(name, one.line, f"{face!r} is a face of a film, which a story can't name: {cure}")
            self.people.setdefault((text_of(who.get("description")), face), one.line)
        self.people.pop(("", ""), None)
        said = {text_of(one): one.line for one in items(given.get("scene_elements"))}
        self.elements = {(text, ""): line for text, line in said.items() if text}
        self.plot = " ".join(filter(None, map(text_of, items(given.get("plots")))))
        self.alone = 0 if self.plot else number


def _own(node: Node | None, known: set[str], name: str) -> dict[str, Node]:
    if not isinstance(node, Fields):
        raise fault(name, node.line if node else 1, f"expected fields {', '.join(sorted(known))}")
    for key, _ in node.pairs:
        if key.text not in known:
            raise fault(name, key.line, f"found {key.text!r}, expected {', '.join(sorted(known))}")
    return {key.text: value for key, value in node.pairs}
