"""Stages 1 and 2: what is frozen when, what is drawn from where, and that a resumed run is the undisturbed one."""

from pathlib import Path

import pytest
import torch

from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.coarse import CoarseConfig
from models.autoencoder.compressor import ConvolutionalConfig, TransformerConfig
from models.autoencoder.decoder import DecoderConfig
from models.autoencoder.unet import UNetConfig
from models.codec import PCACodec, PCACodecConfig
from models.training import autoencoder as module
from models.training import generator, rows_of_step
from models.training.autoencoder import AutoencoderTraining, AutoencoderTrainingConfig
from models.training.ema import Averaged, learning_rate
from models.training.views import InMemory, Views

UNET = UNetConfig(channels=(32, 32), transformers=(0, 1), head_width=16, cross_width=16, pooled_width=16, size_width=8)
MODEL = AutoencoderConfig(
    compressor=TransformerConfig(channels=12, positions=6, token_width=16, width=16, heads=2),
    decoder=DecoderConfig(unet=UNET, coarse=CoarseConfig(hidden=16, channels=(16, 8))),
)
CONFIG = AutoencoderTrainingConfig(model=MODEL, warmup_steps=3, warmup_batch=4, steps=6, batch=3)
AS_PAPER = CONFIG.model_copy(
    update={"model": MODEL.model_copy(update={"decoder": MODEL.decoder.model_copy(update={"coarse": None})})}
)


def training(
    config: AutoencoderTrainingConfig = CONFIG, init: Path | None = None, held_out: Views | None = None
) -> AutoencoderTraining:
    random = torch.Generator().manual_seed(0)
    images = torch.rand(7, 3, 32, 64, generator=random)
    codec = PCACodec(PCACodecConfig(width=64, height=32, block=8, channels=6)).fit(images)
    features = torch.randn(2, 7, 6, 12, generator=random)
    views = Views(InMemory(codec.encode(images), codec.encode(images.flip(-1)), *features))
    return AutoencoderTraining(config, codec, views, init, held_out)


def test_a_code_starts_from_the_components_of_the_training_pictures() -> None:
    random = torch.Generator().manual_seed(0)
    images = torch.nn.functional.interpolate(torch.rand(12, 3, 2, 4, generator=random), (32, 64), mode="bilinear")
    codec = PCACodec(PCACodecConfig(width=64, height=32, block=8, channels=6)).fit(images)
    latents = codec.encode(images)
    compressor = ConvolutionalConfig(channels=6, rows=4, columns=8, levels=(8, 8), token_width=48, code=12)
    decoder = DecoderConfig(unet=UNET, coarse=CoarseConfig(code=12, channels=(8, 8)))
    config = CONFIG.model_copy(update={"model": AutoencoderConfig(compressor=compressor, decoder=decoder)})
    views = Views(InMemory(latents, codec.encode(images.flip(-1))), patch=1)
    made, again = (AutoencoderTraining(config, codec, views).module.live for _ in range(2))
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in made.state_dict().items())
    assert made.decoder.coarse is not None
    drawn = made.decoder.coarse(made.encode(views.draw(torch.arange(12), torch.zeros(12).long()).features_BNC))
    assert (drawn - latents).square().mean() < 0.25 * latents.var()


class Run:
    """The loop in its plainest form."""

    def __init__(self, trained: AutoencoderTraining) -> None:
        self.trained = trained
        parameters = list(trained.module.live.parameters())
        self.optimiser = torch.optim.AdamW(parameters, lr=1e-3, weight_decay=trained.weight_decay)

    def advance(self, first: int, last: int) -> list[float]:
        losses = []
        for step in range(first, last):
            wanted = {id(p) for p in self.trained.parameters(step)}
            for parameter in self.trained.module.live.parameters():
                parameter.requires_grad_(id(parameter) in wanted)
            self.optimiser.param_groups[0]["lr"] = self.trained.lr(step)
            loss, _ = self.trained.loss(self.trained.batch(step), step)
            self.optimiser.zero_grad(set_to_none=True)
            loss.backward()
            self.optimiser.step()
            self.trained.stepped(step)
            losses.append(loss.item())
        return losses


def changed(before: dict[str, torch.Tensor], after: dict[str, torch.Tensor]) -> set[str]:
    """Which parts have moved: the first two words of their names."""
    return {".".join(name.split(".")[:2]) for name in before if not torch.equal(before[name], after[name])}


def state(trained: AutoencoderTraining) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trained.module.live.state_dict().items()}


def test_warm_up_leaves_the_unet_as_it_is_then_everything_moves() -> None:
    trained = training()
    run, start = Run(trained), state(trained)
    run.advance(0, 3)
    warm = state(trained)
    assert {part.split(".")[0] for part in changed(start, warm)} == {"compressor", "decoder"}
    assert not any(part.startswith(("decoder.unet", "decoder.pooled", "codec")) for part in changed(start, warm))
    run.advance(3, 6)
    end = changed(warm, state(trained))
    assert {"decoder.unet", "decoder.pooled", "decoder.coarse", "compressor.linear_in"} <= end
    assert not any(part.startswith("codec") for part in end)


def test_without_coarse_head_the_warm_up_is_the_papers() -> None:
    trained = training(AS_PAPER)
    run, start = Run(trained), state(trained)
    loss, terms = trained.loss(trained.batch(0), 0)
    assert set(terms) == {"diffusion"}
    assert loss.item() == pytest.approx(terms["diffusion"].item())
    run.advance(0, 3)
    assert all(part.startswith("compressor") for part in changed(start, state(trained)))


def test_frozen_parts_get_no_gradient_and_trained_ones_do() -> None:
    trained = training()
    for parameter in trained.module.live.parameters():
        torch.nn.init.normal_(parameter, std=0.1)  # what starts at zero hides what lies before it
    for step, frozen in ((0, {"decoder.unet", "decoder.pooled"}), (4, set())):
        wanted = {id(p) for p in trained.parameters(step)}
        for parameter in trained.module.live.parameters():
            parameter.requires_grad_(id(parameter) in wanted)
            parameter.grad = None
        trained.loss(trained.batch(step), step)[0].backward()
        for name, parameter in trained.module.live.named_parameters():
            is_frozen = any(name.startswith(part) for part in frozen)
            assert (parameter.grad is None) == is_frozen, name
            assert is_frozen or parameter.grad.abs().sum() > 0, name
    assert all(p.grad is None for p in trained.module.average.parameters())


@pytest.mark.parametrize("stop", [2, 3, 5])
def test_resumed_equals_undisturbed(stop: int) -> None:
    whole = Run(training())
    losses = whole.advance(0, 6)
    first = Run(training())
    first.advance(0, stop)
    second = Run(training())
    second.trained.module.load_state_dict(first.trained.module.state_dict())
    second.optimiser.load_state_dict(first.optimiser.state_dict())
    assert second.advance(stop, 6) == losses[stop:]
    for name, value in whole.trained.module.state_dict().items():
        assert torch.equal(second.trained.module.state_dict()[name], value), name


def test_batches_depend_on_seed_step_and_rank_only() -> None:
    trained = training()
    same = training().batch(4, 0)
    assert all(torch.equal(a, b) for a, b in zip(trained.batch(4, 0)[1:], same[1:], strict=True))
    assert torch.equal(trained.batch(4, 0).drawn.latents_BCHW, same.drawn.latents_BCHW)
    other_seed = training(CONFIG.model_copy(update={"seed": 1}))
    for other in (trained.batch(5, 0), trained.batch(4, 1), other_seed.batch(4, 0)):
        assert not torch.equal(trained.batch(4, 0).noise_BCHW, other.noise_BCHW)


def test_a_mirrored_keyframe_brings_its_own_features() -> None:
    trained = training(CONFIG.model_copy(update={"flip": 1.0}))
    batch = trained.batch(4)
    rows = rows_of_step(7, 3, 0, 4, 0, 1)
    assert torch.equal(batch.drawn.features_BNC, trained.views.source.features[1, rows])
    assert torch.equal(batch.drawn.latents_BCHW, trained.views.source.latents[1, rows])


def test_token_noise_has_its_variance() -> None:
    trained = training(CONFIG.model_copy(update={"token_noise": 0.3, "warmup_batch": 500}))
    assert float(trained.batch(0).token_noise_BLD.std()) == pytest.approx(0.3, rel=0.03)


def test_epochs_deal_each_row_once_over_all_workers() -> None:
    dealt = [rows_of_step(12, 2, seed=0, step=step, rank=rank, world=3) for step in range(2) for rank in range(3)]
    assert sorted(torch.cat(dealt).tolist()) == list(range(12))
    assert len(rows_of_step(5, 13, seed=0, step=3, rank=1, world=2)) == 13


def test_generators_differ_by_each_part() -> None:
    seeds = {generator(*parts).initial_seed() for parts in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1))}
    assert len(seeds) == 4


def test_loss_falls_and_export_rebuilds(tmp_path) -> None:
    trained = training(CONFIG.model_copy(update={"warmup_steps": 60, "steps": 80, "warmup_learning_rate": 5e-3}))
    losses = Run(trained).advance(0, 80)
    assert losses[55] < 0.85 * losses[0]
    trained.export(tmp_path)
    autoencoder = DiffusionAutoencoder.from_pretrained(tmp_path)
    tokens = autoencoder.encode(trained.views.source.features.flatten(0, 1)).detach()
    torch.testing.assert_close(autoencoder.token_mean_LD, tokens.mean(0))
    assert autoencoder.reconstruct(tokens, seeds=range(14), steps=2).shape == (14, 6, 4, 8)


def test_of_very_many_pictures_a_window_is_measured_each_beside_its_mirror_image(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(module, "_MEASURED", 4)
    trained, asked, draw = training(), [], Views.draw

    def noted(self, rows_B, mirrored_B):
        asked.append((rows_B.tolist(), mirrored_B.tolist()))
        return draw(self, rows_B, mirrored_B)

    monkeypatch.setattr(Views, "draw", noted)
    monkeypatch.setattr(Views, "batches", lambda self, rows_F, most: rows_F.split(2))
    trained.export(tmp_path)
    assert asked == [([0, 1], [0, 0]), ([0, 1], [1, 1]), ([2, 3], [0, 0]), ([2, 3], [1, 1])]
    model = DiffusionAutoencoder.from_pretrained(tmp_path)
    tokens = model.encode(trained.views.source.features[:, :4].flatten(0, 1)).detach()
    torch.testing.assert_close(model.token_mean_LD, tokens.mean(0))


def test_init_continues_from_a_folder_with_its_codec(tmp_path) -> None:
    first = training()
    first.export(tmp_path)
    again = training(init=tmp_path)
    for name, value in first.module.average.state_dict().items():
        assert torch.equal(again.module.live.state_dict()[name], value), name
    with pytest.raises(ValueError, match="another config"):
        training(AS_PAPER, init=tmp_path)
    other = PCACodec(first.module.live.codec.config)
    with pytest.raises(ValueError, match="load_codec"):
        AutoencoderTraining(CONFIG, other, first.views, tmp_path)


def test_a_decoder_of_stage_3_goes_on_knowing_scripts(tmp_path) -> None:
    training().module.average.with_identity().save_pretrained(tmp_path)
    again = training(init=tmp_path)
    Run(again).advance(0, CONFIG.steps)
    again.export(tmp_path / "on")
    model = DiffusionAutoencoder.from_pretrained(tmp_path / "on")
    assert model.config.decoder.identity
    sentence_mlp = DiffusionAutoencoder.from_pretrained(tmp_path).decoder.sentence_mlp
    assert sentence_mlp is not None
    assert model.decoder.sentence_mlp is not None
    assert torch.equal(model.decoder.sentence_mlp[0].bias, sentence_mlp[0].bias)


def test_average_forgets_its_start_and_follows() -> None:
    averaged = training().module
    assert isinstance(averaged, Averaged)
    for parameter in averaged.live.parameters():
        torch.nn.init.ones_(parameter)
    for step in range(400):
        averaged.update(step)
    assert all((p - 1).abs().max() < 0.01 for p in averaged.average.parameters())


def test_learning_rates() -> None:
    assert learning_rate("constant", 50, 100) == 1
    assert learning_rate("constant", 0, 100) == pytest.approx(0.1)
    for schedule in ("linear", "cosine"):
        falling = [learning_rate(schedule, step, 100) for step in range(10, 100)]
        assert falling == sorted(falling, reverse=True)
        assert 0 < falling[-1] < 0.1
    trained = training(CONFIG.model_copy(update={"warmup_steps": 100, "steps": 200}))
    assert trained.lr(9) == pytest.approx(CONFIG.warmup_learning_rate, rel=0.03)
    assert trained.lr(109) == pytest.approx(CONFIG.learning_rate, rel=0.03)


def test_bad_input_is_quoted() -> None:
    with pytest.raises(ValueError, match="warmup_steps=9"):
        training(CONFIG.model_copy(update={"warmup_steps": 9}))
    with pytest.raises(ValueError, match=r"\[3, 2, 3, 3\]"):
        InMemory(*(torch.zeros(n, 1) for n in (3, 2, 3, 3)))


def test_held_out_pictures_are_scored_at_the_same_noise_each_time() -> None:
    random = torch.Generator().manual_seed(7)
    held_out = InMemory(*torch.randn(2, 5, 6, 4, 8, generator=random), *torch.randn(2, 5, 6, 12, generator=random))
    trained = training(held_out=Views(held_out))
    first, again = trained.validate(), trained.validate()
    assert set(first) == {"loss", "diffusion", "coarse"}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["loss"] == pytest.approx((first["diffusion"] + first["coarse"]).item(), rel=1e-5)
    Run(trained).advance(0, 6)
    assert not torch.equal(trained.validate()["loss"], first["loss"])
    assert training().validate() == {}
    quiet = CONFIG.model_copy(update={"token_noise": 0.0})
    whole = training(quiet, held_out=Views(held_out)).validate()["coarse"]
    parts = [
        training(quiet, held_out=Views(some)).validate()["coarse"] * len(some) / 5
        for rows in torch.split(torch.arange(5), 3)
        for some in [InMemory(*held_out.latents[:, rows], *held_out.features[:, rows])]
    ]
    torch.testing.assert_close(whole, torch.stack(parts).sum())


def test_pictures_show_what_is_rebuilt_below_what_was() -> None:
    trained = training()
    looked = trained.pictures()
    assert looked.shape == (3, 2 * 160, 4 * 320)  # of seven pictures every second one
    assert torch.equal(looked, trained.pictures())
    original = trained.module.live.codec.decode(trained.views.source.latents[0, :1].float())
    torch.testing.assert_close(
        looked[:, :160, :320], torch.nn.functional.interpolate(original, (160, 320), mode="bilinear", antialias=True)[0]
    )
