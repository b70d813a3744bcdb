"""Multimodal scripts as one sequence of slots (section 3.4, Appendix A, Fig. 2 and 16).

A keyframe is laid out as

    [START_OF_FRAME] Characters: (- sentence face?)* Scene Elements: (- sentence)* Plots: (- sentence)*
    [END_OF_FRAME] e_1 .. e_L

where a sentence, a face and a keyframe token take one slot each, and the identifiers ("Characters:", "-", ...) are
text, tokenized by the language model's tokenizer. Reference frames (few-shot) come first, L slots each, no scripts.

Shapes: S sentences, F faces.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal

import numpy as np

IDENTIFIERS = ("Characters:", "Scene Elements:", "Plots:", "-")
MAX_SENTENCES, MAX_FACES = 15, 5
CHARACTER, SCENE_ELEMENT, PLOT = 0, 1, 2
START_OF_FRAME, END_OF_FRAME = 0, 1

Layout = Literal["paper", "compact"]
"""`paper` is the layout above; `compact` omits the "-" before each sentence, which saves a quarter of the slots."""


class Slot(IntEnum):
    """What a slot of the sequence holds."""

    PADDING = -1
    IDENTIFIER = 0
    MARKER = 1
    SENTENCE = 2
    FACE = 3
    TOKEN = 4


@dataclass(frozen=True)
class FrameScript:
    """One keyframe's multimodal script.

    Attributes:
        sentences: [S, width of the sentence encoder] float32.
        kinds: [S] int8: 0 character, 1 scene element, 2 plot.
        faces: [F, width of the face embedder] float32; the i-th face belongs to the i-th sentence about a character.
        face_choices: for each face, the embeddings [width] of the same character in other keyframes; empty if there are
            none. Training picks one at random (face embedding randomisation).
        face_boxes: [F, 4] float32: x0, y0, x1, y1 of each face in 0-1; no rows if they are unknown.
    """

    row_id: str
    sentences: np.ndarray
    kinds: np.ndarray
    faces: np.ndarray
    face_choices: tuple[Sequence[np.ndarray] | np.ndarray, ...] = field(default=())
    face_boxes: np.ndarray = field(default_factory=lambda: np.zeros((0, 4), np.float32))

    def __post_init__(self) -> None:
        if self.sentences.ndim != 2 or self.faces.ndim != 2:
            raise ValueError(
                f"{self.row_id}: sentences and faces must be matrices, got shapes "
                f"{self.sentences.shape} and {self.faces.shape}"
            )
        if self.kinds.shape != self.sentences.shape[:1]:
            raise ValueError(f"{self.row_id}: {len(self.sentences)} sentences but kinds of shape {self.kinds.shape}")
        if len(self.sentences) > MAX_SENTENCES or len(self.faces) > MAX_FACES:
            raise ValueError(
                f"{self.row_id}: {len(self.sentences)} sentences and {len(self.faces)} faces; "
                f"the paper's script holds at most {MAX_SENTENCES} and {MAX_FACES} (Appendix A)"
            )
        if not set(self.kinds.tolist()) <= {CHARACTER, SCENE_ELEMENT, PLOT}:
            raise ValueError(f"{self.row_id}: kinds must be 0, 1 or 2, got {self.kinds.tolist()}")
        if self.face_choices and len(self.face_choices) != len(self.faces):
            raise ValueError(f"{self.row_id}: {len(self.faces)} faces but {len(self.face_choices)} face_choices")

    def summary(self) -> np.ndarray:
        """The mean sentence of each kind (zeros if there is none) and the mean face, concatenated."""
        parts = [self.sentences[self.kinds == kind] for kind in (CHARACTER, SCENE_ELEMENT, PLOT)] + [self.faces]
        means = [part.mean(0) if len(part) else np.zeros(part.shape[1]) for part in parts]
        return np.concatenate(means).astype(np.float32)

    def untold(self) -> "FrameScript":
        """The empty script, which guidance moves away from."""
        return FrameScript(self.row_id, self.sentences[:0], self.kinds[:0], self.faces[:0])

    def without_faces(self) -> "FrameScript":
        """The same script without its faces (the ablation of Fig. 5)."""
        return replace(self, faces=self.faces[:0], face_choices=(), face_boxes=self.face_boxes[:0])

    def with_random_faces(self, random: np.random.Generator) -> "FrameScript":
        """Each face is replaced by one of the same character from another keyframe, if there is one."""
        if not self.face_choices:
            return self
        drawn = [
            choices[int(random.integers(len(choices)))] if len(choices) else face
            for face, choices in zip(self.faces, self.face_choices, strict=True)
        ]
        return replace(self, faces=np.stack(drawn))


@dataclass(frozen=True)
class Piece:
    """One slot before packing: its kind, and the row of its identifier, marker, sentence, face or token."""

    kind: Slot
    row: int


def lay_out(script: FrameScript, identifiers: Mapping[str, Sequence[int]], layout: Layout) -> list[Piece]:
    """The slots of one keyframe's script, from [START_OF_FRAME] to [END_OF_FRAME]."""

    def words(identifier: str) -> list[Piece]:
        return [Piece(Slot.IDENTIFIER, row) for row in identifiers[identifier]]

    bullet = words("-") if layout == "paper" else []
    pieces = [Piece(Slot.MARKER, START_OF_FRAME), *words("Characters:")]
    characters = np.flatnonzero(script.kinds == CHARACTER)
    for i in range(max(len(characters), len(script.faces))):
        pieces += bullet
        if i < len(characters):
            pieces.append(Piece(Slot.SENTENCE, int(characters[i])))
        if i < len(script.faces):
            pieces.append(Piece(Slot.FACE, i))
    for heading, kind in (("Scene Elements:", SCENE_ELEMENT), ("Plots:", PLOT)):
        pieces += words(heading)
        for row in np.flatnonzero(script.kinds == kind):
            pieces += [*bullet, Piece(Slot.SENTENCE, int(row))]
    return [*pieces, Piece(Slot.MARKER, END_OF_FRAME)]
