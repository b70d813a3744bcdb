"""The decoder's condition: [2 + 15 + 5] vectors, zero padding, masking, dropping; its U-Net is diffusers' own."""

import numpy as np
import pytest
import torch

from models.autoencoder.coarse import CoarseConfig
from models.autoencoder.decoder import DecoderConfig, DiffusionDecoder, drop, pad, random_keep
from models.autoencoder.unet import SDXL_UNET, UNetConfig

GRID = (6, 4, 8)
UNET = UNetConfig(channels=(32, 32), transformers=(0, 1), head_width=16, cross_width=16, pooled_width=24, size_width=8)
COARSE = CoarseConfig(hidden=16, channels=(16, 8))
TOKENS_ONLY = DecoderConfig(unet=UNET, coarse=COARSE)
WITH_SCRIPTS = TOKENS_ONLY.model_copy(update={"identity": True})


def decoder(config: DecoderConfig = WITH_SCRIPTS) -> DiffusionDecoder:
    torch.manual_seed(0)
    return DiffusionDecoder(config, tokens=2, token_width=16, grid=GRID)


def scripts(batch: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    sentences = [torch.randn(12 if i % 2 else 3, 384, generator=generator).numpy() for i in range(batch)]
    faces = [torch.randn(3 if i % 2 else 0, 128, generator=generator).numpy() for i in range(batch)]
    return torch.randn(batch, 2, 16, generator=generator), pad(sentences, 15), pad(faces, 5)


def test_pad_to_the_papers_lengths() -> None:
    padded = pad([np.ones((12, 4), np.float32), np.zeros((0, 4), np.float32)], 15)
    assert padded.shape == (2, 15, 4)
    assert (padded[0, :12] == 1).all()
    assert (padded[0, 12:] == 0).all()
    assert (padded[1] == 0).all()


def test_pad_refuses_too_many_and_none() -> None:
    with pytest.raises(ValueError, match="16 vectors"):
        pad([np.ones((16, 4), np.float32)], 15)
    with pytest.raises(ValueError, match="nothing to pad"):
        pad([], 15)


def test_context_is_tokens_then_sentences_then_faces() -> None:
    tokens, sentences, faces = scripts(2)
    context = decoder().condition(tokens, sentences, faces).context_BKX
    assert context.shape == (2, 22, 16)
    torch.testing.assert_close(context[:, :2], tokens)
    filled = context.abs().sum(-1) > 0
    assert filled[1].tolist() == [True] * 14 + [False] * 3 + [True] * 3 + [False] * 2
    assert filled[0].tolist() == [True] * 5 + [False] * 17


def test_projections_are_two_layer_gelu_mlps() -> None:
    model = decoder()
    tokens, sentences, faces = scripts(1)
    assert model.sentence_mlp is not None
    first, gelu, second = model.sentence_mlp
    assert isinstance(gelu, torch.nn.GELU)
    by_hand = second(torch.nn.functional.gelu(first(sentences[0, 0])))
    torch.testing.assert_close(model.condition(tokens, sentences, faces).context_BKX[0, 2], by_hand)


def test_no_script_is_the_same_as_an_empty_one() -> None:
    model = decoder()
    tokens, _, _ = scripts(2)
    empty = model.condition(tokens, torch.zeros(2, 15, 384), torch.zeros(2, 5, 128))
    torch.testing.assert_close(model.condition(tokens).context_BKX, empty.context_BKX)


def test_tokens_only_decoder_reads_two_vectors() -> None:
    model = decoder(TOKENS_ONLY)
    tokens, sentences, faces = scripts(2)
    assert model.condition(tokens).context_BKX.shape == (2, 2, 16)
    assert model.context_length == 2
    with pytest.raises(ValueError, match="identity=False"):
        model.condition(tokens, sentences, faces)


def test_pooled_projection_is_one_linear_layer_of_the_concatenated_tokens() -> None:
    model = decoder()
    tokens, _, _ = scripts(2)
    by_hand = torch.cat([tokens[:, 0], tokens[:, 1]], -1) @ model.pooled.weight.T + model.pooled.bias
    torch.testing.assert_close(model.condition(tokens).pooled_BP, by_hand)


def test_masked_vectors_are_zero_tokens_even_after_widening() -> None:
    config = WITH_SCRIPTS.model_copy(update={"unet": UNET.model_copy(update={"cross_width": 40})})
    tokens, sentences, faces = scripts(2)
    keep = torch.ones(2, 22)
    keep[0, 1] = keep[1, 4] = 0
    context = decoder(config).condition(tokens, sentences, faces, keep_BK=keep).context_BKX
    assert context.shape == (2, 22, 40)
    assert (context[0, 1] == 0).all()
    assert (context[1, 4] == 0).all()
    assert (context[1, 5] != 0).any()


def test_dropping_takes_everything_of_one_keyframe() -> None:
    tokens, sentences, faces = scripts(2)
    model = decoder()
    condition = model.condition(tokens, sentences, faces, keep_B=torch.tensor([0.0, 1.0]))
    assert all(part is not None and (part[0] == 0).all() for part in condition[:3])
    for part, whole in zip(condition[:3], model.condition(tokens, sentences, faces)[:3], strict=True):
        assert part is not None
        assert whole is not None
        torch.testing.assert_close(part[1], whole[1])


@pytest.mark.parametrize("masked", [0.0, 0.2, 1.0])
def test_masking_rate(masked: float) -> None:
    keep = random_keep((400, 22), masked, torch.Generator().manual_seed(0))
    assert set(keep.unique().tolist()) <= {0.0, 1.0}
    assert float(1 - keep.mean()) == pytest.approx(masked, abs=0.015)


def test_masking_rate_must_be_a_probability() -> None:
    with pytest.raises(ValueError, match=r"1\.5"):
        random_keep((2,), 1.5, torch.Generator())


@pytest.mark.parametrize("coarse", [COARSE, None])
@pytest.mark.parametrize("identity", [False, True])
def test_gradients_reach_every_parameter(coarse: CoarseConfig | None, identity: bool) -> None:
    model = decoder(DecoderConfig(unet=UNET, coarse=coarse, identity=identity))
    tokens, sentences, faces = scripts(2)
    for name, parameter in model.named_parameters():  # what starts at zero hides what lies before it
        if parameter.abs().sum() == 0:
            torch.nn.init.normal_(parameter, std=0.1)
            assert "bias" in name or "coarse" in name or "conv_out" in name
    condition = model.condition(tokens, *((sentences, faces) if identity else ()))
    out = model(torch.randn(2, *GRID), torch.tensor([10.0, 900.0]), condition)
    assert out.shape == (2, *GRID)
    (out * torch.randn_like(out)).sum().backward()
    without = [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().sum() == 0]
    assert without == []


def test_picture_depends_on_tokens_sentences_and_faces() -> None:
    model = decoder(WITH_SCRIPTS.model_copy(update={"coarse": None})).eval()
    tokens, sentences, faces = scripts(2)
    noise, time = torch.randn(2, *GRID), torch.full((2,), 500.0)
    base = model(noise, time, model.condition(tokens, sentences, faces))
    for changed in ((-tokens, sentences, faces), (tokens, -sentences, faces), (tokens, sentences, -faces)):
        assert (model(noise, time, model.condition(*changed))[1] - base[1]).abs().max() > 1e-6


def test_drop_leaves_a_missing_coarse_map_missing() -> None:
    model = decoder(DecoderConfig(unet=UNET, coarse=None))
    assert drop(model.condition(scripts(2)[0]), torch.ones(2)).coarse_BCHW is None


@pytest.mark.parametrize(
    ("change", "quoted"),
    [
        ({"transformers": (0,)}, r"transformers=\(0,\)"),
        ({"transformers": (1, 0)}, "must attend"),
        ({"head_width": 20}, "head_width=20"),
        ({"channels": (32, 32, 32, 32), "transformers": (0, 0, 0, 1)}, "4x8"),
    ],
)
def test_bad_sizes_are_quoted(change: dict, quoted: str) -> None:
    with pytest.raises(ValueError, match=quoted):
        decoder(DecoderConfig(unet=UNET.model_copy(update=change), coarse=None))


def test_wrong_tokens_are_quoted() -> None:
    with pytest.raises(ValueError, match=r"\[2, 3, 16\]"):
        decoder().condition(torch.zeros(2, 3, 16))


@pytest.mark.slow
def test_the_papers_sizes_build_sdxls_unet() -> None:
    """Same parameter names and shapes as stabilityai/stable-diffusion-xl-base-1.0: 2,567,463,684 parameters."""
    with torch.device("meta"):
        config = DecoderConfig(unet=SDXL_UNET, coarse=None)
        model = DiffusionDecoder(config, tokens=2, token_width=2048, grid=(4, 64, 112))
    assert sum(p.numel() for p in model.unet.parameters()) == 2_567_463_684


def test_coarse_map_reads_descriptions_and_faces_once_it_has_learnt_to() -> None:
    model, (tokens, sentences, faces) = decoder(), scripts(2)
    without = model.condition(tokens).coarse_BCHW
    torch.testing.assert_close(model.condition(tokens, sentences, faces).coarse_BCHW, without)
    assert model.coarse is not None
    for reader in model.coarse.readers:
        torch.nn.init.normal_(reader.attention.out_proj.weight)
    told = model.condition(tokens, sentences, faces).coarse_BCHW
    assert not torch.allclose(told, without)
    masked = torch.ones(2, 22)
    masked[:, 2:] = 0
    torch.testing.assert_close(model.condition(tokens, sentences, faces, masked).coarse_BCHW, without)


def test_padding_changes_no_coarse_map() -> None:
    """The same three sentences in three places and in fifteen."""
    model = decoder(WITH_SCRIPTS)
    assert model.coarse is not None
    torch.nn.init.normal_(model.coarse.readers[0].attention.out_proj.weight)
    tokens, script = torch.randn(1, 2, 16), torch.randn(1, 3, 16)
    padded = torch.cat([script, torch.zeros(1, 12, 16)], dim=1)
    torch.testing.assert_close(model.coarse(tokens, padded), model.coarse(tokens, script))
