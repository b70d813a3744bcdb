"""Diffusion: what the decoder learns to predict (eq. 1 and 2) and how a picture is drawn from noise.

Shapes: B keyframes, C latent channels, H x W latent grid.
"""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor

from models.decoder import Condition, DiffusionDecoder, drop

TIMESTEPS = 1000


class DiffusionConfig(BaseModel, frozen=True, extra="forbid"):
    """`epsilon` is eq. 1 on SDXL's schedule; `flow`, a straight path, learns faster and needs fewer sampling steps."""

    prediction: Literal["epsilon", "v", "flow"] = "flow"
    noise_offset: float = Field(0.05, ge=0, description="std of the noise that a whole channel shares; the paper: 0.05")
    time_mean: float = Field(0.7, description="flow: t = sigmoid(N(time_mean, time_std)); at t = 1 all is noise")
    time_std: float = Field(1.0, gt=0)


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
    """z_t = alpha_t x + sigma_t noise, and what the decoder shall predict from it."""
    if config.prediction == "flow":
        time = (timestep_B / TIMESTEPS)[:, None, None, None]
        return (1 - time) * latents_BCHW + time * noise_BCHW, noise_BCHW - latents_BCHW
    schedule = _training_schedule()
    noisy_BCHW = schedule.add_noise(latents_BCHW, noise_BCHW, timestep_B)
    if config.prediction == "epsilon":
        return noisy_BCHW, noise_BCHW
    return noisy_BCHW, schedule.get_velocity(latents_BCHW, noise_BCHW, timestep_B)


def diffusion_loss(
    decoder: DiffusionDecoder,
    config: DiffusionConfig,
    latents_BCHW: Tensor,
    noise_BCHW: Tensor,
    timestep_B: Tensor,
    condition: Condition,
) -> Tensor:
    """Eq. 1 (and eq. 2, when the condition holds scripts): the mean squared error of the prediction, a scalar."""
    noisy_BCHW, target_BCHW = corrupt(config, latents_BCHW, noise_BCHW, timestep_B)
    prediction_BCHW: Tensor = decoder(noisy_BCHW, timestep_B, condition)
    return (prediction_BCHW - target_BCHW).square().mean()


@torch.no_grad()
def sample(
    decoder: DiffusionDecoder,
    config: DiffusionConfig,
    condition: Condition,
    seeds: Sequence[int],
    steps: int,
    guidance: float = 1.0,
) -> Tensor:
    """Draw latents_BCHW by Euler steps, one seed a keyframe.

    A keyframe's noise depends on its own seed only, never on the batch around it nor on the device. `guidance`
    other than 1 weighs the conditional against the unconditional prediction and costs a second pass a step.
    """
    if len(seeds) != len(condition.context_BKX):
        raise ValueError(f"{len(seeds)} seeds for {len(condition.context_BKX)} keyframes: give one seed a keyframe")
    if steps < 1:
        raise ValueError(f"sampling takes at least one step, got {steps}")
    device = condition.context_BKX.device
    noise = [torch.randn(decoder.grid, generator=torch.Generator().manual_seed(seed)) for seed in seeds]
    schedule = sampling_schedule(config)
    if config.prediction == "flow":
        schedule.set_timesteps(sigmas=torch.linspace(1, 1 / steps, steps).tolist(), device=device)
        latents_BCHW = torch.stack(noise).to(device)
    else:
        schedule.set_timesteps(steps, device=device)
        latents_BCHW = torch.stack(noise).to(device) * schedule.init_noise_sigma
    nothing = drop(condition, condition.context_BKX.new_zeros(len(seeds)))
    for timestep in schedule.timesteps:
        timestep_B = timestep.expand(len(seeds))
        scaled_BCHW = latents_BCHW
        if config.prediction != "flow":
            scaled_BCHW = schedule.scale_model_input(latents_BCHW, timestep)
        prediction_BCHW = decoder(scaled_BCHW, timestep_B, condition)
        if guidance != 1.0:
            unconditional_BCHW = decoder(scaled_BCHW, timestep_B, nothing)
            prediction_BCHW = unconditional_BCHW + guidance * (prediction_BCHW - unconditional_BCHW)
        latents_BCHW = schedule.step(prediction_BCHW, timestep, latents_BCHW).prev_sample
    return latents_BCHW


def sampling_schedule(config: DiffusionConfig) -> Any:
    """A fresh diffusers scheduler for sampling, the one that is saved beside the U-Net."""
    from diffusers import EulerDiscreteScheduler, FlowMatchEulerDiscreteScheduler

    if config.prediction == "flow":
        return FlowMatchEulerDiscreteScheduler(num_train_timesteps=TIMESTEPS)
    kind = {"epsilon": "epsilon", "v": "v_prediction"}[config.prediction]
    return EulerDiscreteScheduler(**_SDXL, prediction_type=kind, timestep_spacing="trailing")


_SDXL: dict[str, Any] = {
    "num_train_timesteps": TIMESTEPS,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}


@lru_cache(maxsize=1)
def _training_schedule() -> Any:
    from diffusers import DDPMScheduler

    return DDPMScheduler(**_SDXL)
