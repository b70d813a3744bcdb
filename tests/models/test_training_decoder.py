"""Stage 3: the compressor keeps still, scripts are padded, masked and dropped, faces come from the character's bank."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.coarse import CoarseConfig
from models.autoencoder.compressor import TransformerConfig
from models.autoencoder.decoder import DecoderConfig, pad
from models.autoencoder.unet import UNetConfig
from models.autoregressive.script_tokens import FrameScript
from models.codec import PCACodec, PCACodecConfig
from models.training.decoder import DecoderTraining, DecoderTrainingConfig, Keyframes, face_boxes, face_map
from models.training.scripted import InMemoryEpisode
from models.training.views import InMemory, Views

UNET = UNetConfig(channels=(32, 32), transformers=(0, 1), head_width=16, cross_width=16, pooled_width=16, size_width=8)
MODEL = AutoencoderConfig(
    compressor=TransformerConfig(channels=12, positions=6, token_width=16, width=16, heads=2),
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


def told(seed: int = 0, keyframes: int = 7) -> Keyframes:
    """Keyframe i has i sentences and i % 3 faces, the first of a character, the second of nobody known."""
    random = np.random.default_rng(seed)
    sentences = [random.standard_normal((i, 10)).astype(np.float32) for i in range(keyframes)]
    faces = [random.standard_normal((i % 3, 7)).astype(np.float32) for i in range(keyframes)]
    firsts = {i: face[0] for i, face in enumerate(faces) if len(face)}
    scripts = [
        FrameScript(
            f"f-{i:06d}",
            sentences[i],
            np.zeros(i, np.int8),
            faces[i],
            (np.stack([face for j, face in firsts.items() if j != i]), np.zeros((0, 7), np.float32))[: i % 3],
        )
        for i in range(keyframes)
    ]
    generator = torch.Generator().manual_seed(seed)
    tokens = torch.randn(2, keyframes, 2, 16, generator=generator)
    latents = torch.randn(2, keyframes, 6, 4, 8, generator=generator)
    return Keyframes(Views(InMemory(*latents)), InMemoryEpisode("f", scripts, *tokens))


def training(init: Path, config: DecoderTrainingConfig = CONFIG, held_out: Keyframes | None = None) -> DecoderTraining:
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
    rows = trained.keyframes.views.rows_of_step(3, 0, 0, 0, 1).tolist()
    assert (batch.sentences_BSE.abs().sum(-1) > 0).sum(1).tolist() == rows


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
    scripts, _ = trained.keyframes.scripted.read(range(7))
    seen = set()
    for step in range(30):
        rows = trained.keyframes.views.rows_of_step(3, 0, step, 0, 1).tolist()
        for row, frame in zip(rows, trained.batch(step).faces_BPG, strict=True):
            known = torch.from_numpy(scripts[row].faces)
            assert (frame[len(known) :] == 0).all()
            assert torch.equal(frame[1 : len(known)], known[1:])  # the unknown face is never exchanged
            if len(known):
                (source,) = [i for i in (1, 2, 4, 5) if np.array_equal(frame[0], scripts[i].faces[0])]
                seen.add((row, source))
    assert len(seen) > 4
    assert all(row != source for row, source in seen)
    own = training(stage_2, CONFIG.model_copy(update={"other_face": 0.0})).batch(0)
    rows = trained.keyframes.views.rows_of_step(3, 0, 0, 0, 1).tolist()
    assert torch.equal(own.faces_BPG, pad([scripts[row].faces for row in rows], 5))


def test_mirrored_keyframes_have_their_own_tokens_and_scripts(stage_2: Path) -> None:
    views, plain = told()
    mirrored = [replace(script, sentences=-script.sentences) for script in plain.scripts]
    given = Keyframes(views, replace(plain, scripts_flipped=mirrored))
    config = CONFIG.model_copy(update={"flip": 0.5, "batch": 7, "token_noise": 0.0})
    batch, rows = DecoderTraining(config, stage_2, given).batch(0), views.rows_of_step(7, 0, 0, 0, 1).tolist()
    flipped = [
        torch.equal(latents, views.source.latents[1, row])
        for latents, row in zip(batch.drawn.latents_BCHW, rows, strict=True)
    ]
    assert 0 < sum(flipped) < 7
    for place, (row, is_flipped) in enumerate(zip(rows, flipped, strict=True)):
        scripts, tokens_1LD = given.scripted.read([row], is_flipped)
        assert torch.equal(batch.tokens_BLD[place], tokens_1LD[0])
        assert np.array_equal(batch.sentences_BSE[place, :row], scripts[0].sentences)


def test_export_reads_scripts(stage_2: Path, tmp_path) -> None:
    trained = training(stage_2)
    advance(trained, torch.optim.AdamW(list(trained.parameters(0))), 0, 2)
    trained.export(tmp_path)
    autoencoder = DiffusionAutoencoder.from_pretrained(tmp_path)
    assert autoencoder.config.decoder.identity
    before, after = DiffusionAutoencoder.from_pretrained(stage_2), autoencoder
    for name, value in before.compressor.state_dict().items():
        assert torch.equal(after.compressor.state_dict()[name], value)
    scripts, tokens_TLD = trained.keyframes.scripted.read(range(7))
    told_of = trained._padded(scripts)
    drawn = autoencoder.reconstruct(tokens_TLD, *told_of, seeds=range(7), steps=2, guidance=1.5)
    assert drawn.shape == (7, 6, 4, 8)
    training(tmp_path)  # stage 3 goes on from its own folder


def test_bad_input_is_quoted(stage_2: Path) -> None:
    views, scripted = told(keyframes=3)
    with pytest.raises(ValueError, match="as many scripts as pictures, and at least one: 7 and 3"):
        DecoderTraining(CONFIG, stage_2, Keyframes(views, told().scripted))
    with pytest.raises(ValueError, match="7 and 3"):
        DecoderTraining(CONFIG, stage_2, Keyframes(views, scripted), Keyframes(views, told().scripted))


def test_held_out_keyframes_are_scored_with_whole_scripts_at_the_same_noise_each_time(stage_2: Path) -> None:
    held_out = told(seed=1, keyframes=5)
    trained = training(stage_2, held_out=held_out)
    first, again = trained.validate(), trained.validate()
    assert set(first) == {"loss", "diffusion", "coarse"}
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert first["loss"] == pytest.approx((first["diffusion"] + first["coarse"]).item(), rel=1e-5)
    masked = training(stage_2, CONFIG.model_copy(update={"masked": 1.0, "dropped": 1.0}), held_out)
    assert all(torch.equal(first[name], masked.validate()[name]) for name in first)
    quiet = [
        replace(script, sentences=script.sentences[:0], kinds=script.kinds[:0]) for script in held_out.scripted.scripts
    ]
    silent = Keyframes(held_out.views, replace(held_out.scripted, scripts=quiet))
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


def seen_at(*boxes: tuple[float, float, float, float]) -> FrameScript:
    faces = np.zeros((len(boxes), 7), np.float32)
    where = np.array(boxes, np.float32).reshape(-1, 4)
    return FrameScript("f-000000", np.zeros((0, 10), np.float32), np.zeros(0, np.int8), faces, face_boxes=where)


def test_face_map_has_the_share_of_each_place_that_faces_cover() -> None:
    covered_BHW = face_map(face_boxes([seen_at((0.25, 0.5, 0.625, 1.0)), seen_at()]), (2, 4))
    assert covered_BHW.tolist() == [[[0, 0, 0, 0], [0, 1, 0.5, 0]], [[0] * 4] * 2]


def test_face_map_follows_the_cut_of_a_picture() -> None:
    """Of a picture of 40x40, resized to 20x20, the middle of 10 rows is shown: the face's lower half lies below it."""
    cut_16 = torch.tensor([[40, 40, 5, 0, 10, 20]], dtype=torch.float32)
    covered_BHW = face_map(face_boxes([seen_at((0, 0.5, 0.5, 1.0))], cut_16), (2, 2))
    assert covered_BHW.tolist() == [[[0, 0], [1, 0]]]


def test_warm_up_leaves_the_unet_as_it_is(stage_2: Path) -> None:
    trained = training(stage_2, CONFIG.model_copy(update={"warmup_steps": 2, "coarse_weight": 1.0}))
    names = {id(parameter): name for name, parameter in trained.module.live.decoder.named_parameters()}
    first, later = ({names[id(parameter)] for parameter in trained.parameters(step)} for step in (1, 2))
    assert not [name for name in first if name.startswith(("unet.", "pooled.", "widen."))]
    assert later == set(names.values())
    loss, terms = trained.loss(trained.batch(0), 0)
    assert list(terms) == ["coarse"]
    loss.backward()
    assert trained.module.live.decoder.unet.conv_in.weight.grad is None


def test_warm_up_is_refused_where_there_is_no_coarse_head_or_no_room(stage_2: Path) -> None:
    with pytest.raises(ValueError, match="warmup_steps=9 are part of steps=4"):
        training(stage_2, CONFIG.model_copy(update={"warmup_steps": 9}))


def test_errors_at_faces_weigh_more(stage_2: Path) -> None:
    """The loss on a batch without its faces' weight, and with it: the faces' own share comes on top."""
    given = told()
    scripts = [
        replace(script, face_boxes=np.tile([[0.0, 0, 1, 1]], (len(script.faces), 1)))
        for script in given.scripted.read(range(7))[0]
    ]
    whole = Keyframes(given.views, InMemoryEpisode("f", scripts, given.scripted.read(range(7))[1]))
    config = CONFIG.model_copy(update={"batch": 7, "dropped": 0.0})
    terms = {}
    for weight in (0.0, 1.0):
        trained = DecoderTraining(config.model_copy(update={"face_weight": weight}), stage_2, whole)
        terms[weight] = trained.loss(trained.batch(0), 0)[1]
    assert terms[0.0]["diffusion"] == terms[1.0]["diffusion"]
    assert terms[0.0]["coarse"] < terms[1.0]["coarse"] < 2 * terms[0.0]["coarse"]


CRITICAL = CONFIG.model_copy(update={"warmup_steps": 2, "adversarial_weight": 1.0})


def test_with_a_critic_resumed_equals_undisturbed_and_the_export_is_a_plain_autoencoder(
    stage_2: Path, tmp_path: Path
) -> None:
    whole = training(stage_2, CRITICAL)
    losses = advance(whole, torch.optim.AdamW(whole.module.parameters()), 0, 4)
    first, second = training(stage_2, CRITICAL), training(stage_2, CRITICAL)
    optimisers = [torch.optim.AdamW(run.module.parameters()) for run in (first, second)]
    advance(first, optimisers[0], 0, 2)
    second.module.load_state_dict(first.module.state_dict())
    optimisers[1].load_state_dict(optimisers[0].state_dict())
    assert advance(second, optimisers[1], 2, 4) == losses[2:]
    whole.export(tmp_path / "trained")
    DiffusionAutoencoder.from_pretrained(tmp_path / "trained")


def test_the_critic_judges_the_coarse_map_and_later_what_one_step_draws(stage_2: Path) -> None:
    trained = training(stage_2, CRITICAL)
    unet = trained.module.live.decoder.unet.conv_in.weight
    for step in (0, 2):
        loss, terms = trained.loss(trained.batch(step), step)
        loss.backward()
        assert list(terms) == ["drawn", "critic", "unconvinced"]
        assert (unet.grad is not None) == (step == 2)
    assert {id(p) for p in trained.critic.parameters()} <= {id(p) for p in trained.parameters(0)}


def test_the_critic_learns_alone_at_first_and_goes_on_from_its_folder(stage_2: Path, tmp_path: Path) -> None:
    config = CRITICAL.model_copy(update={"warmup_steps": 0, "critic_steps": 2, "learning_rate": 0.1})
    trained = training(stage_2, config)
    before = DiffusionAutoencoder.from_pretrained(stage_2)
    assert [trained.lr(step) for step in (0, 2)] == [0.1, 0.1]
    assert {id(p) for p in trained.parameters(1)} == {id(p) for p in trained.critic.parameters()}
    assert len(trained.parameters(2)) > len(trained.parameters(1))
    optimiser = torch.optim.AdamW(trained.parameters(0))
    advance(trained, optimiser, 0, 2)
    for name, value in before.decoder.unet.state_dict().items():
        assert torch.equal(trained.module.live.decoder.unet.state_dict()[name], value), name
    trained.export(tmp_path)
    again, fresh = (training(folder, CRITICAL).critic.state_dict() for folder in (tmp_path, stage_2))
    assert all(torch.equal(again[name], value) for name, value in trained.critic.state_dict().items())
    assert not all(torch.equal(again[name], value) for name, value in fresh.items())


def test_steps_of_a_critic_need_one(stage_2: Path) -> None:
    with pytest.raises(ValueError, match=r"critic_steps=2 are at most 0, with steps=4 and adversarial_weight=0"):
        training(stage_2, CONFIG.model_copy(update={"critic_steps": 2}))
    with pytest.raises(ValueError, match=r"critic_steps=5 are at most 4"):
        training(stage_2, CRITICAL.model_copy(update={"critic_steps": 5}))


def test_held_out_keyframes_are_scored_without_the_critic(stage_2: Path) -> None:
    assert list(training(stage_2, CRITICAL, told(seed=1)).validate()) == ["loss", "drawn"]
