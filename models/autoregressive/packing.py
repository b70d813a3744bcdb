"""Packs windows of keyframes into a batch of sequences; short windows of several films share a row (section 3.4).

Windows in one row don't attend to each other, and each has its own positions.

Shapes: P rows of S slots, B windows, T keyframes, R reference frames, L tokens per keyframe, D token width, N rows
of one modality in the whole batch, C width of a summary.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor
from torch.utils._pytree import register_dataclass, tree_map_only

from models.autoregressive.script_tokens import FrameScript, Layout, Piece, Slot, lay_out


@dataclass(frozen=True)
class Window:
    """Consecutive keyframes as the model reads them: references_RLD first, then scripts with their tokens_TLD.

    There may be one more script than keyframes: the last keyframe is then the one to predict. `reference_scripts`
    describe the references, if they are known; only recall reads them, the backbone reads the references' tokens.
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
    """A batch of sequences. Rows of each modality are in (row, slot) order.

    Attributes:
        kinds_PS: a `Slot` each.
        places: indices of each kind in the flattened kinds_PS, computed here so that a GPU need not be waited for.
        rows_PS: the row of each slot in its modality.
        windows_PS: the window of each slot; -1 for padding, which is at the end.
        positions_PS: the position of each slot in its window.
        row_B: the row of each window.
        predict_BTL: the slot whose output predicts token l of keyframe t: the one before the token.
        valid_BT: whether the keyframe's tokens are known.
        summaries_BTC: `summary` of the scripts.
        references_BRLD, reference_summaries_BRC: references whose scripts are known (known_BR).
    """

    kinds_PS: Tensor
    places: Mapping[Slot, Tensor]
    rows_PS: Tensor
    windows_PS: Tensor
    positions_PS: Tensor
    row_B: Tensor
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
        moved: Packed = tree_map_only(Tensor, lambda tensor: tensor.to(device), self)
        return moved


register_dataclass(Packed)


def slots(window: Window, identifiers: Mapping[str, Sequence[int]], layout: Layout) -> int:
    """Number of slots of a window."""
    return len(_sequence(window, identifiers, layout).pieces)


def cut(window: Window, room: int, identifiers: Mapping[str, Sequence[int]], layout: Layout) -> Window | None:
    """The first keyframes of the window, as many as fit into `room` slots; None if none fits."""
    length = window.tokens_TLD.shape[1]
    fitting = [t for t, end in enumerate(_sequence(window, identifiers, layout).ends) if end + 1 + length <= room]
    count = len(fitting)
    if not count:
        return None
    return replace(window, scripts=window.scripts[:count], tokens_TLD=window.tokens_TLD[:count])


def pack(
    windows: Sequence[Window], identifiers: Mapping[str, Sequence[int]], layout: Layout, room: int | None = None
) -> Packed:
    """The windows in rows, padded at the end; shorter windows get keyframes with valid_BT false.

    Args:
        room: length of a row in slots. Windows share a row, in order, as long as they fit, and all rows are padded to
            this length. A longer window has its own row; so has each window if `room` is None.
    """
    if not windows:
        raise ValueError("pack needs at least one window, got none")
    length, width = windows[0].tokens_TLD.shape[-2:]
    sequences = [_sequence(window, identifiers, layout) for window in windows]
    places = _places([len(sequence.pieces) for sequence in sequences], room)
    frames = max(len(window.scripts) for window in windows)
    described = max(len(window.reference_scripts) for window in windows)
    targets_BTLD = torch.zeros(len(windows), frames, length, width)
    predict_BTL = torch.zeros(len(windows), frames, length, dtype=torch.long)
    valid_BT = torch.zeros(len(windows), frames, dtype=torch.bool)
    references_BRLD = torch.zeros(len(windows), described, length, width)
    summaries_BTC = torch.zeros(len(windows), frames, len(windows[0].scripts[0].summary()))
    reference_summaries_BRC = torch.zeros(len(windows), described, summaries_BTC.shape[2])
    known_BR = torch.zeros(len(windows), described, dtype=torch.bool)
    for b, (window, sequence, (_, start)) in enumerate(zip(windows, sequences, places, strict=True)):
        summaries_BTC[b, : len(window.scripts)] = _summaries(window.scripts)
        if window.references_RLD is not None and window.reference_scripts:
            count = len(window.reference_scripts)
            references_BRLD[b, :count] = window.references_RLD
            reference_summaries_BRC[b, :count] = _summaries(window.reference_scripts)
            known_BR[b, :count] = True
        known = len(window.tokens_TLD)
        targets_BTLD[b, :known] = window.tokens_TLD
        ends_T = torch.tensor(sequence.ends, dtype=torch.long)
        predict_BTL[b, : len(window.scripts)] = start + ends_T[:, None] + torch.arange(length)
        valid_BT[b, :known] = True
    kinds_PS, rows_PS, windows_PS, positions_PS = _grid(sequences, places, room or 0)
    tokens = [part for sequence in sequences for part in sequence.tokens]
    return Packed(
        kinds_PS=kinds_PS,
        places={kind: (kinds_PS.flatten() == kind).nonzero().flatten() for kind in Slot},
        rows_PS=rows_PS,
        windows_PS=windows_PS,
        positions_PS=positions_PS,
        row_B=torch.tensor([row for row, _ in places], dtype=torch.long),
        sentences_NC=_stack([row for sequence in sequences for row in sequence.sentences]),
        faces_NC=_stack([row for sequence in sequences for row in sequence.faces]),
        tokens_ND=torch.cat(tokens).float() if tokens else torch.zeros(0, width),
        predict_BTL=predict_BTL,
        targets_BTLD=targets_BTLD,
        valid_BT=valid_BT,
        summaries_BTC=summaries_BTC,
        references_BRLD=references_BRLD,
        reference_summaries_BRC=reference_summaries_BRC,
        known_BR=known_BR,
    )


@dataclass(frozen=True)
class _Sequence:
    """A window's slots, the index of each keyframe's [END_OF_FRAME], and the rows of each modality in order."""

    pieces: list[Piece]
    ends: list[int]
    sentences: list[np.ndarray]
    faces: list[np.ndarray]
    tokens: list[Tensor]


def _sequence(window: Window, identifiers: Mapping[str, Sequence[int]], layout: Layout) -> _Sequence:
    length, width = window.tokens_TLD.shape[-2:]
    made = _Sequence([], [], [], [], [])
    if window.references_RLD is not None:
        made.pieces.extend(Piece(Slot.TOKEN, row) for row in range(len(window.references_RLD) * length))
        made.tokens.append(window.references_RLD.reshape(-1, width))
    for t, script in enumerate(window.scripts):
        frame = lay_out(script, identifiers, layout)
        made.sentences.extend(script.sentences[piece.row] for piece in frame if piece.kind == Slot.SENTENCE)
        made.faces.extend(script.faces[piece.row] for piece in frame if piece.kind == Slot.FACE)
        made.pieces.extend(frame)
        made.ends.append(len(made.pieces) - 1)
        if t < len(window.tokens_TLD):
            made.pieces.extend(Piece(Slot.TOKEN, row) for row in range(length))
            made.tokens.append(window.tokens_TLD[t])
    return made


def _places(lengths: Sequence[int], room: int | None) -> list[tuple[int, int]]:
    """(row, first slot) of each sequence: behind the one before while it fits, otherwise in a new row."""
    places, row, used = [], -1, 0
    for length in lengths:
        if row < 0 or room is None or used + length > room:
            row, used = row + 1, 0
        places.append((row, used))
        used += length
    return places


def _grid(
    sequences: Sequence[_Sequence], places: Sequence[tuple[int, int]], least: int
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    ends = (start + len(sequence.pieces) for sequence, (_, start) in zip(sequences, places, strict=True))
    longest = max(least, *ends)
    rows = 1 + max(row for row, _ in places)
    kinds_PS = torch.full((rows, longest), int(Slot.PADDING), dtype=torch.long)
    rows_PS = torch.zeros(rows, longest, dtype=torch.long)
    windows_PS = torch.full((rows, longest), -1, dtype=torch.long)
    positions_PS = torch.arange(longest).repeat(rows, 1)
    for b, (sequence, (row, start)) in enumerate(zip(sequences, places, strict=True)):
        here = slice(start, start + len(sequence.pieces))
        kinds_PS[row, here] = torch.tensor([int(piece.kind) for piece in sequence.pieces])
        rows_PS[row, here] = torch.tensor([piece.row for piece in sequence.pieces])
        windows_PS[row, here] = b
        positions_PS[row, here] = torch.arange(len(sequence.pieces))
    return kinds_PS, rows_PS, windows_PS, positions_PS


def _summaries(scripts: Sequence[FrameScript]) -> Tensor:
    return torch.from_numpy(np.stack([script.summary() for script in scripts]))


def _stack(rows: Sequence[np.ndarray]) -> Tensor:
    """[N, width] float32; [0, 0] for an empty modality, which no slot refers to."""
    return torch.from_numpy(np.stack(rows).astype(np.float32)) if rows else torch.zeros(0, 0)
