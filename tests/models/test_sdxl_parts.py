"""SDXL's U-Net and VAE as backends: loaded, sized, exported, and refused where they are something else."""

from pathlib import Path

import pytest
import torch

from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoencoder.decoder import DecoderConfig, DiffusionDecoder
from models.autoencoder.unet import SdxlUNetConfig
from models.codec import SdxlVaeConfig, build_codec
from models.weights.checkpoint import CheckpointError
from tests.models import tiny_checkpoints
from tests.models.hub_cache import COMMIT, fetched
from tests.models.tiny_sdxl import model, training, vae


@pytest.mark.parametrize("tokens", [2, 8])
def test_any_number_of_tokens(sdxl: Path, tokens: int) -> None:
    autoencoder = DiffusionAutoencoder(model(sdxl, tokens=tokens), vae(sdxl))
    assert autoencoder.encode(torch.randn(1, 16, 24)).shape == (1, tokens, 32)
    assert autoencoder.with_identity().decoder.condition(torch.randn(1, tokens, 32)).context_BKX.shape[1] == tokens + 20


def test_given_sizes_reach_the_unet(sdxl: Path) -> None:
    decoder = DiffusionDecoder(model(sdxl).decoder, 2, 32, (4, 8, 12))
    seen: list[torch.Tensor] = []
    decoder.unet.register_forward_pre_hook(
        lambda _, __, named: seen.append(named["added_cond_kwargs"]["time_ids"]), with_kwargs=True
    )
    sizes = torch.tensor([[1080.0, 1920, 0, 128, 768, 768]])
    tokens, noise = torch.randn(1, 2, 32), torch.randn(1, 4, 8, 12)
    decoder(noise, torch.tensor([3]), decoder.condition(tokens, sizes_B6=sizes, keep_B=torch.zeros(1)))
    decoder(noise, torch.tensor([3]), decoder.condition(tokens))
    assert torch.equal(seen[0], sizes)
    assert seen[1].tolist() == [[64, 96, 0, 0, 64, 96]]


def test_the_vae_scales_its_latents_and_gives_pictures_of_any_size(sdxl: Path, pictures: torch.Tensor) -> None:
    from diffusers import AutoencoderKL

    codec, theirs = vae(sdxl), AutoencoderKL.from_pretrained(sdxl / "vae").eval()
    with torch.no_grad():
        expected = theirs.encode(2 * pictures - 1).latent_dist.mean * 0.13025
        decoded = (theirs.decode(expected / 0.13025).sample / 2 + 0.5).clamp(0, 1)
    assert codec.grid == (4, 8, 12)
    torch.testing.assert_close(codec.encode(pictures), expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(codec.decode(expected), decoded, rtol=1e-4, atol=1e-4)
    square = codec.resized(64, 64)
    assert square.grid == (4, 8, 8)
    assert square.vae is codec.vae
    assert square.encode(pictures).shape == (5, 4, 8, 8)


def test_half_precision_is_kept_out_of_the_vae(sdxl: Path, pictures: torch.Tensor) -> None:
    with pytest.raises(ValueError, match="force_upcast"):
        build_codec(SdxlVaeConfig(source=str(sdxl), dtype="float16"))
    codec = vae(sdxl)
    alone = codec.encode(pictures)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(codec.encode(pictures), alone)


def test_half_precision_files_are_float32_once_loaded(sdxl: Path, tmp_path) -> None:
    from diffusers import UNet2DConditionModel

    whole = UNet2DConditionModel.from_pretrained(sdxl / "unet")
    whole.half().save_pretrained(tmp_path / "unet", variant="fp16")
    decoder = model(sdxl).decoder.model_copy(update={"unet": SdxlUNetConfig(source=str(tmp_path), variant="fp16")})
    loaded = DiffusionDecoder(decoder, 2, 32, (4, 8, 8)).unet.state_dict()
    assert all(value.dtype == torch.float32 for value in loaded.values())
    for name, value in whole.state_dict().items():
        assert torch.equal(loaded[name], value.float()), name


@pytest.mark.parametrize("identity", [False, True])
def test_an_export_stands_alone_and_opens_in_plain_diffusers(
    sdxl: Path, clip: Path, pictures: torch.Tensor, identity: bool, tmp_path
) -> None:
    from diffusers import AutoencoderKL, EulerDiscreteScheduler, UNet2DConditionModel

    gone = tiny_checkpoints.sdxl(tmp_path / "fetched", seed=3)
    autoencoder = training(gone, clip, pictures).module.live
    autoencoder = autoencoder.with_identity() if identity else autoencoder
    autoencoder.save_pretrained(tmp_path / "export")
    (gone / "unet").rename(tmp_path / "elsewhere")
    again = DiffusionAutoencoder.from_pretrained(tmp_path / "export")
    assert again.codec.same_as(autoencoder.codec)
    assert set(again.state_dict()) == set(autoencoder.state_dict())
    for name, value in autoencoder.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name
    unet = UNet2DConditionModel.from_pretrained(tmp_path / "export", subfolder="unet").eval()
    assert unet.config.addition_embed_type == "text_time"
    assert AutoencoderKL.from_pretrained(tmp_path / "export/codec", subfolder="vae").config.scaling_factor == 0.13025
    assert EulerDiscreteScheduler.from_pretrained(tmp_path / "export", subfolder="scheduler")
    condition, noise = again.decoder.condition(torch.randn(1, 2, 32)), torch.randn(1, 4, 8, 12)
    added = {"text_embeds": condition.pooled_BP, "time_ids": torch.tensor([[64.0, 96, 0, 0, 64, 96]])}
    there = unet(noise, torch.tensor([7]), encoder_hidden_states=condition.context_BKX, added_cond_kwargs=added).sample
    torch.testing.assert_close(there, again.decoder(noise, torch.tensor([7]), condition))


def test_what_is_missing_or_does_not_fit_is_named(sdxl: Path, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    grid = (4, 8, 8)
    for part, source in ((SdxlUNetConfig, "nowhere"), (SdxlVaeConfig, str(tmp_path / "gone"))):
        with pytest.raises(CheckpointError, match=r"Fetch the folder \w+/ of stabilityai.*\.source"):
            _ = part(source=source).revision
    with pytest.raises(CheckpointError, match=r"SDXL base's U-Net can't be loaded from 'nowhere'"):
        DiffusionDecoder(DecoderConfig(unet=SdxlUNetConfig(source="nowhere"), coarse=None), 2, 32, grid)
    broken = tiny_checkpoints.sdxl(tmp_path / "broken")
    file = broken / "unet/diffusion_pytorch_model.safetensors"
    weights = load_file(file)
    del weights["add_embedding.linear_1.weight"]
    save_file(weights, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"'add_embedding\.linear_1\.weight' among them"):
        DiffusionDecoder(DecoderConfig(unet=SdxlUNetConfig(source=str(broken)), coarse=None), 2, 32, grid)
    save_file(weights | {"add_embedding.linear_1.weight": torch.zeros(3, 3)}, file, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"add_embedding\.linear_1\.weight"):
        DiffusionDecoder(DecoderConfig(unet=SdxlUNetConfig(source=str(broken)), coarse=None), 2, 32, grid)
    plain = tiny_checkpoints.sdxl(
        tmp_path / "sd15",
        addition_embed_type=None,
        projection_class_embeddings_input_dim=None,
        addition_time_embed_dim=None,
    )
    with pytest.raises(CheckpointError, match="addition_embed_type=None"):
        DiffusionDecoder(DecoderConfig(unet=SdxlUNetConfig(source=str(plain)), coarse=None), 2, 32, grid)
    with pytest.raises(ValueError, match=r"codec makes 16.*sdxl_vae"):
        DiffusionDecoder(DecoderConfig(unet=SdxlUNetConfig(source=str(sdxl)), coarse=None), 2, 32, (16, 8, 8))
    with pytest.raises(ValueError, match="coarse=null"):
        DiffusionDecoder(DecoderConfig(unet=SdxlUNetConfig(source=str(sdxl))), 2, 32, grid)


def test_a_revision_names_the_weights_and_not_their_place(sdxl: Path) -> None:
    one = SdxlUNetConfig(source=str(sdxl)).revision
    assert one == SdxlUNetConfig(source=str(sdxl / "unet")).revision
    assert one != SdxlVaeConfig(source=str(sdxl)).revision


def test_a_part_of_a_hub_id_is_named_by_commit_and_part(sdxl: Path, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    fetched(tmp_path, "some/sdxl", sdxl)
    assert SdxlUNetConfig(source="some/sdxl").revision == f"some/sdxl@{COMMIT} unet"
