"""GroundingDINO through its authors' package groundingdino-py, adapted to transformers 5.

The package's wrapper around BERT calls methods that transformers 5 no longer has, and loads BERT's own weights, which
the checkpoint replaces anyway. While the model is built, two names of the package's module stand for the adapters
below; afterwards the package is as it was. Names of tensors stay the checkpoint's.
Shapes: as in grounding.py; S text tokens.
"""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from models import checkpoint
from models.checkpoint import CheckpointError
from models.detector import GroundingDinoPyConfig, Person
from models.detector.grounding import PROMPT, detect
from models.device import device
from models.face import Image

UNUSED = ("bert.embeddings.position_ids", "label_enc.weight")  # in the authors' files, read by no layer
_building = threading.Lock()


class GroundingDinoPy:
    """The package's model by its pure PyTorch path, which also serves GPUs."""

    name = "groundingdino_py"

    def __init__(self, config: GroundingDinoPyConfig) -> None:
        self.config = config
        self.revision = config.revision
        self.licence = config.origin.licence
        self.device = device()
        weights = checkpoint.read(config.origin, config.source, inside="model")
        self.model = build_model(config)
        result = self.model.load_state_dict(weights, strict=False)
        for keys, what in (
            (result.missing_keys, "are missing"),
            ([key for key in result.unexpected_keys if key not in UNUSED], "belong to another architecture"),
        ):
            if keys:
                why = f"{len(keys)} of its tensors {what}, {keys[0]!r} among them"
                raise checkpoint.missing(config.origin, config.source, why)
        self.model.to(self.device)

    def detect(self, images: Sequence[Image]) -> list[list[Person]]:
        """The people of each picture: at most five, the surest first."""
        return detect(self.look, self.config, images)

    def look(self, pixels_B3hw: Tensor) -> tuple[Tensor, Tensor]:
        """(logits_BQT, boxes_BQ4); logits of places without a token are -inf."""
        found = self.model(pixels_B3hw.to(self.device), captions=[PROMPT] * len(pixels_B3hw))
        return found["pred_logits"], found["pred_boxes"]


def build_model(config: GroundingDinoPyConfig) -> Any:
    """The package's model with random weights, in evaluation mode."""
    settings = architecture(config.architecture)
    settings.use_checkpoint = settings.use_transformer_ckpt = False  # they only spare memory in training
    settings.text_encoder_type = config.text_encoder
    with _adapted(config) as original, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return original.build_groundingdino(settings).eval().requires_grad_(False)


def architecture(name: str) -> Any:
    """The package's settings from a config file of its own, or from a path.

    Raises:
        CheckpointError: when the package or the file is not there.
    """
    try:
        import groundingdino
        from groundingdino.util.slconfig import SLConfig
    except ImportError as error:
        raise CheckpointError(
            f"the backend 'groundingdino_py' needs its authors' package ({error}): pip install --no-deps "
            "groundingdino-py==0.4.0, and pip install 'moviedreamer[groundingdino]' for what it imports"
        ) from error
    packaged = Path(groundingdino.__file__).parent / "config" / name
    path = packaged if packaged.is_file() else Path(name)
    if not path.is_file():
        there = sorted(one.name for one in packaged.parent.glob("Grounding*.py"))
        raise CheckpointError(f"detector.architecture={name!r} is no file, and none of the package's: {there}")
    return SLConfig.fromfile(str(path))


class BertAdapter(nn.Module):
    """In place of the package's BertModelWarper: BERT whose tokens see those of their own phrase only."""

    def __init__(self, bert_model: Any) -> None:
        super().__init__()
        self.config = bert_model.config
        self.embeddings = bert_model.embeddings
        self.encoder = bert_model.encoder
        self.pooler = bert_model.pooler  # unused, but its tensors are in the checkpoint

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, token_type_ids: Tensor
    ) -> dict[str, Tensor]:
        """`attention_mask` [B, S, S] says which token sees which."""
        hidden_BSD = self.embeddings(input_ids=input_ids, position_ids=position_ids, token_type_ids=token_type_ids)
        hidden = torch.zeros_like(attention_mask, dtype=hidden_BSD.dtype).masked_fill(
            ~attention_mask.bool(), torch.finfo(hidden_BSD.dtype).min
        )
        return {"last_hidden_state": self.encoder(hidden_BSD, attention_mask=hidden[:, None]).last_hidden_state}


class _TextEncoder:
    """In place of the package's module get_tokenlizer: tokenizer and an empty BERT from a folder or the hub."""

    def __init__(self, config: GroundingDinoPyConfig) -> None:
        self.origin, self.source, self.hub_revision = config.words, config.text_encoder, config.hub_revision

    def get_tokenlizer(self, _: str) -> Any:
        return checkpoint.tokenizer(self.origin, self.source, self.hub_revision)

    def get_pretrained_language_model(self, _: str) -> Any:
        from transformers import BertConfig, BertModel

        where, pinned = checkpoint.place(self.origin, self.source, self.hub_revision)
        try:
            return BertModel(BertConfig.from_pretrained(where, **pinned))
        except (OSError, ValueError) as error:
            raise checkpoint.missing(self.origin, self.source, str(error).splitlines()[0]) from error


@contextmanager
def _adapted(config: GroundingDinoPyConfig) -> Iterator[Any]:
    """The package's module, whose two names stand for the adapters as long as this lasts."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from groundingdino.models.GroundingDINO import groundingdino as original

    with _building:
        before = original.get_tokenlizer, original.BertModelWarper
        original.get_tokenlizer, original.BertModelWarper = _TextEncoder(config), BertAdapter
        try:
            yield original
        finally:
            original.get_tokenlizer, original.BertModelWarper = before
