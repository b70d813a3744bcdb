"""A small Stable Video Diffusion that is trained on drawn films for some minutes, for anchor.py.

All parts are of the real classes and the folder has diffusers' layout. First the VAE learns 112x64 pictures, then the
U-Net learns clips of five frames a quarter of a second apart, together with the CLIP encoder, by the loss of Stable
Video Diffusion: noise levels of EDM, a noisy first frame as latent, and its clean feature. One clip in five lacks the
latent, one in ten both.
"""

import itertools
import time
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKLTemporalDecoder,
    EulerDiscreteScheduler,
    StableVideoDiffusionPipeline,
    UNetSpatioTemporalConditionModel,
)
from einops import rearrange
from numpy.typing import NDArray
from torch import Tensor
from transformers import CLIPImageProcessor, CLIPVisionConfig, CLIPVisionModelWithProjection

from drawn.film import draw_frames

WIDTH, HEIGHT, FRAMES, RATE, MOTION = 112, 64, 5, 4, 127
SETTINGS = {"width": WIDTH, "height": HEIGHT, "frames": FRAMES, "rate": RATE, "guidance": 1.5, "steps": 10}
"""Of its animator."""
FILMS = range(1000, 1100)  # anchor.py draws others
OF_A_FILM = 6  # clips
CUT = 0.16  # mean difference of neighbouring frames, in -1..1, from which on the film has been cut
DRAWN = 0.25  # share of the time for drawing
VAE = 0.3  # share for the VAE
BATCH = 4


def train(folder: Path, seconds: float) -> None:
    """Draws clips, trains both models on them and saves the pipeline; prints the losses."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    clips_NTCHW = torch.stack(list(drawn(DRAWN * seconds)))
    print(f"{len(clips_NTCHW)} clips", flush=True)
    vae = trained_vae(clips_NTCHW, VAE * seconds)
    encoder, unet = trained_unet(clips_NTCHW, vae, (1 - DRAWN - VAE) * seconds)
    scheduler = EulerDiscreteScheduler(
        beta_schedule="scaled_linear", interpolation_type="linear", prediction_type="v_prediction",
        timestep_type="continuous", use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, steps_offset=1,
    )  # fmt: skip
    processor = CLIPImageProcessor(crop_size=224, size=224)
    StableVideoDiffusionPipeline(vae, encoder, unet, scheduler, processor).save_pretrained(folder)


def drawn(seconds: float) -> Iterator[Tensor]:
    """Clips [T, 3, H, W] in -1..1 without a cut, some of each film, until the time is over."""
    began, random = time.monotonic(), np.random.default_rng(0)
    for film in itertools.cycle(FILMS):
        starts = np.sort(random.uniform(2, 90, OF_A_FILM))
        frames = pictures(film, [start + i / RATE for start in starts for i in range(FRAMES)], (WIDTH, HEIGHT))
        for clip_THWC in np.stack(frames).reshape(OF_A_FILM, FRAMES, HEIGHT, WIDTH, 3):
            clip_TCHW = rearrange(torch.from_numpy(clip_THWC), "t h w c -> t c h w") / 127.5 - 1
            if max(float((after - before).abs().mean()) for before, after in pairwise(clip_TCHW)) < CUT:
                yield clip_TCHW
        if time.monotonic() - began > seconds:
            return


def pictures(film: int, seconds: Sequence[float], size: tuple[int, int]) -> list[NDArray[np.uint8]]:
    """Frames of a drawn film at any size; none is drawn smaller than 96 pixels."""
    scale = max(1.0, 96 / min(size))
    width, height = (2 * round(side * scale / 2) for side in size)
    frames = draw_frames(film, seconds, size=(width, height))
    return [cv2.resize(np.asarray(frame), size, interpolation=cv2.INTER_AREA).astype(np.uint8) for frame in frames]


def trained_vae(clips_NTCHW: Tensor, seconds: float) -> AutoencoderKLTemporalDecoder:
    """With latents of 28x16 and 8 channels, whose scale is measured."""
    vae = AutoencoderKLTemporalDecoder(
        block_out_channels=(32, 64, 64), down_block_types=("DownEncoderBlock2D",) * 3, latent_channels=8,
        layers_per_block=1,
    )  # fmt: skip
    parameters = list(vae.parameters())
    optimizer = torch.optim.AdamW(parameters, 2e-3, (0.9, 0.99))
    for step, share in steps(optimizer, seconds):
        clip_TCHW = clips_NTCHW[torch.randint(len(clips_NTCHW), ())]
        code = vae.encode(clip_TCHW).latent_dist
        rebuilt_TCHW = vae.decode(code.sample(), num_frames=FRAMES).sample
        loss = F.l1_loss(rebuilt_TCHW, clip_TCHW) + 1e-3 * code.kl().mean() / code.mean[0].numel()
        advance(loss, optimizer, parameters)
        if step % 50 == 0:
            print(f"VAE step {step} ({share:.0%}): loss {loss.item():.4f}", flush=True)
    vae.eval().requires_grad_(False)
    codes = torch.cat([vae.encode(clip).latent_dist.mode() for clip in clips_NTCHW[:32]])
    vae.register_to_config(scaling_factor=1 / float(codes.std()))
    return vae


def trained_unet(
    clips_NTCHW: Tensor, vae: AutoencoderKLTemporalDecoder, seconds: float
) -> tuple[CLIPVisionModelWithProjection, UNetSpatioTemporalConditionModel]:
    """Both at their mean over the last steps."""
    sizes = CLIPVisionConfig(
        hidden_size=96, projection_dim=64, num_hidden_layers=2, num_attention_heads=3, image_size=224, patch_size=32,
        intermediate_size=192,
    )  # fmt: skip
    encoder = CLIPVisionModelWithProjection(sizes)
    unet = UNetSpatioTemporalConditionModel(
        block_out_channels=(64, 128), layers_per_block=1, sample_size=28, num_frames=FRAMES, in_channels=16,
        out_channels=8, down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=64,
        num_attention_heads=(2, 4), projection_class_embeddings_input_dim=96, addition_time_embed_dim=32,
    )  # fmt: skip
    parameters = [*encoder.parameters(), *unet.parameters()]
    mean = [parameter.detach().clone() for parameter in parameters]
    optimizer = torch.optim.AdamW(parameters, 5e-4, (0.9, 0.99))
    codes_NTCHW = torch.stack([vae.encode(clip).latent_dist.mode() for clip in clips_NTCHW])
    losses = list[float]()
    for step, share in steps(optimizer, seconds):
        some = torch.randint(len(clips_NTCHW), (BATCH,))
        losses.append(advance(loss_of(encoder, unet, vae, clips_NTCHW[some], codes_NTCHW[some]), optimizer, parameters))
        for kept, parameter in zip(mean, parameters, strict=True):
            kept.lerp_(parameter.detach(), 0.01 if step > 100 else 0.1)
        if step % 50 == 0:
            print(f"U-Net step {step} ({share:.0%}): loss {np.mean(losses[-50:]):.4f}", flush=True)
    for kept, parameter in zip(mean, parameters, strict=True):
        parameter.data.copy_(kept)
    return encoder.eval(), unet.eval()


def loss_of(
    encoder: CLIPVisionModelWithProjection,
    unet: UNetSpatioTemporalConditionModel,
    vae: AutoencoderKLTemporalDecoder,
    clips_NTCHW: Tensor,
    codes_NTCHW: Tensor,
) -> Tensor:
    """Of the predicted velocity: diffusers' scheduler takes noise less picture."""
    count, told = len(clips_NTCHW), torch.rand(len(clips_NTCHW))
    sigma_N = torch.exp(0.7 + 1.6 * torch.randn(count))
    strength_N = torch.exp(-3 + 0.5 * torch.randn(count))
    clean = codes_NTCHW * vae.config.scaling_factor
    sigma = rearrange(sigma_N, "n -> n 1 1 1 1")
    noise = torch.randn_like(clean)
    noisy = (clean + sigma * noise) / (sigma**2 + 1).sqrt()
    first_NCHW = clips_NTCHW[:, 0]
    seen = vae.encode(first_NCHW + rearrange(strength_N, "n -> n 1 1 1") * torch.randn_like(first_NCHW))
    latent = seen.latent_dist.mode() * rearrange(told > 0.3, "n -> n 1 1 1")
    latents = latent.unsqueeze(1).expand(-1, FRAMES, -1, -1, -1)
    feature_NC = encoder(features_of(first_NCHW)).image_embeds * rearrange(told > 0.1, "n -> n 1")
    times = torch.stack([torch.full((count,), RATE - 1.0), torch.full((count,), float(MOTION)), strength_N], 1)
    made = unet(
        torch.cat([noisy, latents], 2), 0.25 * sigma_N.log(), feature_NC.unsqueeze(1), added_time_ids=times
    ).sample
    return F.mse_loss(made, (noise - sigma * clean) / (sigma**2 + 1).sqrt())


def features_of(first_NCHW: Tensor) -> Tensor:
    """Pictures as the pipeline gives them to CLIP."""
    mean, std = (
        torch.tensor(given).view(3, 1, 1) for given in (CLIPImageProcessor().image_mean, CLIPImageProcessor().image_std)
    )
    large = F.interpolate(first_NCHW, (224, 224), mode="bicubic", antialias=True)
    return ((large + 1) / 2 - mean) / std


def steps(optimizer: torch.optim.Optimizer, seconds: float) -> Iterator[tuple[int, float]]:
    """Numbers of steps, and the share of the time that has passed, by which the learning rate falls to zero."""
    began, step = time.monotonic(), 0
    highest = [group["lr"] for group in optimizer.param_groups]
    while (share := (time.monotonic() - began) / seconds) < 1:
        for group, rate in zip(optimizer.param_groups, highest, strict=True):
            group["lr"] = rate * min(1, (step + 1) / 50) * (1 - share)
        yield step, share
        step += 1


def advance(loss: Tensor, optimizer: torch.optim.Optimizer, parameters: list[torch.nn.Parameter]) -> float:
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(parameters, 1)
    optimizer.step()
    return loss.item()
