"""A story in Markdown: title, cast and places as YAML on top, then its text.

A heading begins a scene; if it is a place's name, the scene happens there. A paragraph is a shot with one plot, a list
is a shot with one plot per item; the cast that they name is seen. A quotation is dialogue, `> Ada: Good evening.`, or
narration.
"""

import re
import unicodedata
from dataclasses import dataclass, field

from storage.stories import nodes
from storage.stories.names import finder
from storage.stories.nodes import Fields, Items, Node, Text, fields
from storage.stories.text import fault, normal
from storage.stories.values import LONGEST_NAME

_HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*)")
_ITEM = re.compile(r"[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]+(.+)")
_QUOTATION = re.compile(r" {0,3}> ?(.*)")
_RULE = re.compile(r" {0,3}([-*_])[ \t]*(\1[ \t]*){2,}")
_COMMENT = re.compile("<!--.*?(-->|$)", re.S)


@dataclass
class _Block:
    """Lines that belong together."""

    line: int
    kind: str  # "#" to "######", "paragraph", "list" or "quotation"
    said: list[tuple[int, list[str]]] = field(default_factory=list)

    @property
    def texts(self) -> list[Text]:
        return [Text(line, "\n".join(said)) for line, said in self.said]


def tree(text: str, name: str) -> Node:
    """The story as a tree of nodes; raises ConfigError as nodes.of_yaml does.

    Args:
        name: of the file, for errors.
    """
    lines = text.split("\n")
    top, body = Fields(1, ()), 0
    if lines[0].rstrip() == "---":
        body = next((i for i, line in enumerate(lines[1:], 1) if line.rstrip() in ("---", "...")), 0)
        if not body:
            raise fault(name, 1, "the YAML on top doesn't end: add a line --- after it")
        given = nodes.of_yaml("\n".join(lines[:body]), name)
        if isinstance(given, Fields):
            top = given
        elif given != Text(given.line, ""):
            raise fault(name, given.line, "the YAML on top has no fields, such as `title: ...`")
        body += 1
    if any(key.text == "scenes" for key, _ in top.pairs):
        return top
    blocks = _blocks("\n".join(lines[body:]), body + 1)
    pairs = list(top.pairs)
    if blocks and blocks[0].kind == "#" and not any(key.text == "title" for key, _ in pairs):
        heading = blocks.pop(0)
        pairs.append((Text(heading.line, "title"), heading.texts[0]))
    known = {key.text: frozenset(_names(node)) for key, node in pairs}
    scenes = _scenes(blocks, known.get("cast", frozenset()), known.get("places", frozenset()))
    return Fields(top.line, (*pairs, (Text(body + 1, "scenes"), Items(body + 1, scenes))))


def _blocks(text: str, line: int) -> list[_Block]:
    """The blocks of a text that begins on this line."""
    text = _COMMENT.sub(lambda found: "\n" * found[0].count("\n"), unicodedata.normalize("NFC", text))
    blocks: list[_Block] = []
    open_ = False  # whether the next line may belong to the last block
    for number, said in enumerate(text.split("\n"), line):
        if not said.strip() or _RULE.fullmatch(said):
            open_ = False
        elif heading := _HEADING.fullmatch(said):
            blocks.append(_Block(number, heading[1], [(number, [_title(heading[2])])]))
            open_ = False
        else:
            item, quotation = _ITEM.fullmatch(said), _QUOTATION.fullmatch(said)
            kind = "list" if item else "quotation" if quotation else ""
            if not open_ or (kind and kind != blocks[-1].kind and not (item and blocks[-1].kind == "paragraph")):
                if kind == "list" and blocks and blocks[-1].kind == "list" and not open_:
                    pass  # a list whose items have blank lines between them
                else:
                    blocks.append(_Block(number, kind or "paragraph"))
            begins = item or quotation
            if begins or not blocks[-1].said:
                blocks[-1].said.append((number, [begins[1] if begins else said]))
            else:
                blocks[-1].said[-1][1].append(said)
            open_ = True
    return blocks


def _title(heading: str) -> str:
    """Without the signs that close it."""
    heading = heading.rstrip(" \t")
    bare = heading.rstrip("#")
    return heading if bare and bare[-1] not in " \t" else bare.rstrip(" \t")


def _scenes(blocks: list[_Block], cast: frozenset[str], places: frozenset[str]) -> tuple[Node, ...]:
    scenes: list[tuple[Text | None, list[Node]]] = []
    seen_in = finder(cast)
    waiting: list[Node] = []  # lines that are heard before the scene's first shot
    for block in blocks:
        if block.kind.startswith("#"):
            scenes.append((block.texts[0], []))
            continue
        if not scenes:
            scenes.append((None, []))
        shots = scenes[-1][1]
        if block.kind == "quotation":
            heard = _heard(block, cast)
            if shots:
                shots[-1] = _with_lines(shots[-1], heard)
            else:
                waiting += heard
        else:
            plots = Items(block.line, tuple(block.texts))
            seen = seen_in(normal(" ".join(text.text for text in block.texts)))
            people = Items(block.line, tuple(Text(block.line, one) for one in seen))
            shot = Fields(block.line, ((Text(block.line, "plots"), plots), (Text(block.line, "characters"), people)))
            shots.append(_with_lines(shot, waiting))
            waiting = []
    return tuple(_scene(title, shots, places) for title, shots in scenes if shots or title)


def _scene(title: Text | None, shots: list[Node], places: frozenset[str]) -> Node:
    line = title.line if title else shots[0].line
    pairs: list[tuple[Text, Node]] = []
    if title:
        pairs.append((Text(line, "title"), title))
        if normal(title.text) in places:
            pairs.append((Text(line, "place"), title))
    return Fields(line, (*pairs, (Text(line, "shots"), Items(line, tuple(shots)))))


def _heard(block: _Block, cast: frozenset[str]) -> list[Node]:
    """The lines of a quotation: one for each speaker, and one for the narration between them."""
    heard: list[tuple[int, str, list[str]]] = []
    goes_on = False
    for text in block.texts:
        speaker, said = _spoken(text.text, cast)
        if goes_on and not speaker:
            heard[-1][2].append(said)
        elif speaker or said.strip():
            heard.append((text.line, speaker, [said]))
            goes_on = not speaker
    told = ((speaker, Text(line, "\n".join(said))) for line, speaker, said in heard)
    return [fields(text.line, [(speaker, text)]) if speaker else text for speaker, text in told]


def _spoken(text: str, cast: frozenset[str]) -> tuple[str, str]:
    """Speaker and words of a line; the longest name before a colon counts, since names may have colons themselves."""
    for colon in reversed([place for place, letter in enumerate(text[: LONGEST_NAME + 1]) if letter == ":"]):
        if (name := normal(text[:colon])) in cast:
            return name, text[colon + 1 :]
    return "", text


def _with_lines(shot: Node, heard: list[Node]) -> Node:
    assert isinstance(shot, Fields)
    if not heard:
        return shot
    before = next((value for key, value in shot.pairs if key.text == "lines"), Items(shot.line, ()))
    assert isinstance(before, Items)
    rest = tuple(pair for pair in shot.pairs if pair[0].text != "lines")
    return Fields(shot.line, (*rest, (Text(shot.line, "lines"), Items(shot.line, (*before.items, *heard)))))


def _names(node: Node) -> list[str]:
    """The names in a list of people or places, in any of its forms."""
    match node:
        case Items(items=items):
            return [name for item in items for name in ([item.text] if isinstance(item, Text) else _names_of(item))]
        case Fields(pairs=pairs):
            return [normal(key.text) for key, _ in pairs]
        case Text(text=text):
            return [normal(text)] if text else []


def _names_of(item: Node) -> list[str]:
    if not isinstance(item, Fields):
        return []
    named = [value.text for key, value in item.pairs if key.text == "name" and isinstance(value, Text)]
    return [normal(name) for name in (named or [key.text for key, _ in item.pairs[:1]])]
