"""Before anything long starts: is there all that a flow will load? What is missing is named, all of it at once."""

from collections.abc import Iterator, Set
from importlib.util import find_spec

from pydantic import BaseModel

from flows.recipe import Recipe
from flows.servers import ask_servers
from models.checkpoint import CheckpointConfig, CheckpointError, require
from models.packaged import MODELS
from storage.errors import ConfigError
from storage.root import Storage
from tasks import script_movie
from tasks.first_stage import FirstStageConfig
from tasks.frozen import FrozenConfig, init_folder
from tasks.job import FitConfig


def preflight(settings: Recipe, storage: Storage, uses: Set[str]) -> None:
    """Looks for the checkpoints, sets of images, servers and script that some parts of a recipe name.

    Args:
        uses: names of the recipe's fields.

    Raises:
        ConfigError: with a line for each that is missing: what to fetch and where to put it.
        ServersError: a server that can't be used.
    """
    parts = [name for name in Recipe.model_fields if name in uses]
    lost = [problem for name in parts for problem in _lost(getattr(settings, name))]
    if lost:
        raise ConfigError("\n".join(["not all is there that this needs:", *dict.fromkeys(lost)]))
    if "script" in uses and settings.script.path:
        script_movie.read(settings.script)
    if "captioner" in uses:
        ask_servers(settings, storage)


def _lost(part: object) -> Iterator[str]:
    match part:
        case CheckpointConfig() if part.source not in MODELS:
            try:
                require(part.origin, part.source, part.hub_revision)
            except CheckpointError as error:
                yield str(error)
        case FirstStageConfig():
            for images in part.images:
                if not Storage(images.root).list(""):
                    yield f"first.images: {images.root!r} is empty or not there. {type(images).__doc__}"
        case FitConfig() if part.optimizer == "adamw8bit" and find_spec("torchao") is None:
            yield (
                "optimizer=adamw8bit needs torchao: pip install torchao, or set autoregressive_fit.optimizer=adamw, "
                "with which LLaMA-2-7B takes four GPUs (autoregressive_fit.workers=4)"
            )
        case FrozenConfig():
            try:
                init_folder(part.init)
            except ConfigError as error:
                yield f"frozen.{error}"
    if isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _lost(getattr(part, name))
