"""Stages 1 and 2: compressor and decoder learn to rebuild keyframes from tokens (section 3.2, Appendix A).

Shapes: F keyframes of the training set, B of a batch, N positions and C channels of the image encoder, L tokens,
D token width; latents_FCHW are the codec's.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.codec import PCACodec
from models.diffusion import diffusion_loss, draw_noise
from models.training import Schedule, generator, rows_of_step
from models.training.average import Averaged, learning_rate


class AutoencoderTrainingConfig(BaseModel, frozen=True, extra="forbid"):
    """The defaults are the laptop's: fine-tuning on the keyframes of one film, a few minutes of one CPU core.

    The paper: two runs (images, then films) of 120k steps, of which the first 20k train the compressor alone.
    """

    model: AutoencoderConfig = AutoencoderConfig()
    warmup_steps: int = Field(800, ge=0, description="first steps, with the U-Net frozen; the paper: 20,000")
    warmup_batch: int = Field(16, gt=0)
    warmup_learning_rate: float = Field(1e-3, gt=0)
    steps: int = Field(1050, gt=0, description="all steps, the frozen ones included; the paper: 120,000")
    batch: int = Field(8, gt=0)
    learning_rate: float = Field(6e-4, gt=0, description="the paper: 1e-4 falling to 2e-5, then 2e-5")
    schedule: Schedule = "cosine"
    weight_decay: float = Field(0.01, ge=0)
    token_noise: float = Field(
        0.4,
        ge=0,
        description="std of the noise on tokens, which have unit variance: what lies near a known keyframe's "
        "tokens decodes to that keyframe, not to a blend",
    )
    flip: float = Field(0.5, ge=0, le=1, description="share of mirrored keyframes")
    coarse_weight: float = Field(1.0, ge=0, description="of the coarse head's l2 loss")
    average: float = Field(0.98, ge=0, lt=1, description="decay of the weights' moving average that is exported")
    seed: int = 0


class Batch(NamedTuple):
    """Data and noise of one step."""

    features_BNC: Tensor
    latents_BCHW: Tensor
    token_noise_BLD: Tensor
    noise_BCHW: Tensor
    timestep_B: Tensor


class AutoencoderTraining:
    """Trains compressor, coarse head and decoder; the image encoder and the codec are frozen.

    The first `warmup_steps` leave the U-Net as it is. Without a coarse head they minimise eq. 1 through the frozen
    decoder, as the paper does with a pretrained one; with a coarse head they minimise its l2 loss alone, which
    doesn't run the U-Net and costs little. With `init`, a folder that `export` wrote, training goes on from there; the
    latents must come from that folder's codec.
    """

    def __init__(
        self,
        config: AutoencoderTrainingConfig,
        codec: PCACodec,
        features_FNC: Tensor,
        features_flipped_FNC: Tensor,
        latents_FCHW: Tensor,
        latents_flipped_FCHW: Tensor,
        init: Path | None = None,
    ) -> None:
        counts = [len(rows) for rows in (features_FNC, features_flipped_FNC, latents_FCHW, latents_flipped_FCHW)]
        if len(set(counts)) > 1 or not counts[0]:
            raise ValueError(f"training needs as many features as latents, mirrored or not, and at least one: {counts}")
        if config.warmup_steps > config.steps:
            raise ValueError(f"warmup_steps={config.warmup_steps} are part of steps={config.steps}, not more")
        self.config, self.steps, self.weight_decay = config, config.steps, config.weight_decay
        self.features = torch.stack([features_FNC, features_flipped_FNC])
        self.latents = torch.stack([latents_FCHW, latents_flipped_FCHW])
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            autoencoder = DiffusionAutoencoder(config.model, codec)
        if init is not None:
            autoencoder = DiffusionAutoencoder.from_pretrained(init)
            if autoencoder.config != config.model:
                raise ValueError(f"{str(init)!r} holds an autoencoder of another config: {autoencoder.config!r}")
            if not codec.same_as(autoencoder.codec):
                raise ValueError(
                    f"the latents come from another codec than {str(init)!r} was trained on; encode the "
                    f"keyframes with load_codec({str(init / 'codec')!r})"
                )
        self.module = Averaged(autoencoder, config.average)

    def parameters(self, step: int) -> Iterable[nn.Parameter]:
        """Compressor (and coarse head), and after the warm-up the decoder too."""
        model = self.module.live
        if step >= self.config.warmup_steps:
            return [*model.compressor.parameters(), *model.decoder.parameters()]
        coarse = [] if model.decoder.coarse is None else list(model.decoder.coarse.parameters())
        return [*model.compressor.parameters(), *coarse]

    def lr(self, step: int) -> float:
        """Each phase rises over its first steps and falls by `schedule`."""
        config = self.config
        if step < config.warmup_steps:
            return config.warmup_learning_rate * learning_rate(config.schedule, step, config.warmup_steps)
        late = config.steps - config.warmup_steps
        return config.learning_rate * learning_rate(config.schedule, step - config.warmup_steps, late)

    def size(self, step: int) -> int:
        return self.config.warmup_batch if step < self.config.warmup_steps else self.config.batch

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        config, size = self.config, self.size(step)
        random = generator(config.seed, step, rank)
        rows_B = rows_of_step(self.latents.shape[1], size, config.seed, step, rank, world)
        mirrored_B = (torch.rand(size, generator=random) < config.flip).long()
        latents_BCHW = self.latents[mirrored_B, rows_B]
        compressor = config.model.compressor
        token_noise_BLD = torch.randn(size, compressor.tokens, compressor.token_width, generator=random)
        noise_BCHW, timestep_B = draw_noise(config.model.diffusion, latents_BCHW.shape, random)
        return Batch(
            self.features[mirrored_B, rows_B].float(),
            latents_BCHW,
            config.token_noise * token_noise_BLD,
            noise_BCHW,
            timestep_B,
        )

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, float]]:
        """Eq. 1, plus the coarse head's l2 loss where there is one."""
        model = self.module.live.train()
        device = model.token_mean_LD.device
        features_BNC, latents_BCHW, token_noise_BLD, noise_BCHW, timestep_B = (part.to(device) for part in batch)
        tokens_BLD = model.encode(features_BNC) + token_noise_BLD
        terms: dict[str, Tensor] = {}
        if model.decoder.coarse is not None and step < self.config.warmup_steps:
            terms["coarse"] = (model.decoder.coarse(tokens_BLD) - latents_BCHW).square().mean()
            return terms["coarse"], {"coarse": float(terms["coarse"].detach())}
        condition = model.decoder.condition(tokens_BLD)
        terms["diffusion"] = diffusion_loss(
            model.decoder, model.config.diffusion, latents_BCHW, noise_BCHW, timestep_B, condition
        )
        total = terms["diffusion"]
        if condition.coarse_BCHW is not None:
            terms["coarse"] = (condition.coarse_BCHW - latents_BCHW).square().mean()
            total = total + self.config.coarse_weight * terms["coarse"]
        return total, {name: float(value.detach()) for name, value in terms.items()}

    def stepped(self, step: int) -> None:
        self.module.update()

    @torch.no_grad()
    def export(self, path: Path) -> None:
        """The averaged weights, with the statistics of the training keyframes' tokens."""
        model = self.module.average.eval()
        features = self.features.flatten(0, 1).to(model.token_mean_LD.device)
        model.measure_tokens(torch.cat([model.encode(part.float()) for part in torch.split(features, 64)]))
        model.save_pretrained(path)
