"""Training of the autoregressive model: determinism, resume, losses, augmentation, and that it learns."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.likelihood import held_out_nll, shuffled
from models.autoregressive.script_tokens import FrameScript
from models.backbone import LlamaTinyBackbone
from models.head import FlowConfig
from models.training import autoregressive as module
from models.training.autoregressive import AutoregressiveTraining, AutoregressiveTrainingConfig
from models.training.scripted import InMemoryEpisode

L, D, C, F = 2, 6, 16, 8
MODEL = AutoregressiveConfig(
    backbone=LlamaTinyBackbone(hidden=32, layers=2), tokens=L, width=D, sentence_width=C, face_width=F
)
CONFIG = AutoregressiveTrainingConfig(model=MODEL, steps=6, batch=2, window=4, references=2, warmup=2)


def film(frames: int = 12, seed: int = 0, first: int = 0) -> InMemoryEpisode:
    """Shots of three keyframes in four places: the place decides tokens and sentences."""
    random = np.random.default_rng(seed)
    places_4LD, words_4C = random.standard_normal((4, L, D)), random.standard_normal((4, C))
    faces_2F = random.standard_normal((2, F))
    scripts, tokens = [], []
    for t in range(first + frames):
        place = (t // 3 * 7 + t // 12) % 4
        sentences = np.stack([words_4C[place], random.standard_normal(C) * 0.3]).astype(np.float32)
        face = (faces_2F[t % 2] + 0.01 * random.standard_normal(F)).astype(np.float32)[None]
        choices = (faces_2F[t % 2] + 0.01 * random.standard_normal((3, F))).astype(np.float32)
        scripts.append(FrameScript(f"f-{t:06d}", sentences, np.array([1, 2], np.int8), face, (choices,)))
        tokens.append(places_4LD[place] + 0.15 * random.standard_normal((L, D)))
    tokens_TLD = torch.from_numpy(np.stack(tokens).astype(np.float32))[first:]
    return InMemoryEpisode("f", scripts[first:], tokens_TLD, tokens_TLD * -1)


def run(training: AutoregressiveTraining, steps: range, optimizer=None):
    parameters = list(training.parameters(0))
    optimizer = optimizer or torch.optim.AdamW(parameters, weight_decay=training.weight_decay)
    for step in steps:
        loss, _ = training.loss(training.batch(step), step)
        optimizer.zero_grad()
        loss.backward()
        optimizer.param_groups[0]["lr"] = training.lr(step)
        optimizer.step()
        training.stepped(step)
    return optimizer


def weights(training: AutoregressiveTraining) -> torch.Tensor:
    return torch.cat([value.flatten().float() for value in training.module.state_dict().values()])


def test_a_resumed_run_is_the_run_that_was_never_stopped():
    whole = AutoregressiveTraining(CONFIG, [film()])
    run(whole, range(6))
    first = AutoregressiveTraining(CONFIG, [film()])
    optimizer = run(first, range(3))
    torch.manual_seed(999)  # a new process: another global state
    second = AutoregressiveTraining(CONFIG, [film()])
    second.module.load_state_dict(first.module.state_dict())
    fresh = torch.optim.AdamW(list(second.parameters(0)), weight_decay=second.weight_decay)
    fresh.load_state_dict(optimizer.state_dict())
    run(second, range(3, 6), fresh)
    assert torch.equal(weights(whole), weights(second))


def test_training_goes_on_from_a_trained_model_in_its_own_units(tmp_path):
    first = AutoregressiveTraining(CONFIG, [film()])
    run(first, range(6))
    first.module.save_pretrained(tmp_path / "half", torch.float16)
    first.export(tmp_path / "whole")
    changed = CONFIG.model_copy(update={"model": MODEL.model_copy(update={"dropout": 0.1, "forgetting": 0.2})})
    second = AutoregressiveTraining(changed, [film(seed=5)], init=tmp_path / "whole")
    assert torch.equal(weights(first), weights(second))
    assert second.module.config.dropout == 0.1
    half = AutoregressiveTraining(CONFIG, [film(seed=5)], init=tmp_path / "half")
    assert all(value.dtype == torch.float32 for value in half.module.state_dict().values())
    assert torch.allclose(weights(first), weights(half), rtol=2e-3, atol=1e-3)
    flow = CONFIG.model_copy(update={"model": MODEL.model_copy(update={"head": FlowConfig(width=16, draws=2)})})
    AutoregressiveTraining(flow, [film()]).export(tmp_path / "flow")
    more = flow.model_copy(update={"model": MODEL.model_copy(update={"head": FlowConfig(width=16, draws=3)})})
    assert AutoregressiveTraining(more, [film()], init=tmp_path / "flow").module.config.head == more.model.head
    wider = CONFIG.model_copy(update={"model": MODEL.model_copy(update={"width": 2 * D})})
    with pytest.raises(ValueError, match="holds an autoregressive model of another config"):
        AutoregressiveTraining(wider, [film()], init=tmp_path / "whole")


def test_batches_depend_on_seed_step_and_rank_alone():
    first, again = AutoregressiveTraining(CONFIG, [film()]), AutoregressiveTraining(CONFIG, [film()])
    other = AutoregressiveTraining(CONFIG.model_copy(update={"seed": 1}), [film()])

    def same(a, b) -> bool:
        return a.seed == b.seed and torch.equal(a.packed.tokens_ND, b.packed.tokens_ND)

    assert same(first.batch(3), again.batch(3))
    assert same(first.batch(3, 1, 2), again.batch(3, 1, 2))
    assert not same(first.batch(3), first.batch(4))
    assert not same(first.batch(3), first.batch(3, 1, 2))
    assert not same(first.batch(3), other.batch(3))


def test_the_loss_is_equation_four_and_terms_can_be_left_out():
    training = AutoregressiveTraining(CONFIG, [film()])
    batch = training.batch(0)
    total, figures = training.loss(batch, 0)
    terms = {name: float(figure) for name, figure in figures.items()}
    assert 1 <= terms.pop("components_used") <= MODEL.head.components
    assert float(total.detach()) == pytest.approx(sum(terms.values()), rel=1e-5)
    for losses in (("nll",), ("l1", "l2")):
        part = AutoregressiveTraining(CONFIG.model_copy(update={"losses": losses}), [film()])
        assert float(part.loss(batch, 0)[0].detach()) == pytest.approx(sum(terms[name] for name in losses), rel=1e-5)


def test_each_term_by_hand():
    still = {"dropout": 0.0, "masking": 0.0, "noise": 0.0, "forgetting": 0.0}
    config = CONFIG.model_copy(update={"model": MODEL.model_copy(update=still), "batch": 1})
    training = AutoregressiveTraining(config, [film()])
    batch = training.batch(0)
    _, terms = training.loss(batch, 0)
    net = training.module.eval()
    mixture = net(batch.packed)
    targets = batch.packed.targets_BTLD
    error = (mixture.mean - targets) / net.token_std_LD
    assert float(terms["nll"]) == pytest.approx(float(-mixture.log_prob(targets).mean().detach()) / D, rel=1e-4)
    assert float(terms["l1"]) == pytest.approx(float(error.detach().abs().mean()), rel=1e-4)
    assert float(terms["l2"]) == pytest.approx(float((error.detach() ** 2).mean()), rel=1e-4)


def test_in_bfloat16_it_is_nearly_the_same_loss():
    losses = []
    for enabled in (False, True):
        training = AutoregressiveTraining(CONFIG, [film()])
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            losses.append(training.loss(training.batch(0), 0)[0])
        losses[-1].backward()
    assert losses[1].dtype == torch.float32
    assert float(losses[1].detach()) == pytest.approx(float(losses[0].detach()), rel=0.02)
    assert all(p.grad.isfinite().all() for p in training.parameters(0) if p.grad is not None)


def windows(count: int = 200, **changes):
    training = AutoregressiveTraining(CONFIG.model_copy(update=changes), [film()])
    return training.episodes[0], [training._window(np.random.default_rng(i)) for i in range(count)]


def test_flips_and_reversed_time_come_as_often_as_asked():
    episode, drawn = windows(flip=0.25, reverse=0.5, short_windows=0.0, random_faces=False)
    flipped = [not (episode.tokens_TLD == window.tokens_TLD[0]).all(-1).all(-1).any() for window in drawn]
    assert np.mean(flipped) == pytest.approx(0.25, abs=0.1)
    backwards = [window.scripts[0].row_id > window.scripts[-1].row_id for window in drawn]
    assert np.mean(backwards) == pytest.approx(0.5, abs=0.1)
    for window, mirrored, reversed_ in zip(drawn, flipped, backwards, strict=True):
        shown = [script.row_id for script in window.reference_scripts]
        seconds = [int(script.row_id[-6:]) for script in window.scripts]
        assert seconds == sorted(seconds, reverse=reversed_)  # whole shots, in one direction
        assert all(f"f-{t:06d}" in shown for t in range(min(seconds), max(seconds)) if t not in seconds)
        for script, tokens in zip(window.scripts, window.tokens_TLD, strict=True):  # each script with its keyframe
            true = episode.tokens_TLD[int(script.row_id[-6:])]
            assert torch.equal(tokens, -true if mirrored else true)
        for script, tokens in zip(window.reference_scripts, [] if not shown else window.references_RLD, strict=True):
            true = episode.tokens_TLD[int(script.row_id[-6:])]
            assert torch.equal(tokens, -true if mirrored else true)  # and references are mirrored with the window


def test_a_mirrored_window_has_the_mirrored_scripts():
    plain = film()
    mirrored = [replace(script, row_id=script.row_id + "-flipped") for script in plain.scripts]
    episode = replace(plain, scripts_flipped=mirrored)
    training = AutoregressiveTraining(CONFIG, [episode])
    kinds = set()
    for i in range(40):
        window = training._window(np.random.default_rng(i))
        for script, tokens in zip(window.scripts, window.tokens_TLD, strict=True):
            t, flipped = int(script.row_id.split("-")[1]), script.row_id.endswith("flipped")
            assert torch.equal(tokens, -episode.tokens_TLD[t] if flipped else episode.tokens_TLD[t])
            kinds.add(flipped)
    assert kinds == {True, False}


def test_references_are_prepended_stochastically_and_do_not_give_the_answer_away():
    episode, drawn = windows(reference_probability=0.5, flip=0.0)
    shown = [window for window in drawn if window.references_RLD is not None]
    assert len(shown) / len(drawn) == pytest.approx(0.5, abs=0.1)
    for window in shown:
        assert window.references_RLD.shape == (2, L, D)
        ids = {script.row_id for script in window.scripts}
        assert not ids & {script.row_id for script in window.reference_scripts}
        for script, tokens in zip(window.reference_scripts, window.references_RLD, strict=True):
            assert torch.equal(tokens, episode.tokens_TLD[int(script.row_id[-6:])])


@pytest.mark.parametrize("frames", [2, 3, 5, 12])
def test_no_reference_is_asked_for_however_short_the_film(frames):
    config = CONFIG.model_copy(update={"reference_probability": 1.0, "references": 10, "window": 8, "flip": 0.0})
    training = AutoregressiveTraining(config, [film(frames)])
    for i in range(50):
        window = training._window(np.random.default_rng(i))
        asked = {tuple(tokens.flatten().tolist()) for tokens in window.tokens_TLD}
        assert asked
        shown = () if window.references_RLD is None else window.references_RLD
        assert not asked & {tuple(tokens.flatten().tolist()) for tokens in shown}


def test_packed_rows_are_full_of_several_films_and_none_is_too_long():
    config = CONFIG.model_copy(update={"packing": 120, "batch": 3})
    training = AutoregressiveTraining(config, [film(4), film(3, seed=1)])
    for step in range(5):
        packed = training.batch(step).packed
        assert packed.kinds_PS.shape[1] == 120
        filled_P = (packed.windows_PS >= 0).sum(1)
        assert filled_P.min() > 120 - 2 * 12  # less than a keyframe and its references is free
        assert len(packed.row_B) > 3
        loss, _ = training.loss(training.batch(step), step)
        assert loss.isfinite()


def test_two_workers_read_what_one_reads_with_twice_the_batch():
    one = AutoregressiveTraining(CONFIG.model_copy(update={"batch": 2}), [film()])
    half = AutoregressiveTraining(CONFIG.model_copy(update={"batch": 1}), [film()])
    whole = one.batch(3).packed
    halves = [half.batch(3, rank, 2).packed for rank in range(2)]
    assert torch.equal(whole.tokens_ND, torch.cat([part.tokens_ND for part in halves]))


def test_faces_come_from_other_keyframes():
    episode, drawn = windows(20, random_faces=True)
    for window in drawn:
        for script in window.scripts:
            choices = episode.scripts[int(script.row_id[-6:])].face_choices[0]
            assert any(np.array_equal(script.faces[0], choice) for choice in choices)
    _, drawn = windows(5, random_faces=False)
    assert np.array_equal(drawn[0].scripts[0].faces, episode.scripts[int(drawn[0].scripts[0].row_id[-6:])].faces)


def test_windows_without_scripts_come_as_often_as_asked():
    _, drawn = windows(untold=0.3)
    untold = [all(not len(script.sentences) for script in window.scripts) for window in drawn]
    told = [all(len(script.sentences) for script in window.scripts) for window in drawn]
    assert np.mean(untold) == pytest.approx(0.3, abs=0.1)
    assert all(one != other for one, other in zip(untold, told, strict=True))  # a window as a whole
    assert not any(not len(script.sentences) for window in windows()[1] for script in window.scripts)


def test_windows_are_short_now_and_then():
    _, drawn = windows(short_windows=0.5)
    lengths = [len(window.scripts) for window in drawn]
    assert set(lengths) == {1, 2, 3, 4}
    assert lengths.count(4) > 100


def test_learning_rates():
    cosine = AutoregressiveTraining(CONFIG, [film()])
    rates = [cosine.lr(step) for step in range(6)]
    assert rates[0] < rates[1] == max(rates)
    assert rates[2:] == sorted(rates[2:], reverse=True)
    constant = AutoregressiveTraining(CONFIG.model_copy(update={"schedule": "constant"}), [film()])
    assert {constant.lr(step) for step in range(2, 6)} == {CONFIG.learning_rate}


def test_what_is_exported_is_what_was_trained(tmp_path):
    training = AutoregressiveTraining(CONFIG, [film()])
    run(training, range(2))
    training.export(tmp_path)
    again = AutoregressiveModel.from_pretrained(tmp_path)
    assert again.config == MODEL
    state = training.module.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in again.state_dict().items())


def test_bad_episodes_are_refused():
    with pytest.raises(ValueError, match="at least one episode"):
        AutoregressiveTraining(CONFIG, [])
    good = film()
    with pytest.raises(ValueError, match=r"f: an episode needs .* 11 scripts, 12 keyframes"):
        InMemoryEpisode("f", good.scripts[:-1], good.tokens_TLD)


def test_in_a_few_steps_scripts_help_on_keyframes_that_were_never_seen():
    config = CONFIG.model_copy(update={"steps": 60, "batch": 2, "window": 8, "learning_rate": 3e-3})
    training = AutoregressiveTraining(config, [film(24)])
    run(training, range(60))
    held_out = film(12, first=24)
    right_T, wrong_T = (
        held_out_nll(training.module, scripts, held_out.tokens_TLD, window=8, keep=4)
        for scripts in (held_out.scripts, shuffled(held_out.scripts, seed=0))
    )
    assert right_T.shape == (12,)
    assert right_T.mean() < wrong_T.mean() - 0.05


def test_held_out_keyframes_are_scored_alike_each_time_and_training_goes_on_as_if_nobody_had_looked():
    looked = AutoregressiveTraining(CONFIG, [film()], held_out=[film(seed=1), film(frames=5, seed=2)])
    optimizer = run(looked, range(2))
    first = looked.validate()
    assert looked.validate() == first
    expected = [held_out_nll(looked.module, e.scripts, e.tokens_TLD, window=4, keep=0) for e in looked.held_out]
    assert float(first["loss"]) == pytest.approx(float(torch.cat(expected).mean()))
    run(looked, range(2, 4), optimizer)
    plain = AutoregressiveTraining(CONFIG, [film()])
    run(plain, range(4))
    assert torch.equal(weights(looked), weights(plain))
    assert plain.validate() == {}


def test_two_workers_learn_what_one_learns_with_twice_the_batch():
    still = {"dropout": 0.0, "masking": 0.0, "noise": 0.0, "forgetting": 0.0}
    config = CONFIG.model_copy(update={"model": MODEL.model_copy(update=still), "short_windows": 0.0, "references": 0})
    one = AutoregressiveTraining(config.model_copy(update={"batch": 2}), [film()])
    two = [AutoregressiveTraining(config.model_copy(update={"batch": 1}), [film()]) for _ in range(2)]
    alone = torch.optim.SGD(list(one.parameters(0)), lr=0.05)  # AdamW turns rounding of tiny gradients into whole steps
    shared = [torch.optim.SGD(list(half.parameters(0)), lr=0.05) for half in two]
    for step in range(5):
        whole, _ = one.loss(one.batch(step), step)
        halves = [half.loss(half.batch(step, rank, 2), step)[0] for rank, half in enumerate(two)]
        assert float(whole.detach()) == pytest.approx(sum(float(half.detach()) for half in halves) / 2, abs=1e-5)
        for loss, optimizer in zip((whole, *halves), (alone, *shared), strict=True):
            optimizer.zero_grad()
            loss.backward()
        for pair in zip(*(half.parameters(step) for half in two), strict=True):
            mean = sum(parameter.grad for parameter in pair) / 2
            for parameter in pair:
                parameter.grad = mean.clone()
        for optimizer in (alone, *shared):
            optimizer.step()
    torch.testing.assert_close(weights(two[0]), weights(one), atol=1e-5, rtol=0)


class Asked:
    """An episode that notes which keyframes are read."""

    def __init__(self, episode):
        self.episode, self.read_frames = episode, []
        self.film_id, self.mirrored = episode.film_id, episode.mirrored

    def __len__(self):
        return len(self.episode)

    def read(self, frames, flipped=False):
        self.read_frames += list(frames)
        return self.episode.read(frames, flipped)


def test_a_step_reads_its_window_and_references_alone():
    asked = Asked(film(60))
    training = AutoregressiveTraining(CONFIG, [asked])
    for step in range(5):
        asked.read_frames.clear()
        training.batch(step)
        assert 0 < len(asked.read_frames) <= CONFIG.batch * (CONFIG.window + CONFIG.references)


def test_of_very_many_keyframes_some_are_standardised_by_and_some_validated(monkeypatch):
    monkeypatch.setattr(module, "_STANDARDISED", 256)
    monkeypatch.setattr(module, "_VALIDATED", 3)
    asked, held_out = [Asked(film(300)), Asked(film(300, seed=1))], Asked(film(40, seed=2))
    training = AutoregressiveTraining(CONFIG, asked, held_out=[held_out])
    assert [each.read_frames for each in asked] == [[*range(128)] * 2, [*range(84, 212)] * 2]  # two whole windows
    some_TLD = torch.cat([each.episode.tokens_TLD[each.read_frames[:128]] for each in asked])
    torch.testing.assert_close(
        training.module.token_std_LD, torch.cat([some_TLD, -some_TLD]).std(0, unbiased=False), rtol=1e-4, atol=1e-5
    )
    training.validate()
    assert held_out.read_frames == [*range(4), *range(16, 20), *range(32, 36)]
