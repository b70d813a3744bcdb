"""all-MiniLM-L6-v2 from its package, phrase by phrase.

The mean over a long sentence's word pieces loses what belongs together: of "black hair, a blue dress with a red belt"
it keeps three colours, but not which thing has which. So each sentence is split into phrases, each phrase is encoded
alone, and the sentence's vector is the mean of random Fourier features of the phrases' vectors (Rahimi and Recht 2007).
Two sentences are then as similar as their phrases are under a Gaussian kernel, and single phrases can be read out of
the mean.

Shapes: N sentences or phrases, T word pieces, D=384, F=192 frequencies.
"""

import re
from collections.abc import Sequence
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel

from models.weights.packaged import MODELS, packaged

MOST_KNOWN = 20_000  # sentences or phrases whose vectors a process keeps
LONGEST = 256  # word pieces; what the model was trained on
FREQUENCY = 2.0  # standard deviation of the frequencies: the kernel of phrases at a distance of 0.6 is 0.5
_CUTS = re.compile(
    r"[,.;:!?]\s+|\b(?:and|with|wears?|wearing|has|have|is|are)\b|\bin (?=an?\b)", re.IGNORECASE
)  # between phrases
_EDGES = " \t\n.,;:!?"


class MiniLmConfig(BaseModel, frozen=True, extra="forbid"):
    """all-MiniLM-L6-v2: 384 numbers, random Fourier features of the phrases."""

    kind: Literal["minilm"] = "minilm"

    revision: ClassVar[str] = f"{MODELS['minilm'].revision}, phrases 1"
    width: ClassVar[int] = 384


class MiniLm:
    """Unit vectors [N, 384]. Scripts repeat themselves, so each distinct sentence and phrase is encoded once.

    A phrase is encoded alone: beside others its vector would differ in the last bits.
    """

    name = "minilm"
    width = 384

    def __init__(self, config: MiniLmConfig) -> None:
        import torch
        from transformers import AutoModel, AutoTokenizer

        folder = packaged("minilm")
        self.revision = config.revision
        self.licence = MODELS["minilm"].licence
        self._tokenizer = AutoTokenizer.from_pretrained(folder)
        self._model = AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        frequencies = np.random.default_rng(0).standard_normal((self.width, self.width // 2))
        self._frequencies_DF = (FREQUENCY * frequencies).astype(np.float32)
        self._sentences: dict[str, NDArray[np.float32]] = {}
        self._phrases: dict[str, NDArray[np.float32]] = {}

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [N, 384] of unit length, in the order of the sentences; raises ValueError for an empty sentence."""
        empty = [i for i, sentence in enumerate(sentences) if not sentence.strip()]
        if empty:
            raise ValueError(f"sentence {empty[0]} of {len(sentences)} is empty: leave it out of the script")
        for known in (self._sentences, self._phrases):
            if len(known) > MOST_KNOWN:
                known.clear()
        new = {one: phrases(one) for one in sentences if one not in self._sentences}
        for phrase in sorted({phrase for some in new.values() for phrase in some} - self._phrases.keys()):
            angles_F = self.means([phrase])[0] @ self._frequencies_DF
            self._phrases[phrase] = np.concatenate([np.cos(angles_F), np.sin(angles_F)])
        for sentence, some in new.items():
            mean_D = np.mean([self._phrases[phrase] for phrase in some], axis=0)
            self._sentences[sentence] = mean_D / np.linalg.norm(mean_D)
        return np.stack([self._sentences[one] for one in sentences]) if sentences else np.zeros((0, 384), np.float32)

    def too_long(self, sentences: Sequence[str]) -> list[str]:
        """Those with a phrase whose end is not encoded."""
        if not sentences:
            return []
        split = [phrases(sentence) for sentence in sentences]
        pieces = iter(self._tokenizer([phrase for some in split for phrase in some]).input_ids)
        most = [max(len(next(pieces)) for _ in some) for some in split]
        return [sentence for sentence, count in zip(sentences, most, strict=True) if count > LONGEST]

    def means(self, batch: list[str]) -> NDArray[np.float32]:
        """Unit vectors [N, 384]: the mean over the word pieces, as sentence-transformers computes it."""
        import torch

        pieces = self._tokenizer(batch, padding=True, truncation=True, max_length=LONGEST, return_tensors="pt")
        with torch.inference_mode():
            hidden_NTD = self._model(**pieces).last_hidden_state
        mask_NT1 = pieces["attention_mask"][..., None].float()
        mean_ND = (hidden_NTD * mask_NT1).sum(1) / mask_NT1.sum(1)
        vectors_ND: NDArray[np.float32] = torch.nn.functional.normalize(mean_ND, dim=1).numpy()
        return vectors_ND


def phrases(sentence: str) -> list[str]:
    """At least one: "Ann, a woman with black hair, in a red coat." gives Ann, a woman, black hair, a red coat."""
    found = [phrase for part in _CUTS.split(sentence) if (phrase := part.strip(_EDGES))]
    return found or [sentence.strip()]
