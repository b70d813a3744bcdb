"""Names for people and places that only a description tells apart."""

from collections.abc import Container
from pathlib import PurePath

from storage.stories.nodes import Fields, Items, Node, Text, fields, texts

_LONGEST = 50  # characters of a name made of a description


def short_name(description: str) -> str:
    """The beginning of a description, as whole words; "" of nothing."""
    name = description.rstrip(". ")
    if len(name) <= _LONGEST:
        return name
    words = name[:_LONGEST].rpartition(" ")[0] or name[:_LONGEST]
    return words.rstrip(" ,;:.-")


class Names:
    """A name for each (description, picture), made of the description: no two are equal."""

    def __init__(self, lines: dict[tuple[str, str], int]) -> None:
        self._lines = lines
        self._names: dict[tuple[str, str], str] = {}
        said: dict[str, int] = {}  # how often so far
        for text, picture in lines:
            base = short_name(text or PurePath(picture).stem) or "Somebody"
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
        return fields(line, [*pairs, ("pictures", texts(line, [picture] if picture else []))])
