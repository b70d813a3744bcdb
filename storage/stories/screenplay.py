"""The JSON script of one entry a keyframe ({"keyframes": [...]}, see docs/autoregressive.md) as a story file's tree.

Scene elements become a place and props. Neighbours with equal ones are a scene, those with equal characters a shot.
"""

import re
from collections.abc import Container, Iterable
from itertools import groupby
from pathlib import PurePath

from storage.stories.nodes import Fields, Items, Node, Text
from storage.stories.text import fault, normal

KEY = "keyframes"
"""The field that tells such a script from a story."""

_FACE_OF_A_FILM = re.compile(r"[^/.]+/\d+")
_LONGEST = 60  # characters of a name made of a description
_KEYFRAME = {"characters", "scene_elements", "plots"}
_CHARACTER = {"description", "face"}


def story(tree: Fields, name: str) -> Fields:
    """The story of a script; raises ConfigError for fields that no script has and for faces of films.

    Args:
        name: of the file: it gives the title, errors quote it.
    """
    entries = _items(_own(tree, {KEY}, name)[KEY])
    keyframes = [_Keyframe(number, node, name) for number, node in enumerate(entries, start=1)]
    cast = _Names({key: line for one in keyframes for key, line in one.people.items()})
    elements = _Names({key: line for one in keyframes for key, line in one.elements.items()})
    first = {key for one in keyframes for key in list(one.elements)[:1]}
    other = {key for one in keyframes for key in list(one.elements)[1:]}
    scenes = []
    for _, of_scene in groupby(keyframes, key=lambda one: list(one.elements)):
        shots: list[Node] = []
        for (people, _), of_shot in groupby(of_scene, key=lambda one: (list(one.people), one.alone)):
            same = list(of_shot)
            place, *props = [elements.of(key) for key in same[0].elements] or [""]
            at = same[0].line
            plots = _texts(at, (one.plot for one in same if one.plot))
            said: list[tuple[str, Node]] = [("characters", _texts(at, map(cast.of, people))), ("plots", plots)]
            goes_on = Text(at, "false" if shots else "true")
            shots.append(_fields(at, [*said, ("props", _texts(at, props)), ("cut", goes_on)]))
        line = shots[0].line
        scenes.append(_fields(line, [("place", Text(line, place)), ("shots", Items(line, tuple(shots)))]))
    pairs: list[tuple[str, Node]] = [("title", Text(tree.line, PurePath(name).stem))]
    pairs += [("cast", cast.nodes()), ("places", elements.nodes(first)), ("props", elements.nodes(other))]
    return _fields(tree.line, [*pairs, ("scenes", Items(tree.line, tuple(scenes)))])


class _Keyframe:
    """What one entry says; `alone` tells it from its neighbours when it has no plot that could say so."""

    def __init__(self, number: int, node: Node, name: str) -> None:
        self.line = node.line
        given = _own(node, _KEYFRAME, name)
        self.people: dict[tuple[str, str], int] = {}
        for one in _items(given.get("characters")):
            who = _own(one, _CHARACTER, name)
            face = _text(who.get("face"))
            if _FACE_OF_A_FILM.fullmatch(face):
                cure = "give a photograph, or set script.path of the flow render_movies"
                raise fault(name, one.line, f"{face!r} is a face of a film, which a story can't name: {cure}")
            self.people.setdefault((_text(who.get("description")), face), one.line)
        self.people.pop(("", ""), None)
        said = {_text(one): one.line for one in _items(given.get("scene_elements"))}
        self.elements = {(text, ""): line for text, line in said.items() if text}
        self.plot = " ".join(filter(None, map(_text, _items(given.get("plots")))))
        self.alone = 0 if self.plot else number


class _Names:
    """A name for each (description, picture), made of the description: no two are equal."""

    def __init__(self, lines: dict[tuple[str, str], int]) -> None:
        self._lines = lines
        self._names: dict[tuple[str, str], str] = {}
        said: dict[str, int] = {}  # how often so far
        for text, picture in lines:
            base = (text or PurePath(picture).stem).rstrip(".")[:_LONGEST].strip() or "Somebody"
            said[base] = said.get(base, 0) + 1
            self._names[text, picture] = base if said[base] == 1 else f"{base} ({said[base]})"

    def of(self, key: tuple[str, str]) -> str:
        return self._names[key]

    def nodes(self, keys: Container[tuple[str, str]] | None = None) -> Items:
        """All, or those with some keys, as `cast` or `places` of a story file."""
        return Items(1, tuple(self._node(key) for key in self._lines if keys is None or key in keys))

    def _node(self, key: tuple[str, str]) -> Fields:
        (text, picture), line = key, self._lines[key]
        pairs: list[tuple[str, Node]] = [("name", Text(line, self.of(key))), ("description", Text(line, text))]
        return _fields(line, [*pairs, ("pictures", _texts(line, [picture] if picture else []))])


def _own(node: Node | None, known: set[str], name: str) -> dict[str, Node]:
    if not isinstance(node, Fields):
        raise fault(name, node.line if node else 1, f"expected fields {', '.join(sorted(known))}")
    for key, _ in node.pairs:
        if key.text not in known:
            raise fault(name, key.line, f"found {key.text!r}, expected {', '.join(sorted(known))}")
    return {key.text: value for key, value in node.pairs}


def _items(node: Node | None) -> Iterable[Node]:
    if node is None:
        return ()
    return node.items if isinstance(node, Items) else (node,)


def _text(node: Node | None) -> str:
    return normal(node.text) if isinstance(node, Text) else ""


def _texts(line: int, texts: Iterable[str]) -> Items:
    return Items(line, tuple(Text(line, text) for text in texts))


def _fields(line: int, pairs: Iterable[tuple[str, Node]]) -> Fields:
    return Fields(line, tuple((Text(line, key), value) for key, value in pairs))
