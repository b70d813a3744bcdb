"""LongCLIP-L (Zhang et al. 2024): CLIP's text tower stretched to 248 positions, the paper's sentence encoder.

The original file keeps two tables of positions. The first 20 come from `positional_embedding`, which training left as
CLIP had them; the others from `positional_embedding_res`, which it trained. Tokens are those of CLIP, through
open_clip's tokenizer, which carries the vocabulary.
Shapes: N sentences, T tokens, D numbers of the joint space.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from models.device import device
from models.weights import checkpoint, shapes
from models.weights.checkpoint import CheckpointConfig, Origin
from models.weights.clip_layout import is_file, saved_width, text_tower

if TYPE_CHECKING:
    from torch import Tensor

MOST_KNOWN = 20_000  # sentences whose vectors a process keeps
KEPT = 20  # positions that LongCLIP leaves as CLIP had them


class LongClipConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """LongCLIP-L, the paper's: 768 numbers, sentences of up to 248 tokens."""

    origin: ClassVar[Origin] = Origin(
        name="LongCLIP-L",
        licence="Apache-2.0",
        fetch="longclip-L.pt from BeichenZhang/LongCLIP-L on the Hugging Face hub",
        setting="sentence.source",
    )

    kind: Literal["longclip"] = "longclip"
    source: str = Field(
        "longclip-L.pt",
        description="longclip-L.pt of its authors, or a folder or hub id with transformers' text tower of 248 "
        "positions",
    )
    width: int = Field(768, ge=1, description="numbers of a vector; read from the checkpoint where it is at hand")
    batch: int = Field(32, ge=1, description="distinct sentences that run together")

    def checkpoint_width(self) -> int | None:
        """Numbers of the checkpoint's vectors, None where it isn't on this machine."""
        return saved_width(self.origin, self.source, "projection_dim", "text_projection", axis=1)


class LongClip:
    """Unit vectors [N, D]: the last token of each sentence, projected into the space that pictures share."""

    name = "longclip"

    def __init__(self, config: LongClipConfig) -> None:
        from open_clip.tokenizer import SimpleTokenizer

        self.config = config
        self.revision = config.revision
        self.licence = config.origin.licence
        self.device = device()
        self._model = network(config).to(self.device)
        sizes = self._model.config
        self.width, self.longest = sizes.projection_dim, sizes.max_position_embeddings
        if self.width != config.width:
            why = f"its vectors have {self.width} numbers, sentence.width is {config.width}"
            raise checkpoint.missing(config.origin, config.source, why)
        self._tokenizer = SimpleTokenizer(context_length=self.longest)
        self._known: dict[str, NDArray[np.float32]] = {}

    def encode(self, sentences: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [N, D] of unit length, in the order of the sentences; raises ValueError for an empty sentence.

        Of a sentence that is too long for the positions its first words are encoded; see `too_long`.
        """
        empty = [i for i, sentence in enumerate(sentences) if not sentence.strip()]
        if empty:
            raise ValueError(f"sentence {empty[0]} of {len(sentences)} is empty: leave it out of the script")
        if len(self._known) > MOST_KNOWN:
            self._known.clear()
        new = sorted(dict.fromkeys(one for one in sentences if one not in self._known), key=len)
        for start in range(0, len(new), self.config.batch):
            batch = new[start : start + self.config.batch]
            self._known.update(zip(batch, self._encode(batch), strict=True))
        return np.stack([self._known[one] for one in sentences]) if sentences else np.zeros((0, self.width), np.float32)

    def too_long(self, sentences: Sequence[str]) -> list[str]:
        """Those whose end is not encoded."""
        return [sentence for sentence in sentences if len(self._tokens(sentence)) > self.longest]

    def shortened(self, sentence: str) -> str:
        """As many of its first words as have room; a single word that has none is cut inside."""
        words = sentence.split()
        while len(words) > 1 and len(self._tokens(" ".join(words))) > self.longest:
            words.pop()
        return " ".join(words)

    def _tokens(self, sentence: str) -> list[int]:
        tokenizer = self._tokenizer
        return [tokenizer.sot_token_id, *tokenizer.encode(sentence), tokenizer.eot_token_id]

    def _encode(self, batch: list[str]) -> NDArray[np.float32]:
        import torch

        tokens = [self._tokens(self.shortened(sentence)) for sentence in batch]
        length = min(max(len(ids) for ids in tokens), self.longest)
        ids_NT = torch.zeros(len(tokens), length, dtype=torch.long)  # what stands behind the end is not looked at
        for row_T, ids in zip(ids_NT, tokens, strict=True):
            row_T[: min(len(ids), length)] = torch.tensor(ids[:length])
            row_T[min(len(ids), length) - 1] = self._tokenizer.eot_token_id
        with torch.inference_mode():
            vectors_ND = self._model(input_ids=ids_NT.to(self.device)).text_embeds
        made_ND: NDArray[np.float32] = torch.nn.functional.normalize(vectors_ND, dim=1).cpu().numpy()
        return made_ND


def merged(state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """The original state dict with its two tables of positions as one."""
    import torch

    weights = dict(state)
    stretched = weights.pop("positional_embedding_res", None)
    if stretched is not None:
        first = weights["positional_embedding"][:KEPT]
        weights["positional_embedding"] = torch.cat([first, stretched[KEPT:]])
    return weights


def network(config: LongClipConfig) -> Any:
    """The text tower of a checkpoint; raises CheckpointError when it is missing or of another kind."""
    from transformers import CLIPTextModelWithProjection

    if not is_file(config.source) or shapes.wanted():
        return checkpoint.pretrained(config.origin, CLIPTextModelWithProjection, config.source, config.hub_revision)
    state = checkpoint.read(config.origin, config.source, inside="state_dict")
    if "positional_embedding_res" not in state:
        why = "it has no second table of positions ('positional_embedding_res'): it is a CLIP, no LongCLIP"
        raise checkpoint.missing(config.origin, config.source, why)
    sizes, weights = text_tower(config.origin, config.source, merged(state))
    return checkpoint.assembled(config.origin, CLIPTextModelWithProjection, config.source, sizes, weights)
