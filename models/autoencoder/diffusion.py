"""Diffusion: the decoder's training target (eq. 1 and 2), and sampling of pictures from noise.

Shapes: B keyframes, C latent channels, H x W latent grid.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal, Protocol, Self

import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor

from models.autoencoder.decoder import Condition, DecoderConfig, drop

TIMESTEPS = 1000
Sampler = Literal["euler", "dpm++"]


class Denoiser(Protocol):
    """A DiffusionDecoder, or a faster copy of one (`models.autoencoder.fast`)."""

    config: DecoderConfig
    grid: tuple[int, int, int]

    def __call__(self, noisy_BCHW: Tensor, timesteps_B: Tensor, condition: Condition) -> Tensor: ...


class DiffusionConfig(BaseModel, frozen=True, extra="forbid"):
    """`epsilon` is eq. 1 on SDXL's schedule; `flow`, a straight path, trains faster and needs fewer sampling steps."""

    prediction: Literal["epsilon", "v", "flow"] = Field(
        "flow",
        description="what the U-Net predicts: epsilon is eq. 1 on SDXL's schedule, flow a straight path that "
        "learns faster",
    )
    noise_offset: float = Field(
        0.05, ge=0, description="standard deviation of the noise that a whole channel shares; the paper: 0.05"
    )
    time_mean: float = Field(0.7, description="flow: t = sigmoid(N(time_mean, time_std)); t = 1 is pure noise")
    time_std: float = Field(1.0, gt=0, description="flow: see time_mean")
    min_snr: float | None = Field(
        None, gt=0, description="epsilon, v: weigh losses by min(SNR, this), often 5; null: no weights"
    )

    @model_validator(mode="after")
    def _min_snr_has_an_snr(self) -> Self:
        if self.min_snr is not None and self.prediction == "flow":
            raise ValueError(f"min_snr={self.min_snr} goes with prediction=epsilon or v, not with flow")
        return self


def draw_noise(config: DiffusionConfig, shape_BCHW: Sequence[int], generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The random part of a training step: noise_BCHW (with the offset) and timestep_B in 0-1000."""
    batch, channels = shape_BCHW[:2]
    noise_BCHW = torch.randn(tuple(shape_BCHW), generator=generator)
    noise_BCHW = noise_BCHW + config.noise_offset * torch.randn(batch, channels, 1, 1, generator=generator)
    if config.prediction == "flow":
        normal_B = torch.randn(batch, generator=generator)
        return noise_BCHW, TIMESTEPS * torch.sigmoid(config.time_mean + config.time_std * normal_B)
    return noise_BCHW, torch.randint(TIMESTEPS, (batch,), generator=generator)


def corrupt(
    config: DiffusionConfig, latents_BCHW: Tensor, noise_BCHW: Tensor, timestep_B: Tensor
) -> tuple[Tensor, Tensor]:
    """z_t = alpha_t x + sigma_t noise, and the decoder's target."""
    alpha_B, sigma_B = alpha_sigma(config, timestep_B)
    alpha, sigma = alpha_B[:, None, None, None], sigma_B[:, None, None, None]
    return alpha * latents_BCHW + sigma * noise_BCHW, _target(config, latents_BCHW, noise_BCHW, alpha, sigma)


def _target(config: DiffusionConfig, latents_BCHW: Tensor, noise_BCHW: Tensor, alpha: Tensor, sigma: Tensor) -> Tensor:
    match config.prediction:
        case "epsilon":
            return noise_BCHW
        case "v":
            return alpha * noise_BCHW - sigma * latents_BCHW
        case "flow":
            return noise_BCHW - latents_BCHW


def alpha_sigma(config: DiffusionConfig, timestep_B: Tensor) -> tuple[Tensor, Tensor]:
    """alpha_t and sigma_t of z_t: a straight line for `flow`, otherwise SDXL's schedule, interpolated between steps."""
    if config.prediction == "flow":
        time_B = timestep_B / TIMESTEPS
        return 1 - time_B, time_B
    bar_T = alphas_cumprod(timestep_B.device)
    low_B = timestep_B.long().clamp(0, TIMESTEPS - 1)
    bar_B = torch.lerp(bar_T[low_B], bar_T[(low_B + 1).clamp(max=TIMESTEPS - 1)], (timestep_B - low_B).float())
    return bar_B.sqrt(), (1 - bar_B).sqrt()


def diffusion_loss(
    decoder: Denoiser,
    config: DiffusionConfig,
    latents_BCHW: Tensor,
    noise_BCHW: Tensor,
    timestep_B: Tensor,
    condition: Condition,
) -> Tensor:
    """Eq. 1 (and eq. 2, if the condition has scripts): the mean squared error of the prediction, a scalar.

    With `min_snr` it is the error of the implied latents times min(SNR, min_snr), written as a weight on the
    prediction's own error (Hang et al., 2023).
    """
    noisy_BCHW, target_BCHW = corrupt(config, latents_BCHW, noise_BCHW, timestep_B)
    errors_BCHW = (predict(decoder, config, noisy_BCHW, timestep_B, condition) - target_BCHW).square()
    if config.min_snr is None:
        return errors_BCHW.mean()
    alpha_B, sigma_B = alpha_sigma(config, timestep_B)
    snr_B = (alpha_B / sigma_B).square()
    weight_B = snr_B.clamp(max=config.min_snr) / (snr_B if config.prediction == "epsilon" else snr_B + 1)
    return (errors_BCHW.mean((1, 2, 3)) * weight_B).mean()


def predict(
    decoder: Denoiser, config: DiffusionConfig, noisy_BCHW: Tensor, timestep_B: Tensor, condition: Condition
) -> Tensor:
    """The prediction that eq. 1 compares with its target.

    Without a coarse map it is the U-Net's output. With one, the U-Net's output is a correction: it is added to the
    optimal prediction if latents were distributed around the map with a std of `coarse.spread`. So before training the
    decoder draws the coarse map. A dropped map (all zeros) has no effect.
    """
    prediction_BCHW: Tensor = decoder(noisy_BCHW, timestep_B, condition)
    if condition.coarse_BCHW is None or decoder.config.coarse is None:
        return prediction_BCHW
    alpha_B, sigma_B = alpha_sigma(config, timestep_B)
    alpha, sigma = alpha_B[:, None, None, None], sigma_B[:, None, None, None]
    map_BCHW, variance = condition.coarse_BCHW, decoder.config.coarse.spread**2
    total = sigma**2 + alpha**2 * variance
    noise_BCHW = sigma * (noisy_BCHW - alpha * map_BCHW) / total
    latents_BCHW = (sigma**2 * map_BCHW + alpha * variance * noisy_BCHW) / total
    known = map_BCHW.flatten(1).any(1)[:, None, None, None]
    return prediction_BCHW + _target(config, latents_BCHW, noise_BCHW, alpha, sigma) * known


def draw_once(decoder: Denoiser, config: DiffusionConfig, noise_BCHW: Tensor, condition: Condition) -> Tensor:
    """Latents_BCHW of one step from pure noise, as `sample` with one step draws them, but differentiable."""
    timestep_B = noise_BCHW.new_full((len(noise_BCHW),), TIMESTEPS)
    return noise_BCHW - predict(decoder, config, noise_BCHW, timestep_B, condition)


@torch.no_grad()
def sample(
    decoder: Denoiser,
    config: DiffusionConfig,
    condition: Condition,
    seeds: Sequence[int],
    steps: int,
    guidance: float = 1.0,
    sampler: Sampler = "euler",
) -> Tensor:
    """Draws latents_BCHW by Euler or DPM++ (2M) steps, with one seed per keyframe.

    A keyframe's noise depends only on its seed, not on the batch or the device. `guidance` other than 1 weighs the
    conditional against the unconditional prediction and needs a second forward pass per step.
    """
    if len(seeds) != len(condition.context_BKX):
        raise ValueError(f"{len(seeds)} seeds for {len(condition.context_BKX)} keyframes: give one seed per keyframe")
    if steps < 1:
        raise ValueError(f"sampling takes at least one step, got {steps}")
    device = condition.context_BKX.device
    noise = [torch.randn(decoder.grid, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    schedule = sampling_schedule(config, sampler)
    if config.prediction == "flow" and sampler == "euler":
        schedule.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).tolist(), device=device)
    else:
        schedule.set_timesteps(steps, device=device)
    schedule.set_begin_index(0)  # otherwise the first step synchronises with the device
    scaled = config.prediction != "flow" and sampler == "euler"
    latents_BCHW = torch.stack(noise).to(device) * (schedule.init_noise_sigma if scaled else 1)
    nothing = drop(condition, condition.context_BKX.new_zeros(len(seeds)))
    for timestep in schedule.timesteps:
        timestep_B = timestep.expand(len(seeds))
        scaled_BCHW = schedule.scale_model_input(latents_BCHW, timestep) if scaled else latents_BCHW
        prediction_BCHW = predict(decoder, config, scaled_BCHW, timestep_B, condition)
        if guidance != 1.0:
            unconditional_BCHW = predict(decoder, config, scaled_BCHW, timestep_B, nothing)
            prediction_BCHW = unconditional_BCHW + guidance * (prediction_BCHW - unconditional_BCHW)
        latents_BCHW = schedule.step(prediction_BCHW, timestep, latents_BCHW).prev_sample
    return latents_BCHW


def sampling_schedule(config: DiffusionConfig, sampler: Sampler = "euler") -> Any:
    """A fresh diffusers scheduler for sampling; Euler's is saved beside the U-Net."""
    import diffusers

    if config.prediction == "flow":
        if sampler == "euler":
            return diffusers.FlowMatchEulerDiscreteScheduler(num_train_timesteps=TIMESTEPS)
        return diffusers.DPMSolverMultistepScheduler(
            num_train_timesteps=TIMESTEPS, prediction_type="flow_prediction", use_flow_sigmas=True
        )
    kind = {"epsilon": "epsilon", "v": "v_prediction"}[config.prediction]
    classes = {"euler": diffusers.EulerDiscreteScheduler, "dpm++": diffusers.DPMSolverMultistepScheduler}
    return classes[sampler](**_SDXL, prediction_type=kind, timestep_spacing="trailing")


_SDXL: dict[str, Any] = {
    "num_train_timesteps": TIMESTEPS,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}


@lru_cache
def alphas_cumprod(device: torch.device) -> Tensor:
    """SDXL's cumulative product of alphas at each timestep, cached."""
    from diffusers import DDPMScheduler

    schedule: Any = DDPMScheduler(**_SDXL)
    alphas_cumprod: Tensor = schedule.alphas_cumprod
    return alphas_cumprod.to(device)
