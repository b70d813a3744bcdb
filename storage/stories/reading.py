"""A story file (YAML, JSON, or Markdown with YAML on top) as a Story; docs/stories.md describes the format.

A file may write less than the types of storage.stories.story have: a name alone for somebody, a sentence alone for a
shot, `plot`, `dialogue` and `narration`. All of a file's faults are told together, each with its line and its cure.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from storage.errors import ConfigError
from storage.printable import printable
from storage.stories import imports, markdown, nodes
from storage.stories.files import beside, inside, nearest
from storage.stories.nodes import Fields, Items, Node, Text
from storage.stories.story import Line, Named, Scene, Shot, Story
from storage.stories.text import MOST_BYTES, decoded, normal

ENDINGS = (".yaml", ".yml", ".md", ".markdown", ".json")
"""Of story files."""

LONGEST = 10_000
"""Characters of a text in a story."""

LONGEST_NAME = 200
"""Characters of a name or a title."""

MOST_NAMED = 10_000
"""Members of the cast; places; props."""

LONGEST_SHOT = 3600
"""Seconds."""

_MOST_FAULTS = 20  # that are told of one file
_NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
_WHOLE = re.compile(r"\+?\d{1,18}")
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")
_KINDS = {"cast": "member of the cast", "places": "place", "props": "prop"}
_PICTURES = ("pictures", "picture", "photographs", "photograph")
_Readers = Mapping[tuple[str, ...], Callable[[Node], Any]]  # by the spellings of a field
M = TypeVar("M", bound=BaseModel)


def read(path: Path) -> Story:
    """The story of a file, whose pictures and music are beside it.

    Raises:
        ConfigError: naming the file and the lines of all faults, with their cures.
    """
    shown = printable(str(path))
    try:
        if not path.is_file():
            raise ConfigError(f"there is no file {shown!r}: a story is a file ending with {', '.join(ENDINGS)}")
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ConfigError(f"{shown} has {size:,} bytes: a story has at most {MOST_BYTES:,}, split it")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{shown!r} can't be read: {error.strerror}") from None
    return parse(data, str(path), path.parent)


def parse(data: bytes, name: str, folder: Path | None = None) -> Story:
    """The story in the bytes of a file; raises ConfigError as `read` does.

    Args:
        name: of the file: its ending says what it is, errors quote it.
        folder: where its pictures and its music must be; without it they are not looked for.
    """
    shown, ending = printable(name), Path(name).suffix.lower()
    if ending not in ENDINGS:
        cure = "`moviedreamer write` makes a story of a synopsis" if ending == ".txt" else "save it as YAML"
        raise ConfigError(f"{shown!r} doesn't end with {', '.join(ENDINGS)}: {cure}")
    text = decoded(data, name)
    if ending == ".json":
        tree = nodes.of_json(text, name)
    elif ending in (".md", ".markdown"):
        tree = markdown.tree(text, name)
    else:
        tree = nodes.of_yaml(text, name)
    tree = imports.converted(tree, name, folder)
    reader = _Reader(folder)
    story = reader.story(tree)
    if reader.faults:
        told = [f"{shown}, line {line}: {said}" for line, said in sorted(reader.faults)]
        if reader.more:
            told.append("and more")
        raise ConfigError("\n".join(told))
    assert story is not None
    return story


class _Reader:
    """Makes a Story of a tree, and collects (line, fault)."""

    def __init__(self, folder: Path | None) -> None:
        self.faults: list[tuple[int, str]] = []
        self.more = False
        self._folder = folder
        self._references: list[tuple[str, Text]] = []
        self._checked: dict[str, str] = {}  # file name -> what is wrong with it

    def story(self, node: Node) -> Story | None:
        cast, places, props = (self._all_named(kind) for kind in _KINDS)
        given, at = self._fields(
            node,
            "a story",
            {
                ("title",): self._name,
                ("language",): self._language,
                ("style",): self._text,
                ("seed",): self._whole,
                ("continues", "continue"): self._text,
                ("music",): self._file,
                ("cast",): cast,
                ("places",): places,
                ("props",): props,
                ("scenes",): self._scenes,
            },
        )
        known = {kind: dict.fromkeys(one.name for one in given.get(kind, ())) for kind in _KINDS}
        for kind, text in self._references:
            if normal(text.text) not in known[kind] and not self.more:
                self._unknown(kind, text, list(known[kind]))
        if "scenes" in at and not self._items(at["scenes"]):
            self._fault(at["scenes"], "it has no scenes: add at least one with a shot")
        first = given["scenes"][0].shots[0] if given.get("scenes") else None
        if first and not first.cut and not given.get("continues"):
            self._fault(at["scenes"], "the first shot has `cut: false` and nothing to go on from: remove that")
        return self._made(Story, node, given, at)

    def _unknown(self, kind: str, text: Text, known: list[str]) -> None:
        what, name = _KINDS[kind], normal(text.text)
        parts = [normal(part) for part in re.split(",|;| and ", name)]
        if len(parts) > 1 and all(part in known for part in parts):
            self._fault(text, f"no {what} is called {printable(name)!r}: write a list, [{', '.join(parts)}]")
        elif not known:
            self._fault(text, f"no {what} is called {printable(name)!r}: add {kind}, with this name")
        else:
            self._fault(text, f"no {what} is called {printable(name)!r}{nearest(name, known)}")

    def _all_named(self, kind: str) -> Callable[[Node], tuple[Named, ...]]:
        def read_all(node: Node) -> tuple[Named, ...]:
            found: list[Named] = []
            lines: dict[str, int] = {}
            nodes = self._named_nodes(node, _KINDS[kind])
            if len(nodes) > MOST_NAMED:
                self._fault(node, f"{len(nodes):,} of {kind} are more than {MOST_NAMED:,}: split the story")
            for line, one in nodes[:MOST_NAMED]:
                if one is None:
                    continue
                if one.name in lines:
                    said = f"{printable(one.name)!r} is there already in line {lines[one.name]}: give another name"
                    self._fault(Text(line, one.name), said)
                lines.setdefault(one.name, line)
                found.append(one)
            return tuple(found)

        return read_all

    def _named_nodes(self, node: Node, what: str) -> list[tuple[int, Named | None]]:
        """(line, somebody) for a list of names and mappings, or a mapping from names."""
        own = {"name", "description", *_PICTURES}
        found: list[tuple[int, Named | None]] = []
        for item in [node] if isinstance(node, Fields) else self._items(node):
            keys = {key.text for key, _ in item.pairs} if isinstance(item, Fields) else set()
            if isinstance(item, Fields) and (item is node or (len(keys) == 1 and not keys & own)):
                found += [(key.line, self._named(value, what, key)) for key, value in item.pairs]
            elif isinstance(item, Text):
                found.append((item.line, self._named(Text(item.line, ""), what, item)))
            else:
                found.append((item.line, self._named(item, what, None)))
        return found

    def _named(self, node: Node, what: str, name: Text | None) -> Named | None:
        """Somebody by a description or by fields, called `name` where the fields don't say it."""
        if isinstance(node, Text):
            given, at = {"description": self._text(node)}, dict[str, Node]({"description": node})
        else:
            readers: _Readers = {("name",): self._name, ("description",): self._text, _PICTURES: self._files}
            given, at = self._fields(node, f"a {what}", readers)
        if name is not None:
            if "name" in given:
                self._fault(at["name"], f"it is called {printable(name.text)!r} already: remove this name")
            given, at = {**given, "name": self._name(name)}, {**at, "name": name}
        return self._made(Named, node, given, at)

    def _scenes(self, node: Node) -> tuple[Scene, ...]:
        readers: _Readers = {
            ("title",): self._name,
            ("place",): self._reference("places"),
            ("mood",): self._text,
            ("shots",): self._shots,
        }
        made = []
        for item in self._items(node):
            given, at = self._fields(item, "a scene", readers)
            if "shots" in at and not self._items(at["shots"]):
                self._fault(at["shots"], "this scene has no shots: add at least one")
            if scene := self._made(Scene, item, given, at):
                made.append(scene)
        return tuple(made)

    def _shots(self, node: Node) -> tuple[Shot, ...]:
        readers: _Readers = {
            ("characters", "character"): self._references_to("cast"),
            ("props", "prop"): self._references_to("props"),
            ("size",): self._text,
            ("plots", "plot"): self._plots,
            ("seconds",): self._seconds,
            ("lines",): self._lines,
            ("dialogue",): self._dialogue,
            ("narration",): self._narration,
            ("cut",): self._yes_or_no,
            ("seed",): self._whole,
            ("temperature",): self._number,
            ("guidance",): self._number,
        }
        made = []
        for item in self._items(node):
            if isinstance(item, Text):
                given, at = {"plots": self._plots(item)}, dict[str, Node]({"plots": item})
            else:
                given, at = self._fields(item, "a shot", readers)
                heard = [key for key in at if key in ("lines", "dialogue", "narration")]  # as they follow each other
                given["lines"] = tuple(line for key in heard for line in given.pop(key))
            if not any(value not in ("", ()) for value in given.values()):
                self._fault(item, "this shot is empty: say what happens, as `plot: Ada opens the door.`")
            elif shot := self._made(Shot, item, given, at):
                made.append(shot)
        return tuple(made)

    def _plots(self, node: Node) -> tuple[str, ...]:
        if isinstance(node, Text):  # a block of several lines is as many plots
            given: Sequence[Node] = [Text(node.line, line) for line in node.text.split("\n") if line.strip()]
        else:
            given = self._items(node)
        return tuple(text for one in given if (text := self._said(one, "a plot")))

    def _lines(self, node: Node) -> tuple[Line, ...]:
        """Lines in any form: {speaker, text}, {Ada: text}, or narration as text alone."""
        found: list[Line] = []
        for item in [node] if isinstance(node, Fields) else self._items(node):
            if not isinstance(item, Fields):
                found += self._narration(item)
            elif any(key.text == "text" for key, _ in item.pairs):
                given, at = self._fields(item, "a line", {("speaker",): self._speaker, ("text",): self._text})
                if line := self._made(Line, item, given, at):
                    found.append(line)
            else:
                found += self._dialogue(item)
        return tuple(found)

    def _dialogue(self, node: Node) -> tuple[Line, ...]:
        found: list[Line] = []
        for item in [node] if isinstance(node, Fields) else self._items(node):
            if not isinstance(item, Fields):
                self._fault(item, "nobody is said to speak this: write `Ada: Good evening.`, or `narration`")
                continue
            for speaker, said in item.pairs:
                name = self._speaker(speaker)
                texts = [self._said(one, f"what {printable(name)} says") for one in self._items(said)]
                found += [Line(speaker=name, text=text) for text in texts if text]
        return tuple(found)

    def _narration(self, node: Node) -> tuple[Line, ...]:
        texts = [self._said(one, "a narration") for one in self._items(node)]
        return tuple(Line(text=text) for text in texts if text)

    def _said(self, node: Node, what: str) -> str:
        if isinstance(node, Fields):
            cure = "put quotes around a text with a colon"
            self._fault(node, f"{what} is a text, and {_shown(node)} is a mapping: {cure}")
            return ""
        text = self._text(node)
        if not text and isinstance(node, Text):
            self._fault(node, f"{what} is empty: write it or remove it")
        return text

    def _speaker(self, node: Node) -> str:
        return self._reference("cast")(node)

    def _reference(self, kind: str) -> Callable[[Node], str]:
        def reference(node: Node) -> str:
            name = self._text(node)
            if isinstance(node, Text) and name:
                self._references.append((kind, node))
            return name

        return reference

    def _references_to(self, kind: str) -> Callable[[Node], tuple[str, ...]]:
        def references(node: Node) -> tuple[str, ...]:
            reference = self._reference(kind)
            return tuple(dict.fromkeys(name for one in self._items(node) if (name := reference(one))))

        return references

    def _files(self, node: Node) -> tuple[str, ...]:
        return tuple(name for one in self._items(node) if (name := self._file(one)))

    def _file(self, node: Node) -> str:
        name = self._text(node)
        if name and name not in self._checked:
            self._checked[name] = inside(name)
            if self._folder and not self._checked[name]:
                try:
                    beside(self._folder, name)
                except ConfigError as error:
                    self._checked[name] = str(error)
        if self._checked.get(name):
            self._fault(node, self._checked[name])
        return name

    def _name(self, node: Node) -> str:
        name = self._text(node)
        if len(name) > LONGEST_NAME:
            self._fault(node, f"{printable(name, 40)!r} has {len(name)} characters: at most {LONGEST_NAME}")
        return name

    def _text(self, node: Node) -> str:
        if not isinstance(node, Text):
            self._fault(node, f"{_shown(node)} stands where one text is expected: put quotes around a text")
            return ""
        text = normal(node.text)
        if len(text) > LONGEST:
            self._fault(node, f"{printable(text, 40)!r} has {len(text):,} characters: at most {LONGEST:,}, split it")
        return text

    def _language(self, node: Node) -> str | None:
        return self._matching(node, re.compile("[a-z]{2,3}"), "an ISO 639 code such as en, de or zh")

    def _seconds(self, node: Node) -> str | None:
        text = self._number(node)
        if text and float(text) > LONGEST_SHOT:
            self._fault(node, f"a shot of {text} seconds is too long: at most {LONGEST_SHOT}")
        return text

    def _number(self, node: Node) -> str | None:
        return self._matching(node, _NUMBER, "a number such as 2.5")

    def _whole(self, node: Node) -> str | None:
        return self._matching(node, _WHOLE, "a whole number from 0, of at most 18 digits")

    def _matching(self, node: Node, pattern: re.Pattern[str], what: str) -> str | None:
        text = self._text(node)
        if pattern.fullmatch(text) and text.isascii():
            return text
        if isinstance(node, Text):
            self._fault(node, f"found {printable(text, 60)!r}, expected {what}")
        return None

    def _yes_or_no(self, node: Node) -> bool:
        text = self._text(node).lower()
        if text not in _YES + _NO and isinstance(node, Text):
            self._fault(node, f"found {printable(text, 60)!r}, expected true or false")
        return text not in _NO

    def _items(self, node: Node) -> Sequence[Node]:
        """The items of a list; one text is a list of one, nothing is a list of none."""
        match node:
            case Items(items=items):
                return items
            case Text(text=""):
                return ()
            case Text():
                return (node,)
            case Fields():
                return (node,)

    def _fields(self, node: Node, what: str, readers: "_Readers") -> tuple[dict[str, Any], dict[str, Node]]:
        """(values, their nodes) by the first of each field's spellings."""
        given: dict[str, Any] = {}
        at: dict[str, Node] = {}
        if not isinstance(node, Fields):
            self._fault(node, f"{_shown(node)} stands where {what} is expected, with fields such as `title: ...`")
            return given, at
        by_key = {key: (keys[0], reader) for keys, reader in readers.items() for key in keys}
        for key, value in node.pairs:
            if key.text not in by_key:
                if self.more:
                    continue
                near = nearest(key.text, list(by_key))
                self._fault(key, f"found {printable(key.text, 60)!r}, which {what} doesn't have{near}")
                continue
            field, reader = by_key[key.text]
            if field in given:
                self._fault(key, f"{printable(key.text)!r} says the same as what stands above it: keep one")
                continue
            at[field], given[field] = value, reader(value)
        return {field: value for field, value in given.items() if value is not None}, at

    def _made(self, model: type[M], node: Node, given: Mapping[str, Any], at: Mapping[str, Node]) -> M | None:
        """The model, or None with a fault for each value that it refuses."""
        try:
            return model(**given)
        except ValidationError as error:
            for one in error.errors():
                field = str(one["loc"][0])
                if one["type"] == "missing" and field not in at:
                    self._fault(node, f"`{field}` is missing here: add it")
                elif one["type"] not in ("missing", "too_short") or not self.faults:
                    said = f"{one['msg'][:1].lower()}{one['msg'][1:]}, got {printable(str(one['input']), 60)!r}"
                    self._fault(at.get(field, node), f"{field}: {said}")
            return None

    def _fault(self, node: Node, said: str) -> None:
        if len(self.faults) < _MOST_FAULTS:
            self.faults.append((node.line, said))
        else:
            self.more = True


def _shown(node: Node) -> str:
    """The beginning of a part of the file, as a user knows it."""
    match node:
        case Text(text=text):
            return repr(printable(text, 40))
        case Items(items=items):
            return f"a list of {len(items)}"
        case Fields(pairs=pairs):
            return repr(printable(f"{pairs[0][0].text}: ...", 40)) if pairs else "an empty mapping"
