"""GroundingDINO through its authors' package groundingdino-py, adapted to transformers 5.

The package's wrapper around BERT calls methods that transformers 5 no longer has, and loads BERT's own weights, which
the checkpoint replaces anyway. While the model is built, two names of the package's module are patched with our
adapters, and restored afterwards. Tensors keep the names of the checkpoint.
Shapes: as in grounding.py; S text tokens.
"""

import threading
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from models.detector.detector import Person
from models.detector.grounding import PROMPT, detect
from models.device import device
from models.face import Image
from models.weights import checkpoint
from models.weights.checkpoint import CheckpointConfig, CheckpointError, Origin, identity

if TYPE_CHECKING:
    from torch import Tensor

UNUSED = ("bert.embeddings.position_ids", "label_enc.weight")  # in the authors' files, but not used by any layer
_building = threading.Lock()


class GroundingDinoPyConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """GroundingDINO of its authors' package groundingdino-py 0.4.0, with their checkpoint file."""

    origin: ClassVar[Origin] = Origin(
        name="GroundingDINO's original checkpoint",
        licence="Apache-2.0",
        fetch="groundingdino_swint_ogc.pth from the releases of github.com/IDEA-Research/GroundingDINO",
        setting="detector.source",
    )
    words: ClassVar[Origin] = Origin(
        name="the tokenizer and config of GroundingDINO's BERT",
        licence="Apache-2.0",
        fetch="config.json and the tokenizer's files of google-bert/bert-base-uncased from the Hugging Face hub",
        setting="detector.text_encoder",
    )
    not_identity: ClassVar[tuple[str, ...]] = ("source", "hub_revision", "batch", "architecture", "text_encoder")

    kind: Literal["groundingdino_py"] = "groundingdino_py"
    source: str = Field("groundingdino_swint_ogc.pth", description="checkpoint file of groundingdino-py")
    architecture: str = Field(
        "GroundingDINO_SwinT_OGC.py",
        description="config file: a name in the package or a path; it is Python code, and is run",
    )
    text_encoder: str = Field(
        "google-bert/bert-base-uncased",
        description="folder or hub id of BERT's config and tokenizer; its weights are in the checkpoint file",
    )
    threshold: float = Field(0.35, ge=0, lt=1, description="smallest confidence of a box")
    overlap: float = Field(
        0.8, gt=0, le=1, description="intersection over union above which the less confident of two boxes is dropped"
    )
    batch: int = Field(4, ge=1, description="pictures per batch")

    @property
    def revision(self) -> str:
        """Revision of the file and of the code that reads it."""
        words = identity(self.words, self.text_encoder, self.hub_revision)
        return f"{super().revision}, groundingdino-py 0.4.0 {self.architecture.rsplit('/', 1)[-1]}, {words}"


class GroundingDinoPy:
    """The package's model with its pure PyTorch implementation, which also runs on GPUs."""

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
        """The people of each picture: at most five, the most confident first."""
        config = self.config
        return detect(self.look, images, config.batch, config.threshold, config.overlap)

    def look(self, pixels_B3hw: "Tensor") -> "tuple[Tensor, Tensor]":
        """(logits_BQT, boxes_BQ4); logits of positions without a token are -inf."""
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

        from models.detector.bert_adapter import BertAdapter

    with _building:
        before = original.get_tokenlizer, original.BertModelWarper
        original.get_tokenlizer, original.BertModelWarper = _TextEncoder(config), BertAdapter
        try:
            yield original
        finally:
            original.get_tokenlizer, original.BertModelWarper = before
