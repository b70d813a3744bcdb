"""Eq. 1 written out by hand, the noise offset, and samplers whose keyframes don't know each other."""

from types import SimpleNamespace
from typing import Literal

import pytest
import torch

from models.autoencoder.coarse import CoarseConfig
from models.autoencoder.decoder import Condition, DecoderConfig, DiffusionDecoder
from models.autoencoder.diffusion import (
    DiffusionConfig,
    Sampler,
    corrupt,
    diffusion_loss,
    draw_noise,
    predict,
    sample,
    sampling_schedule,
)
from models.autoencoder.unet import UNetConfig

GRID = (3, 4, 4)
UNET = UNetConfig(channels=(32,), transformers=(1,), head_width=16, cross_width=8, pooled_width=8, size_width=8)
Prediction = Literal["epsilon", "v", "flow"]
ALL: list[Prediction] = ["epsilon", "v", "flow"]
SAMPLERS: list[Sampler] = ["euler", "dpm++"]


def tiny_decoder() -> DiffusionDecoder:
    torch.manual_seed(0)
    return DiffusionDecoder(DecoderConfig(unet=UNET, coarse=None), tokens=2, token_width=8, grid=GRID).eval()


def draw(config: DiffusionConfig, batch: int = 3, seed: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    return draw_noise(config, (batch, *GRID), torch.Generator().manual_seed(seed))


def alpha_bar(timestep: torch.Tensor) -> torch.Tensor:
    """SDXL's schedule, written out: betas are squares of a straight line."""
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    return torch.cumprod(1 - betas, 0)[timestep].float()[:, None, None, None]


def test_equation_1_by_hand() -> None:
    config, decoder = DiffusionConfig(prediction="epsilon"), tiny_decoder()
    latents, (noise, timestep) = torch.randn(3, *GRID), draw(config)
    condition = decoder.condition(torch.randn(3, 2, 8))
    noisy = alpha_bar(timestep).sqrt() * latents + (1 - alpha_bar(timestep)).sqrt() * noise
    by_hand = ((noise - decoder(noisy, timestep, condition)) ** 2).mean()
    torch.testing.assert_close(diffusion_loss(decoder, config, latents, noise, timestep, condition), by_hand)


def test_equation_2_by_hand() -> None:
    torch.manual_seed(0)
    decoder = DiffusionDecoder(DecoderConfig(unet=UNET, coarse=None, identity=True), 2, 8, GRID).eval()
    config = DiffusionConfig(prediction="epsilon")
    latents, (noise, timestep) = torch.randn(2, *GRID), draw(config, 2)
    tokens, descriptions, faces = torch.randn(2, 2, 8), torch.randn(2, 15, 384), torch.randn(2, 5, 128)
    assert decoder.sentence_mlp is not None
    assert decoder.face_mlp is not None
    context = torch.cat([tokens, decoder.sentence_mlp(descriptions), decoder.face_mlp(faces)], dim=1)
    noisy = alpha_bar(timestep).sqrt() * latents + (1 - alpha_bar(timestep)).sqrt() * noise
    sizes = torch.tensor([[512.0, 896.0, 0.0, 0.0, 512.0, 896.0]]).expand(2, 6)
    added = {"text_embeds": decoder.pooled(tokens.flatten(1)), "time_ids": sizes}
    predicted = decoder.unet(noisy, timestep, encoder_hidden_states=context, added_cond_kwargs=added).sample
    condition = decoder.condition(tokens, descriptions, faces)
    loss = diffusion_loss(decoder, config, latents, noise, timestep, condition)
    torch.testing.assert_close(loss, (noise - predicted).square().mean())


@pytest.mark.parametrize("prediction", ["epsilon", "v"])
def test_min_snr_is_a_weight_on_the_error_of_the_latents(prediction: Prediction) -> None:
    plain, weighted = DiffusionConfig(prediction=prediction), DiffusionConfig(prediction=prediction, min_snr=5.0)
    decoder, latents, noise = tiny_decoder(), torch.randn(2, *GRID), torch.randn(2, *GRID)
    timestep, condition = torch.tensor([40, 900]), decoder.condition(torch.randn(2, 2, 8))
    noisy, _ = corrupt(plain, latents, noise, timestep)
    bar = alpha_bar(timestep)
    predicted = predict(decoder, plain, noisy, timestep, condition)
    if prediction == "epsilon":
        implied = (noisy - (1 - bar).sqrt() * predicted) / bar.sqrt()
    else:
        implied = bar.sqrt() * noisy - (1 - bar).sqrt() * predicted
    snr = bar / (1 - bar)
    assert float(snr.max()) > 5 > float(snr.min())
    by_hand = (snr.clamp(max=5) * (implied - latents).square()).mean()
    torch.testing.assert_close(diffusion_loss(decoder, weighted, latents, noise, timestep, condition), by_hand)
    assert DiffusionConfig().min_snr is None
    with pytest.raises(ValueError, match=r"min_snr=5\.0"):
        DiffusionConfig(prediction="flow", min_snr=5.0)


@pytest.mark.parametrize("prediction", ALL)
def test_the_right_prediction_gives_the_latents_back(prediction: Prediction) -> None:
    config = DiffusionConfig(prediction=prediction)
    latents, (noise, timestep) = torch.randn(3, *GRID), draw(config)
    noisy, target = corrupt(config, latents, noise, timestep)
    if prediction == "flow":
        recovered = noisy - (timestep / 1000)[:, None, None, None] * target
    elif prediction == "epsilon":
        recovered = (noisy - (1 - alpha_bar(timestep)).sqrt() * target) / alpha_bar(timestep).sqrt()
    else:
        recovered = alpha_bar(timestep).sqrt() * noisy - (1 - alpha_bar(timestep)).sqrt() * target
    torch.testing.assert_close(recovered, latents, atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize("offset", [0.0, 0.05, 0.5])
def test_noise_offset_adds_its_variance_to_channel_means(offset: float) -> None:
    config = DiffusionConfig(noise_offset=offset)
    noise, _ = draw_noise(config, (4000, 3, 4, 4), torch.Generator().manual_seed(0))
    assert float(noise.mean((2, 3)).var()) == pytest.approx(1 / 16 + offset**2, rel=0.05)
    assert float((noise - noise.mean((2, 3), keepdim=True)).var()) == pytest.approx(15 / 16, rel=0.02)


def test_times() -> None:
    _, flow = draw_noise(DiffusionConfig(), (4000, 1, 1, 1), torch.Generator().manual_seed(0))
    assert 0 < flow.min() < flow.max() < 1000
    assert float((flow / 1000).logit().mean()) == pytest.approx(0.7, abs=0.05)
    _, steps = draw_noise(DiffusionConfig(prediction="epsilon"), (4000, 1, 1, 1), torch.Generator().manual_seed(0))
    assert steps.dtype == torch.long
    assert (int(steps.min()) <= 5, int(steps.max()) >= 994) == (True, True)


class Oracle(torch.nn.Module):
    """Answers as a perfect decoder would whose only picture is `latents`."""

    grid = GRID

    def __init__(self, config: DiffusionConfig, latents: torch.Tensor) -> None:
        super().__init__()
        self.diffusion, self.latents = config, latents
        self.config = DecoderConfig(coarse=None)

    def forward(self, noisy: torch.Tensor, timestep_B: torch.Tensor, condition: Condition) -> torch.Tensor:
        if self.diffusion.prediction == "flow":
            return (noisy - self.latents) / (timestep_B / 1000)[:, None, None, None]
        bar = alpha_bar(timestep_B.round().long())
        epsilon = (noisy - bar.sqrt() * self.latents) / (1 - bar).sqrt()
        return (
            epsilon
            if self.diffusion.prediction == "epsilon"
            else bar.sqrt() * epsilon - (1 - bar).sqrt() * self.latents
        )


@pytest.mark.parametrize("prediction", ALL)
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("steps", [1, 4, 20])
def test_a_perfect_decoder_draws_its_picture(prediction: Prediction, sampler: Sampler, steps: int) -> None:
    config, latents = DiffusionConfig(prediction=prediction), torch.randn(2, *GRID)
    condition = Condition(torch.zeros(2, 2, 8), torch.zeros(2, 8), None)
    drawn = sample(Oracle(config, latents), config, condition, [1, 2], steps, sampler=sampler)  # type: ignore[arg-type]
    torch.testing.assert_close(drawn, latents, atol=0.02, rtol=0.02)


@pytest.mark.parametrize("prediction", ALL)
def test_before_its_first_step_a_decoder_draws_the_coarse_map(prediction: Prediction) -> None:
    torch.manual_seed(0)
    coarse = CoarseConfig(hidden=8, channels=(8,), spread=0.01)
    decoder = DiffusionDecoder(DecoderConfig(unet=UNET, coarse=coarse), tokens=2, token_width=8, grid=GRID).eval()
    config, condition = DiffusionConfig(prediction=prediction), decoder.condition(torch.randn(2, 2, 8))
    drawn = sample(decoder, config, condition, [1, 2], steps=8)
    assert condition.coarse_BCHW is not None
    torch.testing.assert_close(drawn, condition.coarse_BCHW, atol=0.06, rtol=0.02)


@pytest.mark.parametrize("prediction", ALL)
def test_the_guess_is_the_best_for_latents_around_the_map(prediction: Prediction) -> None:
    """No prediction that is linear in the noisy latents and the map has a smaller error than the guess."""
    torch.manual_seed(0)
    coarse = CoarseConfig(hidden=8, channels=(8,), spread=0.5)
    decoder = DiffusionDecoder(DecoderConfig(unet=UNET, coarse=coarse), tokens=2, token_width=8, grid=GRID).eval()
    config = DiffusionConfig(prediction=prediction)
    condition = decoder.condition(torch.randn(300, 2, 8))
    assert condition.coarse_BCHW is not None
    map_BCHW = condition.coarse_BCHW.detach()
    latents, noise = map_BCHW + 0.5 * torch.randn(300, *GRID), torch.randn(300, *GRID)
    timestep = torch.full((300,), 400)
    noisy, target = corrupt(config, latents, noise, timestep)
    error = float((predict(decoder, config, noisy, timestep, condition).detach() - target).square().mean())
    given = torch.stack([noisy.flatten(), map_BCHW.flatten(), torch.ones(noisy.numel())], 1)
    best = given @ torch.linalg.lstsq(given, target.flatten()[:, None]).solution
    assert error == pytest.approx(float((best[:, 0] - target.flatten()).square().mean()), rel=0.01)


@pytest.mark.parametrize("prediction", ALL)
@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_a_keyframe_depends_on_its_seed_and_not_on_its_batch(
    prediction: Prediction, sampler: Sampler, guidance: float
) -> None:
    config, decoder, tokens = DiffusionConfig(prediction=prediction), tiny_decoder(), torch.randn(3, 2, 8)
    together = sample(decoder, config, decoder.condition(tokens), [5, 6, 7], 3, guidance, sampler)
    alone = sample(decoder, config, decoder.condition(tokens[1:2]), [6], 3, guidance, sampler)
    torch.testing.assert_close(together[1:2], alone, atol=1e-4, rtol=1e-4)
    other = sample(decoder, config, decoder.condition(tokens[1:2]), [8], 3, guidance, sampler)
    assert (other - alone).abs().max() > 0.01


def test_guidance_is_a_line_through_both_predictions() -> None:
    decoder, config = tiny_decoder(), DiffusionConfig()
    condition = decoder.condition(torch.randn(1, 2, 8))
    nothing = Condition(*(None if part is None else torch.zeros_like(part) for part in condition))  # type: ignore[arg-type]
    noise = torch.randn(GRID, generator=torch.Generator().manual_seed(4))[None]
    one, time = {}, torch.tensor([1000.0])
    for name, given in (("with", condition), ("without", nothing)):
        one[name] = noise - decoder(noise, time, given)
    guided = sample(decoder, config, condition, [4], steps=1, guidance=3.0)
    torch.testing.assert_close(guided, one["without"] + 3 * (one["with"] - one["without"]), atol=1e-4, rtol=1e-4)


def test_bad_requests_are_quoted() -> None:
    condition = SimpleNamespace(context_BKX=torch.zeros(2, 2, 8))
    with pytest.raises(ValueError, match="3 seeds for 2 keyframes"):
        sample(tiny_decoder(), DiffusionConfig(), condition, [1, 2, 3], 4)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="got 0"):
        sample(tiny_decoder(), DiffusionConfig(), condition, [1, 2], 0)  # type: ignore[arg-type]


@pytest.mark.parametrize("prediction", ALL)
def test_schedulers_are_saved_for_plain_diffusers(prediction: Prediction, tmp_path) -> None:
    import diffusers

    schedule = sampling_schedule(DiffusionConfig(prediction=prediction))
    schedule.save_pretrained(tmp_path)
    again = getattr(diffusers, type(schedule).__name__).from_pretrained(tmp_path)
    for name, value in schedule.config.items():
        assert name.startswith("_") or again.config[name] == value, name
