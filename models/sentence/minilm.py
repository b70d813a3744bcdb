"""all-MiniLM-L6-v2 from its package. Scripts repeat sentences, so each distinct one is encoded once a process.

Shapes: N sentences, T word pieces, D=384.
"""

from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models.packaged import MODELS, packaged

MOST_KNOWN = 20_000  # sentences whose vectors a process keeps
LONGEST = 256  # word pieces; what the model was trained on


class MiniLmConfig(BaseModel, frozen=True, extra="forbid"):
    """all-MiniLM-L6-v2: 384 numbers, the mean of the last layer."""

    not_identity: ClassVar[tuple[str, ...]] = ("batch",)

    kind: Literal["minilm"] = "minilm"
    batch: int = Field(32, ge=1, description="distinct sentences that run together")

    @property
    def revision(self) -> str:
        """Of the pinned weights; part of every fingerprint that this config is in."""
        return MODELS["minilm"].revision

    @property
    def width(self) -> int:
        """Numbers of a vector."""
        return 384


class MiniLm:
    """Unit vectors [N, 384]: the mean over the word pieces, as sentence-transformers computes it."""

    name = "minilm"
    width = 384

    def __init__(self, config: MiniLmConfig) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder = packaged("minilm")
        self.config = config
        self.revision = MODELS["minilm"].revision
        self.licence = MODELS["minilm"].licence
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        self._known: dict[str, NDArray[np.float32]] = {}

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [N, 384] of unit length, in the order of the sentences; raises ValueError for an empty sentence."""
        empty = [i for i, sentence in enumerate(sentences) if not sentence.strip()]
        if empty:
            raise ValueError(f"sentence {empty[0]} of {len(sentences)} is empty: leave it out of the script")
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        new = sorted(dict.fromkeys(one for one in sentences if one not in self._known), key=len)
        for start in range(0, len(new), self.config.batch):
            batch = new[start : start + self.config.batch]
            self._known.update(zip(batch, self._encode(batch), strict=True))
        return np.stack([self._known[one] for one in sentences]) if sentences else np.zeros((0, 384), np.float32)

    def too_long(self, sentences: Sequence[str]) -> list[str]:
        """Those whose end is not encoded."""
        if not sentences:
            return []
        pieces = self._tokenizer(list(sentences)).input_ids
        return [sentence for sentence, ids in zip(sentences, pieces, strict=True) if len(ids) > LONGEST]

    def _encode(self, batch: list[str]) -> NDArray[np.float32]:
        import torch

        pieces = self._tokenizer(batch, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        with torch.inference_mode():
            hidden_NTD = self._model(**pieces).last_hidden_state
        mask_NT1 = pieces["attention_mask"][..., None].float()
        mean_ND = (hidden_NTD * mask_NT1).sum(1) / mask_NT1.sum(1)
        vectors_ND: NDArray[np.float32] = torch.nn.functional.normalize(mean_ND, dim=1).numpy()
        return vectors_ND
