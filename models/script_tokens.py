"""Multimodal scripts as one sequence of slots (section 3.4, Appendix A, Fig. 2 and 16).

A keyframe is laid out as

    [START_OF_FRAME] Characters: (- sentence face?)* Scene Elements: (- sentence)* Plots: (- sentence)*
    [END_OF_FRAME] e_1 .. e_L

where a sentence, a face and a keyframe token take one slot each and the identifiers ("Characters:", "-", ...) are
text, tokenized as the language model does. Reference frames (few-shot) stand bare, L slots each, before all else.

Shapes: B sequences, S slots, T keyframes, R reference frames, L tokens a keyframe, D token width, N rows of one
modality over the whole batch.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum
from typing import Literal

import numpy as np
import torch
from torch import Tensor

IDENTIFIERS = ("Characters:", "Scene Elements:", "Plots:", "-")
MAX_SENTENCES, MAX_FACES = 15, 5
CHARACTER, SCENE_ELEMENT, PLOT = 0, 1, 2
START_OF_FRAME, END_OF_FRAME = 0, 1

Layout = Literal["paper", "compact"]
"""`paper` as above; `compact` leaves out the "-" before each sentence, a quarter of the slots."""


class Slot(IntEnum):
    """What stands in a slot of the sequence."""

    PADDING = -1
    IDENTIFIER = 0
    MARKER = 1
    SENTENCE = 2
    FACE = 3
    TOKEN = 4


@dataclass(frozen=True)
class FrameScript:
    """One keyframe's multimodal script.

    sentences [S, width of the sentence encoder] float32, kinds [S] int8 (0 character, 1 scene element, 2 plot),
    faces [F, width of the face embedder] float32; the i-th character sentence goes with the i-th face.
    face_choices: for each face the embeddings [n, width] of the same character in other keyframes, from which
    training draws (face embedding randomisation); empty when there are none.
    """

    row_id: str
    sentences: np.ndarray
    kinds: np.ndarray
    faces: np.ndarray
    face_choices: tuple[np.ndarray, ...] = field(default=())

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
        """The mean sentence of each kind (zero where there is none) and the mean face, side by side."""
        parts = [self.sentences[self.kinds == kind] for kind in (CHARACTER, SCENE_ELEMENT, PLOT)] + [self.faces]
        means = [part.mean(0) if len(part) else np.zeros(part.shape[1]) for part in parts]
        return np.concatenate(means).astype(np.float32)

    def without_faces(self) -> "FrameScript":
        """The same script in words only (the ablation of Fig. 5)."""
        return replace(self, faces=self.faces[:0], face_choices=())

    def with_random_faces(self, random: np.random.Generator) -> "FrameScript":
        """Each face replaced by one of the same character from another keyframe, where there is one."""
        if not self.face_choices:
            return self
        drawn = [
            choices[random.integers(len(choices))] if len(choices) else face
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


@dataclass(frozen=True)
class Window:
    """A run of keyframes as the model sees it: references_RLD first, then scripts with their tokens_TLD.

    There may be one script more than keyframes: the last one is then still to be predicted. `reference_scripts` say
    what the references show, where that is known; the backbone sees the references' tokens alone.
    """

    scripts: Sequence[FrameScript]
    tokens_TLD: Tensor
    references_RLD: Tensor | None = None
    reference_scripts: Sequence[FrameScript] = ()

    def __post_init__(self) -> None:
        known, references = len(self.tokens_TLD), 0 if self.references_RLD is None else len(self.references_RLD)
        if len(self.scripts) - known not in (0, 1) or not self.scripts:
            raise ValueError(f"{len(self.scripts)} scripts but tokens of {known} keyframes")
        if self.reference_scripts and len(self.reference_scripts) != references:
            raise ValueError(f"{len(self.reference_scripts)} reference scripts but {references} reference frames")


@dataclass(frozen=True)
class Packed:
    """A batch of sequences. Rows of each modality stand in (sequence, slot) order.

    kinds_BS holds `Slot`s, rows_BS the row of each identifier or marker, predict_BTL the slot whose output
    predicts token l of keyframe t (the slot before it), valid_BT which keyframes' tokens are known, summaries_BTC the
    scripts' `summary`; references_BRLD with their summaries_BRC are those whose scripts are known (known_BR).
    """

    kinds_BS: Tensor
    rows_BS: Tensor
    sentences_NC: Tensor
    faces_NC: Tensor
    tokens_ND: Tensor
    predict_BTL: Tensor
    targets_BTLD: Tensor
    valid_BT: Tensor
    summaries_BTC: Tensor
    references_BRLD: Tensor
    reference_summaries_BRC: Tensor
    known_BR: Tensor

    def to(self, device: torch.device | str) -> "Packed":
        return Packed(**{name: value.to(device) for name, value in vars(self).items()})


def pack(windows: Sequence[Window], identifiers: Mapping[str, Sequence[int]], layout: Layout) -> Packed:
    """Lays the windows out side by side, padded at the end; shorter windows get keyframes with valid_BT false."""
    if not windows:
        raise ValueError("pack needs at least one window, got none")
    length, width = windows[0].tokens_TLD.shape[-2:]
    sequences: list[list[Piece]] = []
    predict: list[list[list[int]]] = []
    sentences: list[np.ndarray] = []
    faces: list[np.ndarray] = []
    tokens: list[Tensor] = []
    for window in windows:
        known = len(window.tokens_TLD)
        pieces: list[Piece] = []
        if window.references_RLD is not None:
            pieces += [Piece(Slot.TOKEN, row) for row in range(len(window.references_RLD) * length)]
            tokens.append(window.references_RLD.reshape(-1, width))
        slots = []
        for t, script in enumerate(window.scripts):
            frame = lay_out(script, identifiers, layout)
            sentences += [script.sentences[piece.row] for piece in frame if piece.kind == Slot.SENTENCE]
            faces += [script.faces[piece.row] for piece in frame if piece.kind == Slot.FACE]
            pieces += frame
            slots.append([len(pieces) - 1 + row for row in range(length)])
            if t < known:
                pieces += [Piece(Slot.TOKEN, row) for row in range(length)]
                tokens.append(window.tokens_TLD[t])
        sequences.append(pieces)
        predict.append(slots)
    frames = max(len(window.scripts) for window in windows)
    targets_BTLD = torch.zeros(len(windows), frames, length, width)
    predict_BTL = torch.zeros(len(windows), frames, length, dtype=torch.long)
    valid_BT = torch.zeros(len(windows), frames, dtype=torch.bool)
    described = max(len(window.reference_scripts) for window in windows)
    references_BRLD = torch.zeros(len(windows), described, length, width)
    summaries_BTC = torch.zeros(len(windows), frames, len(windows[0].scripts[0].summary()))
    reference_summaries_BRC = torch.zeros(len(windows), described, summaries_BTC.shape[2])
    known_BR = torch.zeros(len(windows), described, dtype=torch.bool)
    for b, window in enumerate(windows):
        summaries_BTC[b, : len(window.scripts)] = _summaries(window.scripts)
        if window.references_RLD is not None and window.reference_scripts:
            count = len(window.reference_scripts)
            references_BRLD[b, :count] = window.references_RLD
            reference_summaries_BRC[b, :count] = _summaries(window.reference_scripts)
            known_BR[b, :count] = True
        known = len(window.tokens_TLD)
        targets_BTLD[b, :known] = window.tokens_TLD
        predict_BTL[b, : len(window.scripts)] = torch.tensor(predict[b], dtype=torch.long).reshape(-1, length)
        valid_BT[b, :known] = True
    kinds_BS, rows_BS = _grid(sequences)
    return Packed(
        kinds_BS=kinds_BS,
        rows_BS=rows_BS,
        sentences_NC=_stack(sentences),
        faces_NC=_stack(faces),
        tokens_ND=torch.cat(tokens).float() if tokens else torch.zeros(0, width),
        predict_BTL=predict_BTL,
        targets_BTLD=targets_BTLD,
        valid_BT=valid_BT,
        summaries_BTC=summaries_BTC,
        references_BRLD=references_BRLD,
        reference_summaries_BRC=reference_summaries_BRC,
        known_BR=known_BR,
    )


def _summaries(scripts: Sequence[FrameScript]) -> Tensor:
    return torch.from_numpy(np.stack([script.summary() for script in scripts]))


def _grid(sequences: Sequence[Sequence[Piece]]) -> tuple[Tensor, Tensor]:
    longest = max(len(pieces) for pieces in sequences)
    kinds_BS = torch.full((len(sequences), longest), int(Slot.PADDING), dtype=torch.long)
    rows_BS = torch.zeros(len(sequences), longest, dtype=torch.long)
    for b, pieces in enumerate(sequences):
        kinds_BS[b, : len(pieces)] = torch.tensor([int(piece.kind) for piece in pieces])
        rows_BS[b, : len(pieces)] = torch.tensor([piece.row for piece in pieces])
    return kinds_BS, rows_BS


def _stack(rows: Sequence[np.ndarray]) -> Tensor:
    """[N, width] float32; an empty modality has no rows and no width, and no slot asks for it."""
    return torch.from_numpy(np.stack(rows).astype(np.float32)) if rows else torch.zeros(0, 0)
