"""A story file as a tree of texts with their line numbers.

All scalars are the text that is written: a name No, a title 1984 and a time 12:30 stay what they are, because the tree
is built from the parser's events and YAML's schemas are never asked. Tags, anchors and aliases are refused. JSON goes
the same way, after json has checked its syntax, since YAML reads what JSON writes.
"""

import json
import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from storage.errors import ConfigError
from storage.printable import printable
from storage.stories.text import fault, normal, require_readable

DEEPEST = 16
"""Levels of lists and mappings inside each other."""

MOST_VALUES = 1_000_000
"""Texts, lists and mappings of a file."""

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # only its parser is used
_INDENT = re.compile(r"^[ \t]*(?:-[ \t]+)*", re.M)
_TAB, _SPACE = re.compile(r"^\t", re.M), re.compile(r"^ +\S", re.M)
_QUOTE = "to keep it as text put quotes around the whole text"
_JSON_STRING_OR_TAB = re.compile(r'"(?:\\.|[^"\\])*"|\t')


@dataclass(frozen=True)
class Text:
    """A scalar; `null` is set for JSON's null."""

    line: int
    text: str
    null: bool = False


@dataclass(frozen=True)
class Items:
    """A list."""

    line: int
    items: "tuple[Node, ...]"


@dataclass(frozen=True)
class Fields:
    """A mapping; no two keys are equal in NFC."""

    line: int
    pairs: "tuple[tuple[Text, Node], ...]"


Node = Text | Items | Fields
"""Any part of a story file."""


def fields(line: int, pairs: Iterable[tuple[str, Node]]) -> Fields:
    """A mapping that is in no file, with this line number."""
    return Fields(line, tuple((Text(line, key), value) for key, value in pairs))


def texts(line: int, given: Iterable[str]) -> Items:
    """A list of texts with this line number."""
    return Items(line, tuple(Text(line, text) for text in given))


def items(node: Node | None) -> tuple[Node, ...]:
    """The items of a list; any other node is a list of one, None an empty one."""
    if node is None:
        return ()
    return node.items if isinstance(node, Items) else (node,)


def text_of(node: Node | None) -> str:
    """The text of a scalar, normalised; "" for anything else."""
    return normal(node.text) if isinstance(node, Text) else ""


def of_yaml(text: str, name: str) -> Node:
    """The tree of a YAML text.

    Args:
        name: of the file, for errors.

    Raises:
        ConfigError: syntax, two documents, tags, anchors, aliases, repeated keys, lists that are nested too deeply.
    """
    if (tab := _TAB.search(text)) and (space := _SPACE.search(text)):
        lines = [text.count("\n", 0, found.start()) + 1 for found in (tab, space)]
        said = f"it begins with a tab, and line {lines[1]} with spaces: indent all lines with spaces"
        raise fault(name, lines[0], said)
    return _tree(_INDENT.sub(lambda found: found[0].expandtabs(4), text), name, plain_null=False)


def of_json(text: str, name: str) -> Node:
    """The tree of a JSON text; raises ConfigError as `of_yaml` does."""
    try:
        json.loads(text, parse_int=str, parse_float=str)
    except json.JSONDecodeError as error:
        raise fault(name, error.lineno, f"this is not JSON: {error.msg}, column {error.colno}") from None
    except RecursionError:
        raise ConfigError(f"{printable(name)}: brackets are nested deeper than {DEEPEST} levels") from None
    same = _JSON_STRING_OR_TAB.sub(lambda found: " " if found[0] == "\t" else _yaml_string(found[0]), text)
    require_readable(same, name, 1)
    return _tree(same, name, plain_null=True)


def _yaml_string(text: str) -> str:
    """The same string without escaped pairs of surrogates, which YAML doesn't know."""
    return json.dumps(json.loads(text), ensure_ascii=False)


def _tree(text: str, name: str, plain_null: bool) -> Node:
    lines = text.split("\n")
    done: list[list[Node]] = [[]]  # of each open list or mapping
    opened: list[int] = []  # lines
    for number, event in enumerate(_events(text, name)):
        line = event.start_mark.line + 1
        if number > MOST_VALUES:
            raise fault(name, line, f"the file has more than {MOST_VALUES:,} values: split the story")
        match event:
            case yaml.AliasEvent():
                raise fault(name, line, f"*{event.anchor} is an alias, which stories don't have: {_QUOTE}")
            case yaml.NodeEvent() if event.anchor:
                raise fault(name, line, f"&{event.anchor} is an anchor, which stories don't have: {_QUOTE}")
            case yaml.ScalarEvent() | yaml.CollectionStartEvent() if event.tag:
                raise fault(name, line, f"{event.tag!r} is a tag, which stories don't have: {_QUOTE}")
        match event:
            case yaml.DocumentStartEvent() if done[0]:
                raise fault(name, line, "a second document begins: a file holds one story")
            case yaml.ScalarEvent():
                require_readable(event.value, name, line)
                plain = not event.style
                if plain:
                    _require_whole(lines, event, name)
                value = unicodedata.normalize("NFC", event.value)
                done[-1].append(Text(line, value, null=plain_null and plain and value == "null"))
            case yaml.CollectionStartEvent():
                opened.append(line)
                done.append([])
                if len(opened) > DEEPEST:
                    raise fault(name, line, f"lists and mappings are nested deeper than {DEEPEST} levels")
            case yaml.SequenceEndEvent():
                given = done.pop()
                done[-1].append(Items(opened.pop(), tuple(one for one in given if not _is_null(one))))
            case yaml.MappingEndEvent():
                done[-2].append(Fields(opened.pop(), _pairs(done.pop(), name)))
    if not done[0]:
        raise ConfigError(f"{printable(name)} is empty: a story has at least a title and scenes")
    return done[0][0]


def _events(text: str, name: str) -> Iterator[yaml.Event]:
    try:
        yield from yaml.parse(text, Loader=_LOADER)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line if mark else 0
        found = text.split("\n")[line : line + 1]
        said = f"YAML can't read {printable(found[0].strip(), 60)!r}" if found else "YAML can't read its end"
        cure = "put quotes around a text with ': ' or ' #' or that begins with a quote, a bracket, *, & or @"
        raise fault(name, line + 1, f"{said} ({error.problem}): {cure}, and indent a list evenly") from None
    except yaml.reader.ReaderError as error:
        raise ConfigError(f"{printable(name)}: {error.reason} at position {error.position}") from None


def _require_whole(lines: list[str], event: yaml.ScalarEvent, name: str) -> None:
    """Raises ConfigError for text that is cut at a # that was probably not meant as a comment."""
    end = event.end_mark
    rest = lines[end.line][end.column : end.column + 100] if end.line < len(lines) else ""
    if re.match(r"\s+#[^\s#]", rest):
        said = f"{printable(event.value, 60)!r} ends before {printable(rest.strip(), 30)!r}, a comment for YAML"
        raise fault(name, end.line + 1, f"{said}: put quotes around the whole text, or a space behind #")


def _pairs(nodes: list[Node], name: str) -> tuple[tuple[Text, Node], ...]:
    first: dict[str, int] = {}  # key -> line
    pairs = []
    for key, value in zip(nodes[::2], nodes[1::2], strict=True):
        if not isinstance(key, Text):
            raise fault(name, key.line, "a key is a list or a mapping: it must be a word")
        if key.text in first:
            said = f"{printable(key.text)!r} already appears in line {first[key.text]}: join the two"
            raise fault(name, key.line, said)
        first[key.text] = key.line
        if not _is_null(value):
            pairs.append((key, value))
    return tuple(pairs)


def _is_null(node: Node) -> bool:
    """JSON's null, which counts as absent."""
    return isinstance(node, Text) and node.null
