"""The interface of image encoders: frozen torch modules from pictures to a grid of features.

Shapes: B pictures, H and W pixels, N grid positions, C channels, E numbers of the retrieval vector.
"""

from abc import ABC, abstractmethod
from typing import Self

from torch import Tensor, nn


class ImageEncoder(nn.Module, ABC):
    """Frozen: its parameters need no gradient, and it always stays in eval mode."""

    name: str
    revision: str
    licence: str
    channels: int  # C
    width: int  # E

    @abstractmethod
    def forward(self, images_B3HW: Tensor) -> Tensor:
        """RGB 0-1 -> features [B, N, C], row by row."""

    @abstractmethod
    def embed(self, images_B3HW: Tensor) -> Tensor:
        """RGB 0-1 -> one vector of unit length for each picture [B, E]; cosine similarity compares pictures."""

    @abstractmethod
    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the features of a picture of that size."""

    def positions(self, height: int, width: int) -> int:
        """N for a picture of that size."""
        rows, columns = self.grid(height, width)
        return rows * columns

    def train(self, mode: bool = True) -> Self:
        """Stays in eval mode: batch norms keep ImageNet's statistics."""
        return super().train(False)
