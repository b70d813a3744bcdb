"""Generates one keyframe of each of several movies: reads the keyframe's script, returns its L tokens (Appendix D).

A turn takes L forward passes. The first one reads the previous token and the script, and predicts e_1; each further
pass reads a token and predicts the next one. The cache has a sink, which stays (reference frames and, when streaming,
the first keyframes), and a ring of keyframes. Each keyframe has a cell of fixed size: padding, its script, its tokens.
Movies may differ in scripts, lengths and references. The tokens of a movie don't depend on the others in the batch.

Shapes: B movies, P slots of the longest script, X slots of a cell (P + L), L tokens per keyframe, D token width, H
hidden width, K components.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor
from torch.nn import functional as F

from models.autoregressive.autoregressive import AutoregressiveModel
from models.autoregressive.keyvalues import KeyValues
from models.autoregressive.packing import Window
from models.autoregressive.script_tokens import FrameScript, Slot, lay_out
from models.graphs import Graphed

BUCKET = 8  # with CUDA graphs, the number of keyframes that attention reads is a multiple of this, for fewer graphs


class GenerationConfig(BaseModel, frozen=True, extra="forbid"):
    """How tokens are generated."""

    precision: Literal["fp32", "bf16"] = Field(
        "fp32", description="number format of the backbone; the head stays in 32 bits"
    )
    mode: Literal["windowed", "streaming"] = Field(
        "windowed",
        description="windowed: rebuild the cache when a window is full; streaming: let the window slide, in "
        "constant memory",
    )
    window: int = Field(16, ge=2, description="keyframes of a window")
    keep: int = Field(8, ge=1, description="windowed: keyframes that stay when the cache is rebuilt")
    sink: int = Field(1, ge=0, description="streaming: first keyframes that stay in the cache")
    temperature: float = Field(
        0.0, ge=0, allow_inf_nan=False, description="factor of sigma; 0: the drawn component's mean"
    )
    weight_temperature: float = Field(
        1.0, ge=0, allow_inf_nan=False, description="divides the components' logits; 0: the most likely component"
    )
    guidance: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="guidance by the script, for a model trained with untold scripts; 1: none",
    )

    @model_validator(mode="after")
    def _keep_fits(self) -> "GenerationConfig":
        if self.keep >= self.window:
            raise ValueError(f"keep must be smaller than window, got {self.keep} and {self.window}")
        return self

    @property
    def stays(self) -> int:
        """Number of keyframes that are never removed from the cache."""
        return self.sink if self.mode == "streaming" else 0


@dataclass
class Row:
    """A movie in the cache: the number of its keyframes there, and the slot of its last token."""

    frames: int = 0
    last_slot: int = 0


class Turns:
    """The cache of several movies, and the generation of their next keyframes.

    Args:
        rows: number of movies. With guidance, movie i has a copy with empty scripts in row `rows + i`.
        references: largest number of reference frames.
        scripts: all scripts that will be generated from; the longest one determines the size of a cell.
        graphs: record the work of a turn as a CUDA graph.
    """

    def __init__(
        self,
        model: AutoregressiveModel,
        rows: int,
        references: int,
        scripts: Sequence[FrameScript],
        config: GenerationConfig,
        graphs: bool,
    ) -> None:
        self.model, self.config, self.length = model, config, model.config.tokens
        sizes = [len(lay_out(script, model.identifiers, model.config.layout)) for script in scripts]
        self.script_slots = max(sizes, default=1)
        self.cell = self.script_slots + self.length
        self.reference_slots, self.sink, self.ring = references * self.length, config.stays, config.window
        self.rows = [Row() for _ in range(rows * (1 if config.guidance == 1 else 2))]
        stays = self.reference_slots + self.sink * self.cell
        slots = _aligned(1 + stays + self.ring * self.cell) - 1
        self.cache = KeyValues(model.backbone, len(self.rows), slots, stays)
        device = model.markers_2H.device
        self.position_B = torch.zeros(len(self.rows), dtype=torch.long, device=device)
        self.last_BH = model.markers_2H.new_zeros(len(self.rows), model.markers_2H.shape[1])
        self._graphed = Graphed(partial(self._speak, used=0)) if graphs else None

    def embed(self, scripts: Sequence[FrameScript]) -> tuple[Tensor, Tensor]:
        """(embeds_NPH, counts_N): each script, aligned to the end of P slots, and its number of slots."""
        nothing_LD = torch.zeros(0, self.length, self.model.config.width)
        packed = self.model.pack([Window([script], nothing_LD) for script in scripts])
        embeds_NSH = self.model.embed(packed)
        counts_N = (packed.kinds_PS != Slot.PADDING).sum(1)
        embeds_NPH = F.pad(embeds_NSH, (0, 0, 0, self.script_slots - embeds_NSH.shape[1]))
        from_P = torch.arange(self.script_slots, device=counts_N.device) - (self.script_slots - counts_N)[:, None]
        return embeds_NPH.gather(1, from_P.clamp_min(0)[..., None].expand_as(embeds_NPH)), counts_N

    def start(
        self, row: int, scripts: Sequence[FrameScript], tokens_TLD: Tensor, references_RLD: Tensor | None
    ) -> None:
        """Fills a movie's part of the cache with references and known keyframes; what it held before is discarded."""
        device = self.last_BH.device
        self.cache.clear(row)
        embeds, slots = [], []
        if references_RLD is not None and len(references_RLD):
            embeds.append(self._embed_tokens(references_RLD.to(device)))
            slots.append(1 + torch.arange(len(embeds[0])))
        if len(scripts):
            scripts_TPH, counts_T = self.embed(scripts)
            for t, (script_PH, count) in enumerate(zip(scripts_TPH, counts_T.tolist(), strict=True)):
                embeds += [script_PH[self.script_slots - count :], self._embed_tokens(tokens_TLD[t : t + 1].to(device))]
                slots.append(self._cell(t) + torch.arange(self.script_slots - count, self.cell))
        known = sum(map(len, slots))
        self.rows[row] = Row(frames=len(scripts), last_slot=int(slots[-1][-1]) if known else 0)
        self.position_B[row] = known
        if not known:
            return
        embeds_QH, slots_Q = torch.cat(embeds), torch.cat(slots).to(device)
        self.last_BH[row] = embeds_QH[-1]
        if known > 1:
            alone = self.cache.of(row)
            places_1Q = torch.arange(known - 1, device=device)[None]
            alone.forward(embeds_QH[None, :-1], places_1Q, slots_Q[None, :-1], used=int(slots_Q.max()) + 1)

    def turn(
        self,
        embeds_BPH: Tensor,
        counts_B: Tensor,
        uniform_BL: Tensor,
        normal_BLD: Tensor,
        recalled: tuple[Tensor, Tensor] | None = None,
    ) -> Tensor:
        """tokens_BLD of the next keyframe of each movie. A movie whose script has no slots is skipped.

        Args:
            embeds_BPH, counts_B: the scripts, as `embed` returns them.
            recalled: (means_BLKD, logits_BK), which the head adds to its own.
        """
        speaks = [count > 0 for count in counts_B.tolist()]
        cells = [self._cell(row.frames) if here else 0 for row, here in zip(self.rows, speaks, strict=True)]
        cell_B = torch.tensor(cells, device=self.last_BH.device)
        over = [here and row.frames >= self.sink + self.ring for row, here in zip(self.rows, speaks, strict=True)]
        if any(over):
            old_BX = cell_B[:, None] + torch.arange(self.cell, device=cell_B.device)
            gone_B = torch.tensor(over, device=cell_B.device)
            self.position_B -= self.cache.evict(torch.where(gone_B[:, None], old_BX, 0))
        tensors = {
            "embeds_BPH": embeds_BPH,
            "counts_B": counts_B,
            "last_BH": self.last_BH,
            "last_slot_B": torch.tensor([row.last_slot for row in self.rows], device=cell_B.device),
            "cell_B": cell_B,
            "position_B": self.position_B,
            "uniform_BL": uniform_BL.to(cell_B.device),
            "normal_BLD": normal_BLD.to(cell_B.device),
        }
        if recalled is not None:
            tensors |= {"means_BLKD": recalled[0], "logits_BK": recalled[1]}
        used = self._used()
        if self._graphed is None:
            tokens_BLD = self._speak(used=used, **tensors)
        else:
            self._graphed.function = partial(self._speak, used=used)
            tokens_BLD = self._graphed(used, **tensors).clone()
        last_BH = self._embed_tokens(tokens_BLD)[self.length - 1 :: self.length]
        speaks_B = counts_B > 0
        self.last_BH = torch.where(speaks_B[:, None], last_BH, self.last_BH)
        self.position_B = self.position_B + torch.where(speaks_B, counts_B + self.length, 0)
        for row, cell, here in zip(self.rows, cells, speaks, strict=True):
            if here:
                row.frames, row.last_slot = row.frames + 1, cell + self.cell - 1
        return tokens_BLD

    def _speak(
        self,
        *,
        used: int,
        embeds_BPH: Tensor,
        counts_B: Tensor,
        last_BH: Tensor,
        last_slot_B: Tensor,
        cell_B: Tensor,
        position_B: Tensor,
        uniform_BL: Tensor,
        normal_BLD: Tensor,
        means_BLKD: Tensor | None = None,
        logits_BK: Tensor | None = None,
    ) -> Tensor:
        """All forward passes of a turn. Shapes are constant, so that it can be recorded as a CUDA graph."""
        speaks_B1 = (counts_B > 0)[:, None]
        place_P = torch.arange(self.script_slots, device=cell_B.device) - self.script_slots
        there_BP = place_P >= -counts_B[:, None]
        script_BP = torch.where(there_BP, position_B[:, None] + counts_B[:, None] + place_P, -1)
        slots_BP = torch.where(there_BP, cell_B[:, None] + self.script_slots + place_P, 0)
        positions_BQ = torch.cat([torch.where(speaks_B1, position_B[:, None] - 1, -1), script_BP], 1)
        slots_BQ = torch.cat([torch.where(positions_BQ[:, :1] >= 0, last_slot_B[:, None], 0), slots_BP], 1)
        input_BQH = torch.cat([last_BH[:, None], embeds_BPH], 1)
        tokens: list[Tensor] = []
        for place in range(self.length):
            hidden_BH = self.cache.forward(input_BQH, positions_BQ, slots_BQ, used)
            here = None if means_BLKD is None or logits_BK is None else (means_BLKD[:, place], logits_BK)
            tokens.append(self._draw(hidden_BH, place, here, uniform_BL[:, place], normal_BLD[:, place]))
            input_BQH = self._embed_token(tokens[-1], place)
            positions_BQ = torch.where(speaks_B1, (position_B + counts_B + place)[:, None], -1)
            slots_BQ = torch.where(speaks_B1, (cell_B + self.script_slots + place)[:, None], 0)
        return torch.stack(tokens, 1)

    def _draw(
        self,
        hidden_BH: Tensor,
        place: int,
        recalled: tuple[Tensor, Tensor] | None,
        uniform_B: Tensor,
        normal_BD: Tensor,
    ) -> Tensor:
        made, config = self.model.predict(hidden_BH, place, recalled), self.config
        if config.guidance == 1:
            return made.draw(uniform_B, normal_BD, config.temperature, config.weight_temperature)
        told, untold = made.halves()
        noise = uniform_B.chunk(2)[0], normal_BD.chunk(2)[0]
        tokens_BD = told.guided(untold, config.guidance).draw(*noise, config.temperature, config.weight_temperature)
        return torch.cat([tokens_BD, tokens_BD])

    def _cell(self, frame: int) -> int:
        """The first slot of a keyframe's cell."""
        place = frame if frame < self.sink else self.sink + (frame - self.sink) % self.ring
        return 1 + self.reference_slots + place * self.cell

    def _used(self) -> int:
        """Number of slots that attention reads: all that may be filled; with graphs, rounded up to whole buckets."""
        frames = max(row.frames for row in self.rows) + 1
        bucket = 1 if self._graphed is None else BUCKET
        frames = min(-(-frames // bucket) * bucket, self.sink + self.ring)
        return _aligned(1 + self.reference_slots + frames * self.cell)

    def _embed_tokens(self, tokens_TLD: Tensor) -> Tensor:
        """All tokens of some keyframes, in order, projected to the backbone's input space."""
        tokens_ND = tokens_TLD.flatten(0, 1)
        return self.model.embed_tokens(tokens_ND, torch.arange(len(tokens_ND), device=tokens_ND.device))

    def _embed_token(self, tokens_BD: Tensor, place: int) -> Tensor:
        places_B = torch.full((len(tokens_BD),), place, device=tokens_BD.device)
        return self.model.embed_tokens(tokens_BD, places_B).unsqueeze(1)


def _aligned(slots: int) -> int:
    """Rounded up to a multiple of 8, which attention kernels require of a mask."""
    return -(-slots // 8) * 8
