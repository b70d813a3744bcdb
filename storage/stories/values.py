"""Reads texts, numbers, lists and fields from the nodes of a story file, and collects faults with their lines."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from storage.errors import ConfigError
from storage.printable import printable
from storage.stories.files import beside, inside, nearest
from storage.stories.nodes import Fields, Items, Node, Text
from storage.stories.text import normal

LONGEST = 10_000
"""Characters of a text in a story."""

LONGEST_NAME = 200
"""Characters of a name or a title."""

Readers = Mapping[tuple[str, ...], Callable[[Node], Any]]
"""What reads a field, by the field's spellings."""

_MOST_FAULTS = 20  # reported for one file
_NUMBER = re.compile(r"[+-]?(\d{1,15}(\.\d*)?|\.\d+)([eE][+-]?\d{1,2})?")
_WHOLE = re.compile(r"\+?\d{1,18}")
_YES, _NO = ("true", "yes", "on"), ("false", "no", "off")
M = TypeVar("M", bound=BaseModel)


class Values:
    """Reads the values of nodes and collects faults as (line, what is wrong); a faulty value reads as nothing."""

    def __init__(self, folder: Path | None) -> None:
        self.faults: list[tuple[int, str]] = []
        self.more = False
        self._folder = folder
        self._checked: dict[str, str] = {}  # file name -> what is wrong with it

    def text(self, node: Node) -> str:
        """A text in NFC, of at most LONGEST characters."""
        if not isinstance(node, Text):
            self.fault(node, f"{_shown(node)} was found, one text was expected: put quotes around a text")
            return ""
        text = normal(node.text)
        if len(text) > LONGEST:
            self.fault(node, f"{printable(text, 40)!r} has {len(text):,} characters: at most {LONGEST:,}, split it")
        return text

    def name(self, node: Node) -> str:
        """A text of at most LONGEST_NAME characters."""
        name = self.text(node)
        if len(name) > LONGEST_NAME:
            self.fault(node, f"{printable(name, 40)!r} has {len(name)} characters: at most {LONGEST_NAME}")
        return name

    def said(self, node: Node, what: str) -> str:
        """A text that isn't empty; a mapping here is a text with a colon."""
        if isinstance(node, Fields):
            cure = "put quotes around a text with a colon"
            self.fault(node, f"{what} is a text, and {_shown(node)} is a mapping: {cure}")
            return ""
        text = self.text(node)
        if not text and isinstance(node, Text):
            self.fault(node, f"{what} is empty: write it or remove it")
        return text

    def file(self, node: Node) -> str:
        """The name of a file beside the story."""
        name = self.text(node)
        if name and name not in self._checked:
            self._checked[name] = inside(name)
            if self._folder and not self._checked[name]:
                try:
                    beside(self._folder, name)
                except ConfigError as error:
                    self._checked[name] = str(error)
        if self._checked.get(name):
            self.fault(node, self._checked[name])
        return name

    def files(self, node: Node) -> tuple[str, ...]:
        """Names of files beside the story, one or a list."""
        return tuple(name for one in self.items(node) if (name := self.file(one)))

    def number(self, node: Node) -> str | None:
        """A number as it was written."""
        return self.matching(node, _NUMBER, "a number such as 2.5")

    def whole(self, node: Node) -> str | None:
        """A whole number from 0 as it was written."""
        return self.matching(node, _WHOLE, "a whole number from 0, of at most 18 digits")

    def matching(self, node: Node, pattern: re.Pattern[str], what: str) -> str | None:
        """A text of ASCII that matches a pattern; `what` names what is expected."""
        text = self.text(node)
        if pattern.fullmatch(text) and text.isascii():
            return text
        if isinstance(node, Text):
            self.fault(node, f"found {printable(text, 60)!r}, expected {what}")
        return None

    def yes_or_no(self, node: Node) -> bool:
        """Whether a text means yes; a text that means neither yes nor no is a fault, and reads as yes."""
        text = self.text(node).lower()
        if text not in _YES + _NO and isinstance(node, Text):
            self.fault(node, f"found {printable(text, 60)!r}, expected true or false")
        return text not in _NO

    def items(self, node: Node) -> Sequence[Node]:
        """The items of a list; a text is a list of one, nothing an empty list."""
        match node:
            case Items(items=items):
                return items
            case Text(text=""):
                return ()
            case Text():
                return (node,)
            case Fields():
                return (node,)

    def fields(self, node: Node, what: str, readers: Readers) -> tuple[dict[str, Any], dict[str, Node]]:
        """(values, their nodes) by the first of each field's spellings."""
        given: dict[str, Any] = {}
        at: dict[str, Node] = {}
        if not isinstance(node, Fields):
            self.fault(node, f"{_shown(node)} was found, {what} was expected, with fields such as `title: ...`")
            return given, at
        by_key = {key: (keys[0], reader) for keys, reader in readers.items() for key in keys}
        for key, value in node.pairs:
            if key.text not in by_key:
                if self.more:
                    continue
                near = nearest(key.text, list(by_key))
                if " " in key.text or key.text[:1].isupper():  # no field is called so
                    near = ": if it is the beginning of a text, put quotes around the whole text"
                self.fault(key, f"found {printable(key.text, 60)!r}, which {what} doesn't have{near}")
                continue
            field, reader = by_key[key.text]
            if field in given:
                self.fault(key, f"{printable(key.text)!r} repeats a field above it: keep one")
                continue
            at[field], given[field] = value, reader(value)
        return {field: value for field, value in given.items() if value is not None}, at

    def made(self, model: type[M], node: Node, given: Mapping[str, Any], at: Mapping[str, Node]) -> M | None:
        """The model; or None, and a fault for each value that it refuses."""
        try:
            return model(**given)
        except ValidationError as error:
            for one in error.errors():
                field = str(one["loc"][0])
                if one["type"] == "missing" and field not in at:
                    self.fault(node, f"`{field}` is missing here: add it")
                elif one["type"] not in ("missing", "too_short") or not self.faults:
                    said = f"{one['msg'][:1].lower()}{one['msg'][1:]}, got {printable(str(one['input']), 60)!r}"
                    self.fault(at.get(field, node), f"{field}: {said}")
            return None

    def fault(self, node: Node, said: str) -> None:
        """Notes what is wrong with a node, and its cure."""
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
