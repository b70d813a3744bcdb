"""Keyframes with their scripts and tokens, in memory or read on demand.

Shapes: T keyframes, L tokens per keyframe, D token width.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from torch import Tensor

from models.autoregressive.script_tokens import FrameScript


class Scripted(Protocol):
    """Keyframes by number."""

    def __len__(self) -> int: ...

    def read(self, frames: Sequence[int], flipped: bool = False) -> tuple[Sequence[FrameScript], Tensor]:
        """Scripts and tokens_TLD of keyframes, or of their mirror images."""
        ...


class Episode(Scripted, Protocol):
    """One film, or a part of it: keyframes in order of time."""

    @property
    def film_id(self) -> str: ...

    @property
    def mirrored(self) -> bool:
        """Whether mirror images are available."""
        ...


@dataclass(frozen=True)
class InMemoryEpisode:
    """An episode in memory.

    `scripts_flipped` are the scripts of the mirrored keyframes (left and right exchanged); without them a mirrored
    keyframe keeps its script, as in the paper.
    """

    film_id: str
    scripts: Sequence[FrameScript]
    tokens_TLD: Tensor
    tokens_flipped_TLD: Tensor | None = None
    scripts_flipped: Sequence[FrameScript] | None = None

    def __post_init__(self) -> None:
        flipped = self.tokens_TLD if self.tokens_flipped_TLD is None else self.tokens_flipped_TLD
        counts = [len(self.scripts), len(self.tokens_TLD), len(flipped), len(self.scripts_flipped or self.scripts)]
        if len(set(counts)) > 1 or not self.scripts:
            raise ValueError(
                f"{self.film_id}: an episode needs as many scripts as keyframes, flipped or not, and at least one; "
                f"got {counts[0]} scripts, {counts[1]} keyframes, {counts[2]} flipped, {counts[3]} flipped scripts"
            )

    @property
    def mirrored(self) -> bool:
        return self.tokens_flipped_TLD is not None

    def __len__(self) -> int:
        return len(self.scripts)

    def read(self, frames: Sequence[int], flipped: bool = False) -> tuple[Sequence[FrameScript], Tensor]:
        scripts, tokens_TLD = self.scripts, self.tokens_TLD
        if flipped and self.tokens_flipped_TLD is not None:
            scripts, tokens_TLD = self.scripts_flipped or scripts, self.tokens_flipped_TLD
        return [scripts[t] for t in frames], tokens_TLD[list(frames)]
