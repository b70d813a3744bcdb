"""The inverse of `screenplay` and `packing`: from a packed sequence back to a script that people read (Fig. 16).

For debugging: what did the model really see? Vectors are told by the nearest of those that are known by name.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.autoregressive.packing import Packed
from models.autoregressive.screenplay import Character, Keyframe
from models.autoregressive.script_tokens import END_OF_FRAME, START_OF_FRAME, Slot

_MARKS = {START_OF_FRAME: "[START_OF_FRAME]", END_OF_FRAME: "[END_OF_FRAME]"}
_SECTIONS = ("Characters:", "Scene Elements:", "Plots:")
_FACE = " [face of "

Names = Mapping[str, NDArray[np.float32]]
"""Sentences or names of faces, with their vectors."""


def written(packed: Packed, identifiers: Mapping[str, Sequence[int]], sentences: Names, faces: Names) -> list[str]:
    """The text of each window, one line an identifier, a description, a keyframe's tokens or a mark of a frame."""
    kinds = packed.kinds_PS.tolist()
    rows = {Slot.SENTENCE: iter(packed.sentences_NC.numpy()), Slot.FACE: iter(packed.faces_NC.numpy())}
    texts: list[list[str]] = [[] for _ in packed.row_B]
    for p, windows in enumerate(packed.windows_PS.tolist()):
        words: list[int] = []
        for s, window in enumerate(windows):
            if window < 0:
                continue
            lines, kind = texts[window], Slot(kinds[p][s])
            row = int(packed.rows_PS[p, s])
            if kind == Slot.IDENTIFIER:
                words.append(row)
                if (heading := _identifier(words, identifiers)) is not None:
                    words = []
                    lines += [heading] if heading in _SECTIONS else []
            elif kind == Slot.MARKER:
                lines.append(_MARKS[row])
            elif kind == Slot.SENTENCE:
                lines.append(f"- {_nearest(next(rows[kind]), sentences)}")
            elif kind == Slot.FACE:
                lines[-1] += f"{_FACE}{_nearest(next(rows[kind]), faces)}]"
            elif lines and lines[-1].startswith("<e"):
                lines[-1] += f" <e_{row + 1}>"
            else:
                lines.append(f"<e_{row + 1}>")
    return ["\n".join(lines) for lines in texts]


def parsed(text: str) -> list[Keyframe]:
    """The keyframes of a text that `written` gave; tokens and reference frames are left out."""
    keyframes: list[Keyframe] = []
    found: dict[str, list[str]] = {}
    section = ""
    for line in text.splitlines():
        if line == _MARKS[START_OF_FRAME]:
            found = {name: [] for name in _SECTIONS}
        elif line in _SECTIONS:
            section = line
        elif line.startswith("- "):
            found[section].append(line[2:])
        elif line == _MARKS[END_OF_FRAME]:
            characters, scene_elements, plots = (found[name] for name in _SECTIONS)
            keyframes.append(
                Keyframe(
                    characters=tuple(map(_character, characters)),
                    scene_elements=tuple(scene_elements),
                    plots=tuple(plots),
                )
            )
    return keyframes


def _character(line: str) -> Character:
    description, _, face = line.partition(_FACE)
    return Character(description=description, face=face.removesuffix("]"))


def _identifier(words: Sequence[int], identifiers: Mapping[str, Sequence[int]]) -> str | None:
    """The identifier that these rows of the embedding spell; None while it is not complete."""
    return next((text for text, rows in identifiers.items() if tuple(rows) == tuple(words)), None)


def _nearest(vector: NDArray[np.float32], names: Names) -> str:
    if not names:
        return "?"
    return min(names, key=lambda name: float(np.square(names[name] - vector).sum()))
