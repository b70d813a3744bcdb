"""A training step of each model for shapes alone: the loop's own step, on pictures and scripts that show nothing.

What a step takes does not depend on what the pictures show, so one black keyframe and one empty script stand for all.
"""

import tempfile
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.diffusion import alphas_cumprod
from models.autoregressive.autoregressive import AutoregressiveConfig
from models.autoregressive.script_tokens import CHARACTER, PLOT, SCENE_ELEMENT, FrameScript
from models.codec import Codec
from models.device import on
from models.training.autoencoder import AutoencoderTraining, AutoencoderTrainingConfig
from models.training.autoregressive import AutoregressiveTraining
from models.training.blocks import blocks
from models.training.buckets import Buckets
from models.training.decoder import DecoderTraining, Keyframes
from models.training.scripted import InMemoryEpisode
from models.training.views import FrozenModels, InMemory, Pixels, Views
from models.vision import LatentsConfig, build_features
from models.weights import shapes
from storage.root import Storage
from tasks.plan.ledger import GpuAutocast, Ledger
from tasks.training.engine import memory
from tasks.training.engine.dataloader import Share
from tasks.training.engine.job import FitConfig, Job
from tasks.training.engine.training_loop import Run
from tasks.training.first_stage import FirstStageConfig
from tasks.training.frozen import FrozenConfig, frozen_codec
from tasks.training.train_autoencoder import TrainAutoencoderConfig
from tasks.training.train_autoregressive import TrainAutoregressiveConfig
from tasks.training.train_decoder import TrainDecoderConfig

if TYPE_CHECKING:
    from models.training import Trainable

Built = Callable[[], AbstractContextManager[None]]
"""Where models are built: `shapes.only`, or a null context for real ones."""

_PEOPLE, _ELEMENTS, _PLOTS = 2, 5, 4  # of a script: 128 such keyframes take about 5,000 slots, as the paper says


@dataclass(frozen=True)
class Step:
    """Of one step of one worker, at its fullest.

    Attributes:
        parameters, trained: how many numbers the model and what is frozen beside it have, and how many are trained.
        weights, gradients, moments, gathered, activations: bytes; `gathered` are the whole weights of two blocks where
            each worker has a shard of all, `activations` what comes on top of the others at the step's peak.
        flops: of matrix products, convolutions and attention; two for a multiplication and an addition.
    """

    parameters: int
    trained: int
    weights: int
    gradients: int
    moments: int
    gathered: int
    activations: int
    flops: int

    @property
    def bytes(self) -> int:
        """All that the worker's device holds at the peak, without the driver's own."""
        return self.weights + self.gradients + self.moments + self.gathered + self.activations


def stage_one(config: TrainAutoencoderConfig, first: FirstStageConfig) -> Step:
    """Of stage 1 of the autoencoder."""
    width, height = (
        (first.width, first.height) if not first.sizes else max(first.sizes, key=lambda one: one[0] * one[1])[::-1]
    )
    return taken(autoencoder(first.whole(config.training.model), config.frozen, (height, width)), config.fit)


def stage_two(config: TrainAutoencoderConfig) -> Step:
    """Of stage 2 of the autoencoder."""
    return taken(autoencoder(config.training, config.frozen), config.fit)


def stage_three(config: TrainDecoderConfig, model: AutoencoderConfig) -> Step:
    """Of stage 3, the decoder of autoencoders like `model`."""
    return taken(decoder(config, model), config.fit)


def tokens(config: TrainAutoregressiveConfig) -> Step:
    """Of the autoregressive model."""
    return taken(autoregressive(config), config.fit)


def autoencoder(
    config: AutoencoderTrainingConfig,
    frozen: FrozenConfig,
    size: tuple[int, int] | None = None,
    built: Built = shapes.only,
) -> AutoencoderTraining:
    """The training of stage 1 or 2, at a height and width; `built` is where its models are."""
    with built():
        codec = frozen_codec(frozen)
        codec = codec.resized(size[1], size[0]) if size else codec
    views = _views(frozen, codec, max(config.batch, config.warmup_batch), True, built)
    with built():
        return AutoencoderTraining(config, codec, views)


def decoder(config: TrainDecoderConfig, model: AutoencoderConfig, built: Built = shapes.only) -> DecoderTraining:
    """The training of stage 3; `built` is where its models are."""
    batch, sizes = config.training.batch, model.decoder
    with built():
        codec = frozen_codec(config.frozen)
        made = DiffusionAutoencoder(model, codec)
    views = _views(config.frozen, codec, batch, False, built)
    shape = (len(views), model.compressor.tokens, model.compressor.token_width)
    keyframes = Keyframes(
        views, InMemoryEpisode("", _scripts(len(views), sizes.sentence_width, sizes.face_width), torch.zeros(shape))
    )
    with built():
        return DecoderTraining(config.training, made, keyframes)


def autoregressive(config: TrainAutoregressiveConfig, built: Built = shapes.only) -> AutoregressiveTraining:
    """The training of the autoregressive model; `built` is where it is."""
    training, model = config.training, config.training.model
    story = film(model, 2 * training.window + training.references)
    with built():
        return AutoregressiveTraining(training, [story])


def film(model: AutoregressiveConfig, keyframes: int) -> InMemoryEpisode:
    """A film that the model can read: two people, five scene elements and four sentences of plot in each keyframe."""
    tokens_TLD = torch.zeros(keyframes, model.tokens, model.width)
    return InMemoryEpisode("", _scripts(keyframes, model.sentence_width, model.face_width), tokens_TLD, tokens_TLD)


def taken(trainable: "Trainable", fit: FitConfig) -> Step:
    """A step of a training in which all is trained that ever is.

    With `fit.sharding=fsdp` weights, gradients and moments are shared out among the workers, and the weights of two
    blocks come together at a time: the one at work, and the next. What the forward pass leaves, such as autocast's
    copies of whole weights, then no longer fits into the place that whole gradients take later.
    """
    step, module = trainable.steps - 1, trainable.module
    plain = fit.model_copy(update={"optimizer": "adamw", "compile": False})  # moments of 8 bits are counted below
    alphas_cumprod(torch.device("cpu"))  # else what all later calls get is one without numbers
    batch = trainable.batch(step)
    ledger, before, forward, loss = Ledger(), 0, 0, trainable.loss

    def watched(*given: Any) -> Any:
        nonlocal forward
        made = loss(*given)
        forward = ledger.peak
        return made

    setattr(trainable, "loss", watched)  # noqa: B010
    with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch, ExitStack() as stack:
        stack.enter_context(ledger)
        stack.enter_context(on("cpu"))
        if fit.gpus:
            stack.enter_context(GpuAutocast())
        run = Run(Job(Storage(scratch), "plan", "plan", lambda: trainable, plain), trainable, rank=1, world=1)
        run.done = step
        still = _encoder(trainable)

        def mark(*_: object) -> None:
            nonlocal before
            before = ledger.peak

        run.optimizer.register_step_pre_hook(mark)
        run.take([Share(0, ledger.faked(batch), 1)])
        workers = max(fit.workers, 1)
        kept = memory.estimate(module, trainable.parameters(step), fit.optimizer, fit.sharding, workers)
        whole = memory.estimate(module, trainable.parameters(step), fit.optimizer, "ddp", 1)
        beside = sum(one.numel() * one.element_size() for one in still)
        sharded = fit.sharding == "fsdp" and workers > 1
        static = whole.parameters + whole.average + beside
        on_top = before - static - whole.gradients
        sizes = [sum(p.numel() * p.element_size() for p in block.parameters()) for block in blocks(module)]
        trained = sum(parameter.numel() for parameter in trainable.parameters(step))
        return Step(
            parameters=sum(parameter.numel() for parameter in [*module.parameters(), *still]),
            trained=trained,
            weights=kept.parameters + kept.average + beside,
            gradients=kept.gradients,
            moments=kept.optimizer,
            gathered=sum(sorted(sizes)[-2:]) if sharded else 0,
            activations=max(0, on_top, forward - static if sharded else 0),
            flops=ledger.flops,
        )


def _encoder(trainable: "Trainable") -> list[torch.nn.Parameter]:
    """Of the frozen image encoder that stands beside the model, where one looks at pictures in each step."""
    models = getattr(getattr(trainable, "views", None), "frozen", None)
    return list(models.encoder.parameters()) if models and models.encoder is not None else []


def _views(frozen: FrozenConfig, codec: Codec, count: int, features: bool, built: Built) -> Views:
    """`count` pictures as a training sees them: stored, or looked at in each step."""
    patch = frozen.vision.patch if frozen.kept and isinstance(frozen.vision, LatentsConfig) else None
    with built():
        encoder = build_features(frozen.vision, codec) if features and patch is None else None
    if not frozen.kept:
        size = codec.config.height, codec.config.width
        pictures = Pixels(_Black(count, *size), Buckets([size], [size]))
        return Views(pictures, FrozenModels(codec, encoder, (frozen.height, frozen.width), [size]))
    latents = torch.zeros(count, *codec.grid)
    if encoder is None:
        return Views(InMemory(latents, latents), patch=patch)
    seen = torch.zeros(count, encoder.positions(frozen.height, frozen.width), encoder.channels)
    return Views(InMemory(latents, latents, seen, seen))


def _scripts(count: int, sentence_width: int, face_width: int) -> Sequence[FrameScript]:
    kinds = np.array([CHARACTER] * _PEOPLE + [SCENE_ELEMENT] * _ELEMENTS + [PLOT] * _PLOTS, np.int8)
    sentences = np.zeros((len(kinds), sentence_width), np.float32)
    return [FrameScript("", sentences, kinds, np.zeros((_PEOPLE, face_width), np.float32))] * count


@dataclass(frozen=True)
class _Black:
    """Black pictures."""

    count: int
    height: int
    width: int
    window = 1

    def __len__(self) -> int:
        return self.count

    def read(self, row: int) -> NDArray[np.uint8]:
        return np.zeros((self.height, self.width, 3), np.uint8)
