"""Equations 1 and 2 by hand on the paper's own parts in small, each read through its own library; what freezes when."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoencoder.diffusion import DiffusionConfig, draw_noise
from models.autoregressive.script_tokens import FrameScript
from models.training.decoder import DecoderTraining, DecoderTrainingConfig, Keyframes
from models.training.scripted import InMemoryEpisode
from models.training.views import InMemory, Views
from models.vision import ClipConfig, build
from tests.models import tiny_checkpoints
from tests.models.tiny_sdxl import FACE, SENTENCE, compressed, mlp, model, noised, training


@pytest.mark.parametrize("layout", ["transformers", "open_clip"])
@pytest.mark.parametrize("width", [32, 20])
def test_equation_1_from_pixels_to_loss(
    sdxl: Path, clip: Path, pictures: torch.Tensor, layout: str, width: int, tmp_path
):
    """CLIP, compressor, VAE and U-Net, each through its own library from its own files."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPVisionModel

    normal = F.interpolate(pictures, (56, 56))
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    normal = (normal - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[:, None, None]
    kept: list[torch.Tensor] = []
    with torch.no_grad():
        if layout == "transformers":
            source, channels = clip, 24
            kept.append(CLIPVisionModel.from_pretrained(clip).eval()(pixel_values=normal).last_hidden_state)
        else:
            source, channels = tmp_path / "open_clip.bin", 64
            theirs = tiny_checkpoints.open_clip_vision(source)
            theirs.visual.transformer.register_forward_hook(lambda _, __, output: kept.append(output))
            theirs.encode_image(normal)
    trained = training(sdxl, source, pictures, model=model(sdxl, width, channels), flip=0.0)
    batch = trained.batch(3)
    stored = trained.views.source.latents[0]
    rows = [int((stored - one).abs().sum((1, 2, 3)).argmin()) for one in batch.drawn.latents_BCHW]
    live = trained.module.live.eval()
    weights = dict(live.compressor.state_dict())
    with torch.no_grad():
        tokens = compressed(kept[0][:, 1:], weights)[rows]
        latents = AutoencoderKL.from_pretrained(sdxl / "vae").encode(2 * pictures - 1).latent_dist.mean[rows] * 0.13025
        context = tokens if width == 32 else tokens @ live.decoder.widen.weight.T
        pooled = torch.cat([tokens[:, 0], tokens[:, 1]], -1) @ live.decoder.pooled.weight.T + live.decoder.pooled.bias
        sizes = torch.tensor([[64.0, 96.0, 0.0, 0.0, 64.0, 96.0]]).expand(3, 6)
        unet = UNet2DConditionModel.from_pretrained(sdxl / "unet").eval()
        predicted = unet(
            noised(latents, batch.noise_BCHW, batch.timestep_B),
            batch.timestep_B,
            encoder_hidden_states=context,
            added_cond_kwargs={"text_embeds": pooled, "time_ids": sizes},
        ).sample
        by_hand = ((batch.noise_BCHW - predicted) ** 2).mean()
        assert (context.shape, pooled.shape) == ((3, 2, 32), (3, 20))
        torch.testing.assert_close(trained.loss(batch, 3)[0], by_hand, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def stage_2(sdxl: Path, clip: Path, pictures: torch.Tensor, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("stage_2")
    training(sdxl, clip, pictures).export(folder)
    return folder


def test_stage_2_goes_on_from_stage_1_wherever_the_unet_lies_by_then(
    stage_2: Path, sdxl: Path, clip: Path, pictures: torch.Tensor, tmp_path: Path
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(sdxl, moved)
    trained = training(moved, clip, pictures, init=stage_2)
    assert trained.module.live.config.decoder.unet.source == str(moved)
    before = DiffusionAutoencoder.from_pretrained(stage_2).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in trained.module.live.state_dict().items())
    with pytest.raises(ValueError, match="another config"):
        training(moved, clip, pictures, init=stage_2, model=model(moved, width=20))


def stage_3(stage_2: Path, pictures: torch.Tensor, **changed: Any) -> DecoderTraining:
    random = np.random.default_rng(0)
    sentences = [random.standard_normal((12 - i, SENTENCE)).astype(np.float32) for i in range(5)]
    faces = [random.standard_normal((i, FACE)).astype(np.float32) for i in range(5)]
    scripts = [FrameScript(f"f-{i:06d}", sentences[i], np.zeros(12 - i, np.int8), faces[i]) for i in range(5)]
    loaded = DiffusionAutoencoder.from_pretrained(stage_2)
    tokens = torch.randn(5, 2, 32, generator=torch.Generator().manual_seed(2))
    latents = loaded.codec.encode(pictures), loaded.codec.encode(pictures.flip(-1))
    config = DecoderTrainingConfig(**{"steps": 4, "batch": 4, "token_noise": 0.0, "flip": 0.0} | changed)
    return DecoderTraining(
        config, stage_2, Keyframes(Views(InMemory(*latents)), InMemoryEpisode("f", scripts, tokens, tokens))
    )


def test_equation_2_by_hand(stage_2: Path, pictures: torch.Tensor) -> None:
    """Descriptions and faces through two MLPs, zeros to 15 and 5, masked one by one: [22, D] into the U-Net."""
    from diffusers import UNet2DConditionModel

    trained = stage_3(stage_2, pictures, dropped=0.0, masked=0.2)
    batch, decoder = trained.batch(0), trained.module.live.decoder
    with torch.no_grad():
        described = torch.zeros(4, 15, 32)
        faced = torch.zeros(4, 5, 32)
        for row in range(4):
            said = int((batch.sentences_BSE[row].abs().sum(-1) > 0).sum())
            seen = int((batch.faces_BPG[row].abs().sum(-1) > 0).sum())
            described[row, :said] = mlp(batch.sentences_BSE[row, :said], decoder.sentence_mlp)
            faced[row, :seen] = mlp(batch.faces_BPG[row, :seen], decoder.face_mlp)
        context = torch.cat([batch.tokens_BLD, described, faced], 1) * batch.keep_BK[..., None]
        assert context.shape == (4, 22, 32)
        assert 0 < float((batch.keep_BK == 0).float().mean()) < 0.5
        pooled = batch.tokens_BLD.flatten(1) @ decoder.pooled.weight.T + decoder.pooled.bias
        unet = UNet2DConditionModel.from_pretrained(stage_2 / "unet")
        predicted = unet(
            noised(batch.drawn.latents_BCHW, batch.noise_BCHW, batch.timestep_B),
            batch.timestep_B,
            encoder_hidden_states=context,
            added_cond_kwargs={
                "text_embeds": pooled,
                "time_ids": torch.tensor([[64.0, 96.0, 0, 0, 64.0, 96.0]]).expand(4, 6),
            },
        ).sample
        by_hand = ((batch.noise_BCHW - predicted) ** 2).mean()
    torch.testing.assert_close(trained.loss(batch, 0)[0].detach(), by_hand, rtol=1e-4, atol=1e-5)


def bytes_of(module: torch.nn.Module) -> dict[str, bytes]:
    return {name: value.detach().numpy().tobytes() for name, value in module.state_dict().items()}


def step(trained: Any, optimiser: torch.optim.Optimizer, number: int) -> None:
    wanted = {id(p) for p in trained.parameters(number)}
    for parameter in trained.module.live.parameters():
        parameter.requires_grad_(id(parameter) in wanted)
    optimiser.zero_grad(set_to_none=True)
    trained.loss(trained.batch(number), number)[0].backward()
    optimiser.step()
    trained.stepped(number)


def test_frozen_parts_get_no_gradient_and_keep_their_bytes(sdxl: Path, clip: Path, pictures: torch.Tensor) -> None:
    """Warm-up: U-Net and VAE as they were; then the VAE alone. CLIP never."""
    encoder = build(ClipConfig(source=str(clip)))
    before_clip = bytes_of(encoder)
    trained = training(sdxl, clip, pictures)
    live = trained.module.live
    optimiser = torch.optim.AdamW(list(live.parameters()), lr=1e-2, weight_decay=0.1)
    decoder, codec, compressor = (bytes_of(part) for part in (live.decoder, live.codec, live.compressor))
    for number in (0, 1):
        step(trained, optimiser, number)
        assert all(p.grad is None for part in (live.decoder, live.codec) for p in part.parameters())
    assert (bytes_of(live.decoder), bytes_of(live.codec)) == (decoder, codec)
    assert bytes_of(live.compressor) != compressor
    step(trained, optimiser, 2)
    assert all(p.grad is not None for p in live.decoder.parameters())
    assert bytes_of(live.decoder.unet) != decoder
    assert bytes_of(live.codec) == codec
    assert bytes_of(encoder) == before_clip


def test_in_stage_3_the_compressor_keeps_its_bytes(stage_2: Path, pictures: torch.Tensor) -> None:
    trained = stage_3(stage_2, pictures)
    live = trained.module.live
    before = [bytes_of(part) for part in (live.compressor, live.codec, live.decoder.unet)]
    optimiser = torch.optim.AdamW(list(live.parameters()), lr=1e-2, weight_decay=0.1)
    step(trained, optimiser, 0)
    after = [bytes_of(part) for part in (live.compressor, live.codec, live.decoder.unet)]
    assert after[:2] == before[:2]
    assert after[2] != before[2]


def test_rates_of_masking_padding_and_dropping(stage_2: Path, pictures: torch.Tensor) -> None:
    trained = stage_3(stage_2, pictures, batch=500)
    batch = trained.batch(1)
    assert float((batch.keep_BK == 0).float().mean()) == pytest.approx(0.2, abs=0.01)
    assert float((batch.keep_B == 0).float().mean()) == pytest.approx(0.05, abs=0.03)
    sentences, faces = ((part.abs().sum(-1) > 0).sum(1) for part in (batch.sentences_BSE, batch.faces_BPG))
    assert torch.equal(sentences + faces, torch.full((500,), 12))  # keyframe i has 12 - i of one and i of the other


def test_noise_offset_of_sdxls_latents() -> None:
    """A share of each channel's noise is common to its whole grid: its mean has 0.05^2 more variance."""
    config = DiffusionConfig(prediction="epsilon")
    noise, _ = draw_noise(config, (4000, 4, 32, 32), torch.Generator().manual_seed(0))
    assert float(noise.mean((2, 3)).var()) == pytest.approx(1 / 1024 + 0.05**2, rel=0.05)
    assert float(noise.var()) == pytest.approx(1 + 0.05**2, rel=0.01)


def test_the_paper_s_freeze_ends_after_20_000_steps(sdxl: Path, clip: Path, pictures: torch.Tensor) -> None:
    trained = training(sdxl, clip, pictures, warmup_steps=20_000, steps=120_000)
    live = trained.module.live
    assert {id(p) for p in trained.parameters(19_999)} == {id(p) for p in live.compressor.parameters()}
    both = [*live.compressor.parameters(), *live.decoder.parameters()]
    assert {id(p) for p in trained.parameters(20_000)} == {id(p) for p in both}
