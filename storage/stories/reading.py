"""A story file (YAML, JSON, or Markdown with YAML on top) as a Story; docs/stories.md describes the format.

Files may use shorter forms than the types of storage.stories.story: a name alone for somebody, a sentence alone for a
shot, `plot`, `dialogue` and `narration`. All errors of a file are reported together, each with its line and its cure.
"""

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from storage.errors import ConfigError
from storage.printable import printable
from storage.stories import imports, markdown, nodes
from storage.stories.files import nearest
from storage.stories.nodes import Fields, Node, Text
from storage.stories.story import Line, Named, Scene, Shot, Story
from storage.stories.text import MOST_BYTES, decoded, normal
from storage.stories.values import Readers, Values

ENDINGS = (".yaml", ".yml", ".md", ".markdown", ".json")
"""Of story files."""

MOST_NAMED = 10_000
"""Members of the cast; places; props."""

LONGEST_SHOT = 3600
"""Seconds."""

_KINDS = {"cast": "member of the cast", "places": "place", "props": "prop"}
_PICTURES = ("pictures", "picture", "photographs", "photograph")


def read(path: Path) -> Story:
    """Reads a story file; its pictures and music are in its folder.

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


def stories(folder: Path) -> tuple[dict[str, tuple[Story, Path]], dict[str, str]]:
    """Name -> the story and its file, and name -> why a file is no story, such as a README.

    The name is that of the file, or of its folder where the file is `story.*`.

    Raises:
        ConfigError: for a folder without stories, or two stories of one name.
    """
    found: dict[str, tuple[Story, Path]] = {}
    faults: dict[str, str] = {}
    for path in sorted(path for path in folder.rglob("*") if path.suffix.lower() in ENDINGS):
        name = path.parent.name if path.stem == "story" else path.stem
        try:
            story = read(path)
        except ConfigError as error:
            faults[name] = str(error)
            continue
        if name in found:
            raise ConfigError(f"{str(path)!r} and {str(found[name][1])!r} are both the story {name!r}: rename one")
        found[name] = story, path
    if not found:
        said = f": {next(iter(faults.values()))}" if faults else ""
        raise ConfigError(f"{printable(str(folder))!r} holds no story file{said}")
    return found, faults


def parse(data: bytes, name: str, folder: Path | None = None) -> Story:
    """Reads a story from the bytes of a file; raises ConfigError as `read` does.

    Args:
        name: of the file; its ending gives the format, errors quote it.
        folder: where its pictures and music must be; None: they are not checked.
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


class _Reader(Values):
    """Turns a tree into a Story."""

    def __init__(self, folder: Path | None) -> None:
        super().__init__(folder)
        self._references: list[tuple[str, Text]] = []

    def story(self, node: Node) -> Story | None:
        cast, places, props = (self._all_named(kind) for kind in _KINDS)
        given, at = self.fields(
            node,
            "a story",
            {
                ("title",): self.name,
                ("language",): self._language,
                ("style",): self.text,
                ("seed",): self.whole,
                ("continues", "continue"): self.text,
                ("music",): self.file,
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
        if "scenes" in at and not self.items(at["scenes"]):
            self.fault(at["scenes"], "it has no scenes: add at least one with a shot")
        first = given["scenes"][0].shots[0] if given.get("scenes") else None
        if first and not first.cut and not given.get("continues"):
            self.fault(at["scenes"], "the first shot has `cut: false` and nothing to go on from: remove that")
        return self.made(Story, node, given, at)

    def _unknown(self, kind: str, text: Text, known: list[str]) -> None:
        what, name = _KINDS[kind], normal(text.text)
        parts = [normal(part) for part in re.split(",|;| and ", name)]
        if len(parts) > 1 and all(part in known for part in parts):
            self.fault(text, f"no {what} is called {printable(name)!r}: write a list, [{', '.join(parts)}]")
        elif not known:
            self.fault(text, f"no {what} is called {printable(name)!r}: add {kind}, with this name")
        else:
            self.fault(text, f"no {what} is called {printable(name)!r}{nearest(name, known)}")

    def _all_named(self, kind: str) -> Callable[[Node], tuple[Named, ...]]:
        def read_all(node: Node) -> tuple[Named, ...]:
            found: list[Named] = []
            lines: dict[str, int] = {}
            nodes = self._named_nodes(node, _KINDS[kind])
            if len(nodes) > MOST_NAMED:
                self.fault(node, f"{len(nodes):,} of {kind} are more than {MOST_NAMED:,}: split the story")
            for line, one in nodes[:MOST_NAMED]:
                if one is None:
                    continue
                if one.name in lines:
                    said = f"{printable(one.name)!r} already appears in line {lines[one.name]}: give another name"
                    self.fault(Text(line, one.name), said)
                lines.setdefault(one.name, line)
                found.append(one)
            return tuple(found)

        return read_all

    def _named_nodes(self, node: Node, what: str) -> list[tuple[int, Named | None]]:
        """(line, somebody) for a list of names and mappings, or a mapping from names."""
        own = {"name", "description", *_PICTURES}
        found: list[tuple[int, Named | None]] = []
        for item in [node] if isinstance(node, Fields) else self.items(node):
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
            given, at = {"description": self.text(node)}, dict[str, Node]({"description": node})
        else:
            readers: Readers = {("name",): self.name, ("description",): self.text, _PICTURES: self.files}
            given, at = self.fields(node, f"a {what}", readers)
        if name is not None:
            if "name" in given:
                self.fault(at["name"], f"it is called {printable(name.text)!r} already: remove this name")
            given, at = {**given, "name": self.name(name)}, {**at, "name": name}
        return self.made(Named, node, given, at)

    def _scenes(self, node: Node) -> tuple[Scene, ...]:
        readers: Readers = {
            ("title",): self.name,
            ("place",): self._reference("places"),
            ("mood",): self.text,
            ("shots",): self._shots,
        }
        made = []
        for item in self.items(node):
            given, at = self.fields(item, "a scene", readers)
            if "shots" in at and not self.items(at["shots"]):
                self.fault(at["shots"], "this scene has no shots: add at least one")
            if scene := self.made(Scene, item, given, at):
                made.append(scene)
        return tuple(made)

    def _shots(self, node: Node) -> tuple[Shot, ...]:
        readers: Readers = {
            ("characters", "character"): self._references_to("cast"),
            ("props", "prop"): self._references_to("props"),
            ("size",): self.text,
            ("plots", "plot"): self._plots,
            ("seconds",): self._seconds,
            ("lines",): self._lines,
            ("dialogue",): self._dialogue,
            ("narration",): self._narration,
            ("cut",): self.yes_or_no,
            ("seed",): self.whole,
            ("temperature",): self.number,
            ("guidance",): self.number,
        }
        made = []
        for item in self.items(node):
            if isinstance(item, Text):
                given, at = {"plots": self._plots(item)}, dict[str, Node]({"plots": item})
            else:
                given, at = self.fields(item, "a shot", readers)
                heard = [key for key in at if key in ("lines", "dialogue", "narration")]  # as they follow each other
                given["lines"] = tuple(line for key in heard for line in given.pop(key))
            if not any(value not in ("", ()) for value in given.values()):
                self.fault(item, "this shot is empty: say what happens, as `plot: Ada opens the door.`")
            elif shot := self.made(Shot, item, given, at):
                made.append(shot)
        return tuple(made)

    def _plots(self, node: Node) -> tuple[str, ...]:
        if isinstance(node, Text):  # a block of several lines is as many plots
            given: Sequence[Node] = [Text(node.line, line) for line in node.text.split("\n") if line.strip()]
        else:
            given = self.items(node)
        return tuple(text for one in given if (text := self.said(one, "a plot")))

    def _lines(self, node: Node) -> tuple[Line, ...]:
        """Lines in any form: {speaker, text}, {Ada: text}, or narration as text alone."""
        found: list[Line] = []
        for item in [node] if isinstance(node, Fields) else self.items(node):
            if not isinstance(item, Fields):
                found += self._narration(item)
            elif any(key.text == "text" for key, _ in item.pairs):
                given, at = self.fields(item, "a line", {("speaker",): self._speaker, ("text",): self.text})
                if line := self.made(Line, item, given, at):
                    found.append(line)
            else:
                found += self._dialogue(item)
        return tuple(found)

    def _dialogue(self, node: Node) -> tuple[Line, ...]:
        found: list[Line] = []
        for item in [node] if isinstance(node, Fields) else self.items(node):
            if not isinstance(item, Fields):
                self.fault(item, "nobody is said to speak this: write `Ada: Good evening.`, or `narration`")
                continue
            for speaker, said in item.pairs:
                name = self._speaker(speaker)
                texts = [self.said(one, f"what {printable(name)} says") for one in self.items(said)]
                found += [Line(speaker=name, text=text) for text in texts if text]
        return tuple(found)

    def _narration(self, node: Node) -> tuple[Line, ...]:
        texts = [self.said(one, "a narration") for one in self.items(node)]
        return tuple(Line(text=text) for text in texts if text)

    def _speaker(self, node: Node) -> str:
        return self._reference("cast")(node)

    def _reference(self, kind: str) -> Callable[[Node], str]:
        def reference(node: Node) -> str:
            name = self.text(node)
            if isinstance(node, Text) and name:
                self._references.append((kind, node))
            return name

        return reference

    def _references_to(self, kind: str) -> Callable[[Node], tuple[str, ...]]:
        def references(node: Node) -> tuple[str, ...]:
            reference = self._reference(kind)
            return tuple(dict.fromkeys(name for one in self.items(node) if (name := reference(one))))

        return references

    def _language(self, node: Node) -> str | None:
        return self.matching(node, re.compile("[a-z]{2,3}"), "an ISO 639 code such as en, de or zh")

    def _seconds(self, node: Node) -> str | None:
        text = self.number(node)
        if text and float(text) > LONGEST_SHOT:
            self.fault(node, f"a shot of {text} seconds is too long: at most {LONGEST_SHOT}")
        return text
