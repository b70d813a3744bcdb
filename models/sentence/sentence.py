"""What every sentence encoder is."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class SentenceEncoder(Protocol):
    """Turns sentences into vectors of `width` numbers."""

    name: str
    revision: str
    licence: str
    width: int

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [N, width] of unit length, in the order of the sentences."""
        ...

    def too_long(self, sentences: Sequence[str]) -> list[str]:
        """Those whose end doesn't fit in and is not encoded."""
        ...
