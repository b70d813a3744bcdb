"""The autoencoder as a whole: rebuilding, token statistics, and folders that plain diffusers opens."""

import pytest
import torch

from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.coarse import CoarseConfig
from models.autoencoder.compressor import TransformerConfig
from models.autoencoder.decoder import DecoderConfig
from models.autoencoder.unet import UNetConfig
from models.codec import PCACodec, PCACodecConfig

UNET = UNetConfig(channels=(32, 32), transformers=(0, 1), head_width=16, cross_width=16, pooled_width=16, size_width=8)
CONFIG = AutoencoderConfig(
    compressor=TransformerConfig(channels=12, positions=6, token_width=16, width=16, heads=2),
    decoder=DecoderConfig(unet=UNET, coarse=CoarseConfig(hidden=16, channels=(16, 8))),
)


@pytest.fixture
def autoencoder() -> DiffusionAutoencoder:
    codec = PCACodec(PCACodecConfig(width=64, height=32, block=8, channels=6))
    codec.fit(torch.rand(6, 3, 32, 64, generator=torch.Generator().manual_seed(0)))
    torch.manual_seed(0)
    model = DiffusionAutoencoder(CONFIG, codec).eval()
    torch.nn.init.normal_(model.decoder.unet.conv_out.weight, std=0.1)  # as after some training
    return model


def test_features_to_tokens_to_pictures(autoencoder: DiffusionAutoencoder) -> None:
    tokens = autoencoder.encode(torch.randn(5, 6, 12))
    assert tokens.shape == (5, 2, 16)
    latents = autoencoder.reconstruct(tokens, seeds=range(5), steps=2)
    assert latents.shape == (5, 6, 4, 8)
    assert autoencoder.codec.decode(latents).shape == (5, 3, 32, 64)


def test_batches_do_not_change_pictures(autoencoder: DiffusionAutoencoder) -> None:
    tokens = autoencoder.encode(torch.randn(5, 6, 12)).detach()
    whole = autoencoder.reconstruct(tokens, seeds=[3, 1, 4, 1, 5], steps=2)
    parts = autoencoder.reconstruct(tokens, seeds=[3, 1, 4, 1, 5], steps=2, batch=2)
    torch.testing.assert_close(whole, parts, atol=1e-4, rtol=1e-4)


def test_a_denoiser_draws_in_the_decoders_place(autoencoder: DiffusionAutoencoder) -> None:
    class Still:
        config, grid = autoencoder.decoder.config, autoencoder.decoder.grid

        def __call__(self, noisy, timesteps, condition):
            return torch.zeros_like(noisy)

    tokens = autoencoder.encode(torch.randn(3, 6, 12)).detach()
    own, still = (autoencoder.reconstruct(tokens, seeds=range(3), steps=2, denoiser=d) for d in (None, Still()))
    assert (own - still).abs().max() > 0.01


def test_one_seed_a_keyframe(autoencoder: DiffusionAutoencoder) -> None:
    with pytest.raises(ValueError, match="1 seeds for 2 keyframes"):
        autoencoder.reconstruct(torch.zeros(2, 2, 16), seeds=[0])


def test_token_statistics(autoencoder: DiffusionAutoencoder) -> None:
    tokens = torch.randn(50, 2, 16) * 3 + 1
    autoencoder.measure_tokens(tokens)
    torch.testing.assert_close(autoencoder.token_mean_LD, tokens.mean(0))
    torch.testing.assert_close(autoencoder.token_std_LD, tokens.std(0, correction=0))
    autoencoder.measure_tokens(tokens[:1])
    assert (autoencoder.token_std_LD > 0).all()


def test_stage_3_starts_from_the_same_pictures_weights(autoencoder: DiffusionAutoencoder) -> None:
    wider = autoencoder.with_identity()
    assert wider.config.decoder.identity
    assert wider.decoder.context_length == 22
    for name, value in autoencoder.state_dict().items():
        assert torch.equal(wider.state_dict()[name], value), name
    sentences = torch.randn(2, 15, 384)
    tokens = torch.randn(2, 2, 16)
    with_script = wider.eval().reconstruct(tokens, sentences, seeds=[0, 1], steps=1)
    assert (with_script - wider.reconstruct(tokens, seeds=[0, 1], steps=1)).abs().max() > 1e-5


@pytest.mark.parametrize("identity", [False, True])
def test_saved_and_loaded(autoencoder: DiffusionAutoencoder, identity: bool, tmp_path) -> None:
    autoencoder.measure_tokens(torch.randn(9, 2, 16))
    model = autoencoder.with_identity() if identity else autoencoder
    model.save_pretrained(tmp_path)
    again = DiffusionAutoencoder.from_pretrained(tmp_path)
    assert again.config == model.config
    assert not again.training
    assert set(again.state_dict()) == set(model.state_dict())
    for name, value in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], value), name


def test_half_precision_halves_the_files(autoencoder: DiffusionAutoencoder, tmp_path) -> None:
    autoencoder.save_pretrained(tmp_path / "full")
    autoencoder.save_pretrained(tmp_path / "half", dtype=torch.float16)
    name = "unet/diffusion_pytorch_model.safetensors"
    assert (tmp_path / "half" / name).stat().st_size < 0.6 * (tmp_path / "full" / name).stat().st_size
    again = DiffusionAutoencoder.from_pretrained(tmp_path / "half")
    for name, value in autoencoder.state_dict().items():
        assert again.state_dict()[name].dtype == value.dtype
        torch.testing.assert_close(again.state_dict()[name], value, atol=1e-3, rtol=1e-3)


def test_unet_opens_in_plain_diffusers(autoencoder: DiffusionAutoencoder, tmp_path) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DConditionModel

    autoencoder.save_pretrained(tmp_path)
    unet = UNet2DConditionModel.from_pretrained(tmp_path, subfolder="unet").eval()
    assert FlowMatchEulerDiscreteScheduler.from_pretrained(tmp_path, subfolder="scheduler")
    condition = autoencoder.decoder.condition(torch.randn(1, 2, 16))
    assert condition.coarse_BCHW is not None
    noisy, time = torch.randn(1, 6, 4, 8), torch.tensor([500.0])
    added = {"text_embeds": condition.pooled_BP, "time_ids": torch.tensor([[512.0, 896.0, 0, 0, 512.0, 896.0]])}
    sample = torch.cat([noisy, condition.coarse_BCHW], 1)
    there = unet(sample, time, encoder_hidden_states=condition.context_BKX, added_cond_kwargs=added).sample
    torch.testing.assert_close(there, autoencoder.decoder(noisy, time, condition))


def test_wrong_folder_is_quoted(tmp_path) -> None:
    with pytest.raises(ValueError, match=r"no config\.json"):
        DiffusionAutoencoder.from_pretrained(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("file", "key"), [("unet/diffusion_pytorch_model", "conv_in.bias"), ("decoder", "pooled.bias")]
)
def test_weights_that_do_not_fit_are_named(autoencoder: DiffusionAutoencoder, file: str, key: str, tmp_path) -> None:
    from safetensors.torch import load_file, save_file

    autoencoder.save_pretrained(tmp_path)
    path = tmp_path / f"{file}.safetensors"
    weights = load_file(path)
    save_file({name: value for name, value in weights.items() if name != key}, path)
    with pytest.raises(ValueError, match=rf"config\.json says: Missing key.*{key}"):
        DiffusionAutoencoder.from_pretrained(tmp_path)
    save_file(weights | {key: weights[key][:-1]}, path)
    with pytest.raises(ValueError, match=rf"size mismatch for .*{key}"):
        DiffusionAutoencoder.from_pretrained(tmp_path)


@pytest.mark.parametrize("file", ["unet/diffusion_pytorch_model.safetensors", "compressor.safetensors"])
def test_a_file_that_was_cut_off_or_lost_is_named(autoencoder: DiffusionAutoencoder, file: str, tmp_path) -> None:
    autoencoder.save_pretrained(tmp_path)
    path = tmp_path / file
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(ValueError, match=rf"{file}' is missing or damaged"):
        DiffusionAutoencoder.from_pretrained(tmp_path)
    path.unlink()
    with pytest.raises(ValueError, match=rf"{file}' is missing or damaged"):
        DiffusionAutoencoder.from_pretrained(tmp_path)


def test_the_codec_is_never_trained(autoencoder: DiffusionAutoencoder) -> None:
    assert list(autoencoder.codec.parameters()) == []
