"""Stage 3: the compressor keeps still, scripts are padded, masked and dropped, faces come from the character's bank."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.coarse import CoarseConfig
from models.codec import PCACodec, PCACodecConfig
from models.compressor import CompressorConfig
from models.decoder import DecoderConfig
from models.training.decoder import DecoderTraining, DecoderTrainingConfig, Scripts, Told
from models.training.views import Kept
from models.unet import UNetConfig

UNET = UNetConfig(channels=(32, 32), transformers=(0, 1), head_width=16, cross_width=16, pooled_width=16, size_width=8)
MODEL = AutoencoderConfig(
    compressor=CompressorConfig(channels=12, positions=6, token_width=16, width=16, heads=2),
    decoder=DecoderConfig(unet=UNET, coarse=CoarseConfig(hidden=16, channels=(16, 8)), sentence_width=10, face_width=7),
)
CONFIG = DecoderTrainingConfig(steps=4, batch=3)


@pytest.fixture(scope="module")
def stage_2(tmp_path_factory) -> Path:
    torch.manual_seed(0)
    codec = PCACodec(PCACodecConfig(width=64, height=32, block=8, channels=6)).fit(torch.rand(6, 3, 32, 64))
    folder = tmp_path_factory.mktemp("stage_2")
    DiffusionAutoencoder(MODEL, codec).save_pretrained(folder)
    return folder


def told(seed: int = 0, keyframes: int = 7) -> Told:
    """Keyframe i has i sentences and i % 3 faces, of characters 0 and -1 (unknown)."""
    random = np.random.default_rng(seed)
    scripts = Scripts(
        [random.standard_normal((i, 10)).astype(np.float32) for i in range(keyframes)],
        [random.standard_normal((i % 3, 7)).astype(np.float32) for i in range(keyframes)],
        [[0, -1][: i % 3] for i in range(keyframes)],
    )
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(2, keyframes, 2, 16, generator=generator)
    latents = torch.randn(2, keyframes, 6, 4, 8, generator=generator)
    return Told(*tokens, Kept(*latents), scripts)


def training(init: Path, config: DecoderTrainingConfig = CONFIG, held_out: Told | None = None) -> DecoderTraining:
    return DecoderTraining(config, init, told(), held_out)


def advance(trained: DecoderTraining, optimiser: torch.optim.Optimizer, first: int, last: int) -> list[float]:
    losses = []
    for step in range(first, last):
        optimiser.param_groups[0]["lr"] = trained.lr(step)
        loss, _ = trained.loss(trained.batch(step), step)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        optimiser.step()
        trained.stepped(step)
        losses.append(loss.item())
    return losses


def test_compressor_is_frozen_and_everything_else_learns(stage_2: Path) -> None:
    trained = training(stage_2, CONFIG.model_copy(update={"masked": 0.0, "dropped": 0.0, "batch": 7}))
    for parameter in trained.module.live.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    trained.loss(trained.batch(0), 0)[0].backward()
    for name, parameter in trained.module.live.named_parameters():
        if name.startswith("compressor."):
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name
    assert {id(p) for p in trained.parameters(0)} == {id(p) for p in trained.module.live.decoder.parameters()}


def test_resumed_equals_undisturbed(stage_2: Path) -> None:
    whole = training(stage_2)
    losses = advance(whole, torch.optim.AdamW(list(whole.parameters(0))), 0, 4)
    first, second = training(stage_2), training(stage_2)
    optimisers = [torch.optim.AdamW(list(run.parameters(0))) for run in (first, second)]
    advance(first, optimisers[0], 0, 2)
    second.module.load_state_dict(first.module.state_dict())
    optimisers[1].load_state_dict(optimisers[0].state_dict())
    assert advance(second, optimisers[1], 2, 4) == losses[2:]


def test_batch_shapes_and_padding(stage_2: Path) -> None:
    trained = training(stage_2)
    batch = trained.batch(0)
    assert batch.sentences_BSE.shape == (3, 15, 10)
    assert batch.faces_BPG.shape == (3, 5, 7)
    assert batch.keep_BK.shape == (3, 22)
    assert (trained.sentences_FSE.abs().sum(-1) > 0).sum(1).tolist() == list(range(7))


def test_rates_of_masking_and_dropping(stage_2: Path) -> None:
    trained = training(stage_2, CONFIG.model_copy(update={"batch": 600, "dropped": 0.1}))
    batch = trained.batch(0)
    assert float(1 - batch.keep_BK.mean()) == pytest.approx(0.2, abs=0.01)
    assert float(1 - batch.keep_B.mean()) == pytest.approx(0.1, abs=0.04)


def test_masking_is_for_training_only(stage_2: Path) -> None:
    autoencoder = training(stage_2).module.live
    tokens = torch.randn(2, 2, 16)
    sentences = torch.randn(2, 15, 10)
    for mode in (True, False):
        context = autoencoder.train(mode).decoder.condition(tokens, sentences).context_BKX
        assert (context[:, :17].abs().sum(-1) > 0).all()


def test_faces_come_from_other_keyframes_of_the_same_character(stage_2: Path) -> None:
    trained = training(stage_2, CONFIG.model_copy(update={"other_face": 1.0}))
    seen = set()
    for step in range(30):
        faces = trained.batch(step).faces_BPG
        rows = trained.batch(step).drawn.latents_BCHW
        for picture, frame in zip(rows, faces, strict=True):
            row = next(i for i in range(7) if torch.equal(trained.views.latents[0, i], picture))
            known = trained.faces_FPG[row]
            if len(trained.characters[row]) == 2:  # the unknown face is never exchanged
                assert torch.equal(frame[1], known[1])
            if trained.characters[row]:
                source = [i for i in (1, 2, 4, 5) if torch.equal(frame[0], trained.faces_FPG[i, 0])]
                assert len(source) == 1
                seen.add((row, source[0]))
            else:
                assert (frame == 0).all()
    assert any(row != source for row, source in seen)
    own = training(stage_2, CONFIG.model_copy(update={"other_face": 0.0, "flip": 0.0})).batch(0)
    rows = [next(i for i in range(7) if torch.equal(trained.views.latents[0, i], x)) for x in own.drawn.latents_BCHW]
    assert torch.equal(own.faces_BPG, trained.faces_FPG[rows])


def test_export_reads_scripts(stage_2: Path, tmp_path) -> None:
    trained = training(stage_2)
    advance(trained, torch.optim.AdamW(list(trained.parameters(0))), 0, 2)
    trained.export(tmp_path)
    autoencoder = DiffusionAutoencoder.from_pretrained(tmp_path)
    assert autoencoder.config.decoder.identity
    before, after = DiffusionAutoencoder.from_pretrained(stage_2), autoencoder
    for name, value in before.compressor.state_dict().items():
        assert torch.equal(after.compressor.state_dict()[name], value)
    drawn = autoencoder.reconstruct(
        trained.tokens[0], trained.sentences_FSE, trained.faces_FPG, seeds=range(7), steps=2, guidance=1.5
    )
    assert drawn.shape == (7, 6, 4, 8)
    training(tmp_path)  # stage 3 goes on from its own folder


def test_bad_input_is_quoted(stage_2: Path) -> None:
    scripts = Scripts([np.zeros((1, 10))], [np.zeros((1, 7))], [[]])
    tokens, views = [torch.zeros(1, 2, 16)] * 2, Kept(*[torch.zeros(1, 6, 4, 8)] * 2)
    with pytest.raises(ValueError, match="1 faces but 0 names"):
        DecoderTraining(CONFIG, stage_2, Told(*tokens, views, scripts))
    with pytest.raises(ValueError, match=r"\[1, 1, 2"):
        DecoderTraining(CONFIG, stage_2, Told(*tokens, Kept(*[torch.zeros(2, 6, 4, 8)] * 2), scripts))


def test_held_out_keyframes_are_scored_with_whole_scripts_at_the_same_noise_each_time(stage_2: Path) -> None:
    held_out = told(seed=1, keyframes=5)
    trained = training(stage_2, held_out=held_out)
    first, again = trained.validate(), trained.validate()
    assert set(first) == {"loss", "diffusion", "coarse"}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["loss"] == pytest.approx((first["diffusion"] + first["coarse"]).item(), rel=1e-5)
    masked = training(stage_2, CONFIG.model_copy(update={"masked": 1.0, "dropped": 1.0}), held_out)
    assert all(torch.equal(first[name], masked.validate()[name]) for name in first)
    silent = held_out._replace(scripts=held_out.scripts._replace(sentences=[np.zeros((0, 10), np.float32)] * 5))
    advance(trained, torch.optim.AdamW(list(trained.parameters(0))), 0, 4)
    after = trained.validate()["loss"]
    assert after != first["loss"]
    trained.held_out = silent
    assert trained.validate()["loss"] != after
    assert training(stage_2).validate() == {}


def test_held_out_keyframes_are_shown_where_there_are_any(stage_2: Path) -> None:
    held_out = told(seed=1, keyframes=5)
    shown = training(stage_2, held_out=held_out).pictures()
    assert shown.shape == (3, 2 * 160, 5 * 320)
    assert torch.equal(shown, training(stage_2, held_out=held_out).pictures())
    assert training(stage_2).pictures().shape == (3, 2 * 160, 4 * 320)  # of seven keyframes every second one
