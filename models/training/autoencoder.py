"""Stages 1 and 2: trains compressor and decoder to rebuild keyframes from tokens (section 3.2, Appendix A).

Shapes: F pictures of the training set, B of a batch, N positions and C channels of the image encoder, L tokens,
D token width; latents_BCHW are the codec's.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.coarse import coarse_loss
from models.autoencoder.components import start_from_components
from models.autoencoder.compressor import ConvolutionalCompressor
from models.autoencoder.diffusion import diffusion_loss, draw_noise
from models.codec import Codec
from models.device import device
from models.training import Schedule, generator
from models.training.ema import Averaged, learning_rate
from models.training.sheet import SHOWN, VALIDATED, even, sheet, windows
from models.training.views import Drawn, Views

_MEASURED = 10_000  # pictures for mean and standard deviation of the tokens
_COMPONENTS = 512  # pictures for the principal components that initialise a code


class StageConfig(BaseModel, frozen=True, extra="forbid"):
    """The defaults are those of the recipe `laptop`: fine-tuning on one film's keyframes, minutes on one CPU core.

    The paper: two stages (images, then films) of 120k steps; the first 20k train only the compressor.
    """

    warmup_steps: int = Field(800, ge=0, description="first steps, with the U-Net frozen; the paper: 20,000")
    warmup_batch: int = Field(16, gt=0, description="keyframes per step while the U-Net is frozen")
    warmup_learning_rate: float | None = Field(
        1e-3, gt=0, description="learning rate while the U-Net is frozen; null: one schedule over all steps"
    )
    steps: int = Field(1050, gt=0, description="all steps, including those with a frozen U-Net; the paper: 120,000")
    batch: int = Field(8, gt=0, description="keyframes a step")
    learning_rate: float = Field(
        6e-4, gt=0, description="highest learning rate; the paper: 1e-4 falling to 2e-5, then 2e-5"
    )
    schedule: Schedule = Field("cosine", description="learning rate schedule after the warm-up")
    falls_to: float = Field(0.05, ge=0, le=1, description="final learning rate, as a share of the highest")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay")
    token_noise: float = Field(
        0.4,
        ge=0,
        description="std of the noise on tokens, which have unit variance: tokens near a known keyframe's then decode "
        "to that keyframe, not to a blend",
    )
    flip: float = Field(0.5, ge=0, le=1, description="share of mirrored keyframes")
    coarse_weight: float = Field(1.0, ge=0, description="weight of the coarse head's loss")
    pixel_weight: float = Field(
        0.0, ge=0, description="weight of l1 in pixels, added to l2 in latents, in the coarse head's loss"
    )
    average: float = Field(0.98, ge=0, lt=1, description="decay of the exported EMA of the weights; 0: none")
    seed: int = Field(0, description="seed of all random draws")


class AutoencoderTrainingConfig(StageConfig, frozen=True, extra="forbid"):
    """The training of the whole autoencoder, and its sizes."""

    model: AutoencoderConfig = Field(AutoencoderConfig(), description="sizes of the autoencoder")


class Batch(NamedTuple):
    """Data and noise of one step."""

    drawn: Drawn
    token_noise_BLD: Tensor
    noise_BCHW: Tensor
    timestep_B: Tensor


class AutoencoderTraining:
    """Trains compressor, coarse head and decoder; the image encoder and the codec are frozen.

    The U-Net is frozen in the first `warmup_steps`. Without a coarse head they minimise eq. 1 through the frozen
    decoder, as the paper does with a pretrained one; with a coarse head they minimise only its l2 loss, which
    doesn't run the U-Net and is cheap. With `init`, a folder of `export`, training starts from its weights, at any
    size of pictures; the latents must be from that folder's codec.
    """

    def __init__(
        self,
        config: AutoencoderTrainingConfig,
        codec: Codec,
        views: Views,
        init: Path | None = None,
        held_out: Views | None = None,
    ) -> None:
        if config.warmup_steps > config.steps:
            raise ValueError(f"warmup_steps={config.warmup_steps} are part of steps={config.steps}, not more")
        self.config, self.steps, self.weight_decay = config, config.steps, config.weight_decay
        self.views, self.held_out = views, held_out
        model = self._random(codec) if init is None else self._initialised(codec, init)
        for part in (model.compressor, model.decoder.coarse):
            if part is not None:
                part.to(memory_format=torch.channels_last)  # faster by a third on CPUs
        self.module = Averaged(model.train(), config.average)

    def _model(self, codec: Codec, unet: Any = None) -> DiffusionAutoencoder:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.config.seed)
            return DiffusionAutoencoder(self.config.model, codec, unet)

    def _random(self, codec: Codec) -> DiffusionAutoencoder:
        """Random weights, except that a compressor's code starts from principal components."""
        model = self._model(codec)
        coarse, compressor = model.decoder.coarse, model.compressor
        if next(model.parameters()).is_meta:  # there are no pictures
            return model
        if isinstance(compressor, ConvolutionalCompressor) and compressor.components and coarse and coarse.components:
            rows_B = even(len(self.views), _COMPONENTS)
            seen = self.views.see(self.views.draw(rows_B, torch.zeros_like(rows_B)), torch.device("cpu"))
            assert seen.features_BNC is not None
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.config.seed)
                start_from_components(compressor, coarse, seen.features_BNC, seen.latents_BCHW)
        return model

    def _initialised(self, codec: Codec, init: Path) -> DiffusionAutoencoder:
        """The model of `init`, for pictures of this training's size."""
        first = DiffusionAutoencoder.from_pretrained(init)
        wanted, kept = self.config.model.decoder, first.config.decoder
        own: dict[str, Any] = {"image_size": wanted.image_size}
        if wanted.unet.kind == kept.unet.kind == "sdxl":  # the weights are in `init`, wherever they came from
            own["unet"] = wanted.unet
        known = {} if wanted.identity else {"identity": kept.identity}  # a model of stage 3 keeps its identity input
        model = self.config.model.model_copy(update={"decoder": wanted.model_copy(update=known)})
        if first.config.model_copy(update={"decoder": kept.model_copy(update=own)}) != model:
            raise ValueError(f"{str(init)!r} holds an autoencoder of another config: {first.config!r}")
        self.config = self.config.model_copy(update={"model": model})
        if not codec.same_as(first.codec.resized(codec.config.width, codec.config.height)):
            raise ValueError(
                f"the latents come from another codec than {str(init)!r} was trained on; encode the "
                f"keyframes with load_codec({str(init / 'codec')!r})"
            )
        made = self._model(codec, first.decoder.unet)
        state = {name: value for name, value in first.state_dict().items() if not name.startswith("codec.")}
        made.load_state_dict(state | {f"codec.{name}": value for name, value in codec.state_dict().items()})
        return made

    def parameters(self, step: int) -> Iterable[nn.Parameter]:
        """Compressor (and coarse head); after the warm-up also the decoder."""
        model = self.module.live
        if step >= self.config.warmup_steps:
            unused = ("sentence_mlp.", "face_mlp.")  # of a decoder of stage 3; stages 1 and 2 don't use them
            decoder = (p for name, p in model.decoder.named_parameters() if not name.startswith(unused))
            return [*model.compressor.parameters(), *decoder]
        coarse = [] if model.decoder.coarse is None else list(model.decoder.coarse.parameters())
        return [*model.compressor.parameters(), *coarse]

    def lr(self, step: int) -> float:
        """Each phase warms up and then follows `schedule`, or all steps are one phase."""
        config = self.config
        if config.warmup_learning_rate is None:
            return config.learning_rate * learning_rate(config.schedule, step, config.steps, config.falls_to)
        if step < config.warmup_steps:
            share = learning_rate(config.schedule, step, config.warmup_steps, config.falls_to)
            return config.warmup_learning_rate * share
        late = config.steps - config.warmup_steps
        share = learning_rate(config.schedule, step - config.warmup_steps, late, config.falls_to)
        return config.learning_rate * share

    def size(self, step: int) -> int:
        return self.config.warmup_batch if step < self.config.warmup_steps else self.config.batch

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        size = self.size(step)
        random = generator(self.config.seed, step, rank)
        rows_B = self.views.rows_of_step(size, self.config.seed, step, rank, world)
        mirrored_B = (torch.rand(size, generator=random) < self.config.flip).long()
        return self._drawn(self.views, rows_B, mirrored_B, random)

    def _drawn(self, views: Views, rows_B: Tensor, mirrored_B: Tensor, random: torch.Generator) -> Batch:
        config, sizes = self.config, self.config.model.compressor
        drawn = views.draw(rows_B, mirrored_B)
        token_noise_BLD = torch.randn(len(rows_B), sizes.tokens, sizes.token_width, generator=random)
        noise_BCHW, timestep_B = draw_noise(config.model.diffusion, (len(rows_B), *views.grid(drawn)), random)
        return Batch(drawn, config.token_noise * token_noise_BLD, noise_BCHW, timestep_B)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 1, plus the loss of the coarse head if there is one."""
        return self._loss(self.module.live, self.views, batch, step)

    @torch.no_grad()
    def validate(self) -> dict[str, Tensor]:
        """The EMA weights' losses on held-out pictures, with the same noise at each call; {} without such pictures."""
        if self.held_out is None:
            return {}
        rows_F = even(len(self.held_out), VALIDATED)
        random = generator(self.config.seed, 0xE7A1)
        losses = []
        for rows_B in self.held_out.batches(rows_F, self.config.batch):
            batch = self._drawn(self.held_out, rows_B, torch.zeros_like(rows_B), random)
            loss, terms = self._loss(self.module.average, self.held_out, batch, self.steps)
            losses.append(torch.stack([loss, *terms.values()]) * len(rows_B) / len(rows_F))
        return dict(zip(("loss", *terms), torch.stack(losses).sum(0), strict=True))

    @torch.no_grad()
    def pictures(self) -> Tensor:
        """A row of pictures, held-out ones if there are any, above their reconstructions."""
        views, model = self.held_out or self.views, self.module.average
        shapes = list(views.batches(even(len(views), SHOWN), SHOWN))
        rows_B = max(shapes, key=len)  # the most frequent shape
        seen = views.see(views.draw(rows_B, torch.zeros_like(rows_B)), model.token_mean_LD.device)
        assert seen.features_BNC is not None
        drawn_BCHW = model.reconstruct(model.encode(seen.features_BNC), seeds=range(len(rows_B)))
        return sheet(model.codec, seen.latents_BCHW, drawn_BCHW)

    def _loss(
        self, model: DiffusionAutoencoder, views: Views, batch: Batch, step: int
    ) -> tuple[Tensor, dict[str, Tensor]]:
        device = model.token_mean_LD.device
        features_BNC, latents_BCHW, sizes_B6 = views.see(batch.drawn, device)
        token_noise_BLD, noise_BCHW, timestep_B = (part.to(device, non_blocking=True) for part in batch[1:])
        assert features_BNC is not None
        tokens_BLD = model.encode(features_BNC) + token_noise_BLD
        terms: dict[str, Tensor] = {}
        if model.decoder.coarse is not None and step < self.config.warmup_steps:
            coarse = coarse_loss(model.codec, model.decoder.coarse(tokens_BLD), latents_BCHW, self.config.pixel_weight)
            return coarse, {"coarse": coarse.detach()}
        condition = model.decoder.condition(tokens_BLD, sizes_B6=sizes_B6)
        terms["diffusion"] = diffusion_loss(
            model.decoder, model.config.diffusion, latents_BCHW, noise_BCHW, timestep_B, condition
        )
        total = terms["diffusion"]
        if condition.coarse_BCHW is not None:
            weight = self.config.pixel_weight
            terms["coarse"] = coarse_loss(model.codec, condition.coarse_BCHW, latents_BCHW, weight)
            total = total + self.config.coarse_weight * terms["coarse"]
        return total, {name: value.detach() for name, value in terms.items()}

    def stepped(self, step: int) -> None:
        self.module.update(step)

    @torch.no_grad()
    def export(self, path: Path) -> None:
        """Exports the EMA weights, with the statistics of the training keyframes' tokens."""
        model = self.module.average.eval().to(device())  # gathered shards are on the CPU
        model.measure_tokens(self._tokens(model))
        model.save_pretrained(path)

    def _tokens(self, model: DiffusionAutoencoder) -> Tensor:
        """Tokens of the training pictures, then of their mirror images; of evenly spread windows if there are many."""
        rows_F = windows(len(self.views), _MEASURED)
        tokens: tuple[list[Tensor], list[Tensor]] = ([], [])
        for rows_B in self.views.batches(rows_F, 64):
            for mirrored, made in enumerate(tokens):  # both together, while their window is in memory
                drawn = self.views.draw(rows_B, torch.full_like(rows_B, mirrored))
                made.append(model.encode(self.views.features_of(drawn, model.token_mean_LD.device)))
        return torch.cat([*tokens[0], *tokens[1]])
