"""Before anything long starts: is there all that a flow will load? What is missing is named, all of it at once."""

from collections.abc import Iterator, Sequence

from pydantic import BaseModel

from flows.recipe import Recipe
from models.backbone import LlamaBackbone
from models.checkpoint import CheckpointConfig, CheckpointError, Origin, require
from models.packaged import MODELS
from storage.errors import ConfigError
from storage.root import Storage
from tasks.first_stage import FirstStageConfig
from tasks.frozen import FrozenConfig, init_folder

_LLAMA = Origin(
    name="the autoregressive model's LLaMA",
    licence="see the checkpoint",
    fetch="a LLaMA's folder from the Hugging Face hub (LLaMA-2's licence must be accepted there first)",
    setting="autoregressive.model.backbone.source",
)


def preflight(settings: Recipe, needs: Sequence[str]) -> None:
    """Looks for the checkpoints and sets of images that some parts of a recipe name.

    Args:
        needs: names of the recipe's fields.

    Raises:
        ConfigError: with a line for each that is missing: what to fetch and where to put it.
    """
    lost = [problem for name in needs for problem in _lost(getattr(settings, name))]
    if lost:
        raise ConfigError("\n".join(["not all is there that this needs:", *dict.fromkeys(lost)]))


def _lost(part: object) -> Iterator[str]:
    match part:
        case CheckpointConfig() if part.source not in MODELS:
            yield from _missing(part.origin, part.source, part.hub_revision)
        case LlamaBackbone():
            yield from _missing(_LLAMA, part.source, part.revision or "main")
        case FirstStageConfig():
            for images in part.images:
                if not Storage(images.root).list(""):
                    yield f"first.images: {images.root!r} is empty or not there. {type(images).__doc__}"
        case FrozenConfig():
            try:
                init_folder(part.init)
            except ConfigError as error:
                yield f"frozen.{error}"
    if isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _lost(getattr(part, name))


def _missing(origin: Origin, source: str, revision: str) -> Iterator[str]:
    try:
        require(origin, source, revision)
    except CheckpointError as error:
        yield str(error)
