"""Generation with a key-value cache against the full forward pass, token by token."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.generate import GenerationConfig, Request, generate
from models.autoregressive.keyvalues import KeyValues
from models.autoregressive.packing import Window
from models.autoregressive.script_tokens import FrameScript, lay_out
from models.backbone import LlamaTinyBackbone
from models.head import GmmConfig

L, D, C, F = 2, 6, 10, 8
CONFIG = GenerationConfig(window=4, keep=2, temperature=0.8)


def model(**changes) -> AutoregressiveModel:
    config = AutoregressiveConfig(
        backbone=LlamaTinyBackbone(hidden=32, layers=2), tokens=L, width=D, sentence_width=C, face_width=F
    )
    net = AutoregressiveModel.create(config.model_copy(update=changes)).eval()
    with torch.no_grad():
        net.head.linear.weight.mul_(20)  # so that what stands before matters
    net.token_mean_LD.copy_(torch.linspace(-1, 1, L * D).reshape(L, D))
    net.token_std_LD.fill_(0.7)
    return net


def scripts(count: int, seed: int = 0) -> list[FrameScript]:
    random = np.random.default_rng(seed)
    made = []
    for i in range(count):
        kinds = np.sort(random.integers(0, 3, random.integers(1, 6))).astype(np.int8)
        sentences = random.standard_normal((len(kinds), C)).astype(np.float32)
        faces = random.standard_normal((random.integers(0, 3), F)).astype(np.float32)
        made.append(FrameScript(f"x-{i:06d}", sentences, kinds, faces))
    return made


def references(seed: int = 5) -> torch.Tensor:
    return torch.randn(3, L, D, generator=torch.Generator().manual_seed(seed))


def by_full_forward(net: AutoregressiveModel, request: Request, config: GenerationConfig) -> torch.Tensor:
    """The same movie with the whole window run anew for every single token."""
    history = torch.zeros(0, L, D) if request.history_TLD is None else request.history_TLD
    every = [*request.history_scripts, *request.scripts]
    known, start = history, len(history)
    first = 0 if start < config.window else start - config.keep
    while len(known) < len(every):
        if len(known) - first == config.window:
            first = len(known) - config.keep
        keyframe = torch.zeros(1, L, D)
        for place in range(L):
            run = torch.cat([known[first:], keyframe])
            window = Window(every[first : len(known) + 1], run, request.references_RLD, request.reference_scripts)
            mixture = net(net.pack([window]))
            t = len(known) - start
            generator = torch.Generator().manual_seed((request.seed * 1_000_003 + t) * L + place)
            uniform, normal_D = torch.rand((), generator=generator), torch.randn(D, generator=generator)
            shape = mixture.mean.shape
            drawn = mixture.draw(uniform.expand(shape[:-1]), normal_D.expand(shape), config.temperature)
            keyframe[0, place] = drawn[0, -1, place]
        known = torch.cat([known, keyframe])
    return known[start:]


@pytest.mark.parametrize("layout", ["paper", "compact"])
@pytest.mark.parametrize("recall", [True, False])
@pytest.mark.parametrize("shown", ["nothing", "tokens", "tokens and scripts"])
def test_the_cache_gives_what_the_full_forward_gives(layout, recall, shown):
    net = model(layout=layout, recall=recall)
    request = Request(
        scripts(7),
        seed=11,
        references_RLD=None if shown == "nothing" else references(),
        reference_scripts=scripts(3, 9) if shown == "tokens and scripts" else (),
    )
    with torch.inference_mode():
        (got,) = generate(net, [request], CONFIG)
        torch.testing.assert_close(got, by_full_forward(net, request, CONFIG), atol=1e-5, rtol=0)
    assert got.shape == (7, L, D)  # more than a window: the cache was rebuilt twice


@pytest.mark.parametrize("before", [2, 6])
def test_a_history_is_continued(before):
    net, history = model(), torch.randn(6, L, D, generator=torch.Generator().manual_seed(1))[:before]
    request = Request(scripts(3), seed=2, history_scripts=scripts(before, 4), history_TLD=history)
    with torch.inference_mode():
        (got,) = generate(net, [request], CONFIG)
        torch.testing.assert_close(got, by_full_forward(net, request, CONFIG), atol=1e-5, rtol=0)
    assert not torch.allclose(got, generate(net, [Request(scripts(3), seed=2)], CONFIG)[0])


def test_a_movie_is_the_same_alone_and_among_others():
    net = model()
    requests = [
        Request(scripts(6, 1), seed=1),
        Request(scripts(6, 2), seed=2, references_RLD=references()),
        Request([script.without_faces() for script in scripts(3, 1)], seed=1),
        Request(scripts(5, 3), seed=3, history_scripts=scripts(2), history_TLD=torch.ones(2, L, D)),
    ]
    together = generate(net, requests, CONFIG)
    assert [len(tokens) for tokens in together] == [6, 6, 3, 5]
    for request, tokens in zip(requests, together, strict=True):
        torch.testing.assert_close(tokens, generate(net, [request], CONFIG)[0], atol=1e-4, rtol=1e-4)


def told(**changes) -> list[FrameScript]:
    return [replace(scripts(1)[0], **changes)]


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        (
            Request(scripts(1), references_RLD=torch.zeros(3, L, D + 1)),
            r"reference tokens are \[3, 2, 7\], .*any, 2, 6",
        ),
        (
            Request(scripts(1), references_RLD=torch.zeros(3, L + 1, D)),
            r"reference tokens are \[3, 3, 6\], .*any, 2, 6",
        ),
        (Request(scripts(1), references_RLD=torch.zeros(L, D)), r"reference tokens are \[2, 6\], .*any, 2, 6"),
        (Request(scripts(1), references_RLD=torch.full((1, L, D), torch.nan)), "reference tokens .* not finite"),
        (
            Request(scripts(1), references_RLD=references(), reference_scripts=scripts(2)),
            "2 reference scripts but 3 references",
        ),
        (Request(scripts(1), reference_scripts=scripts(2)), "2 reference scripts but 0 references"),
        (Request(told(sentences=np.zeros((5, C + 1)))), r"'x-000000': sentences are \[5, 11\], .*any, 10"),
        (Request(told(faces=np.zeros((1, F - 1)))), r"'x-000000': faces are \[1, 7\], .*any, 8"),
        (Request(told(faces=np.full((1, F), np.nan))), "'x-000000': faces .* not finite"),
        (Request(scripts(1), history_scripts=scripts(2), history_TLD=torch.zeros(1, L, D)), "2 history scripts but"),
    ],
)
def test_what_the_model_cannot_read_is_quoted(request_, says):
    with pytest.raises(ValueError, match=says):
        generate(model(), [request_], CONFIG)


@pytest.mark.parametrize("name", ["temperature", "weight_temperature", "guidance"])
@pytest.mark.parametrize("number", [float("inf"), float("nan")])
def test_what_scales_is_finite(name, number):
    with pytest.raises(ValueError, match=rf"{name}\n.*finite"):
        GenerationConfig(**{name: number})


def test_seed_and_temperature():
    net, told = model(), scripts(3)

    def dream(seed: int, temperature: float) -> torch.Tensor:
        return generate(net, [Request(told, seed)], GenerationConfig(temperature=temperature))[0]

    assert torch.equal(dream(0, 0.7), dream(0, 0.7))
    assert not torch.allclose(dream(0, 0.7), dream(1, 0.7))
    with torch.inference_mode():
        mixture = net(net.pack([Window(told[:1], torch.zeros(1, L, D))]))
    first = dream(0, 0.0)[0, 0]
    assert (mixture.means[0, 0, 0] - first).abs().amax(-1).min() < 1e-4  # a component's mean


def test_two_forwards_a_keyframe(monkeypatch):
    net, calls = model(), []
    forward = KeyValues.forward
    monkeypatch.setattr(KeyValues, "forward", lambda *args: calls.append(args[1].shape[1]) or forward(*args))
    told = scripts(4)
    generate(net, [Request(told)], CONFIG)
    longest = max(len(lay_out(script, net.identifiers, net.config.layout)) for script in told)
    assert calls == [1 + longest, 1] * 4


def test_the_weights_temperature_sharpens_the_choice_of_the_component():
    net, told = model(), scripts(3)
    with torch.inference_mode():
        mixture = net(net.pack([Window(told[:1], torch.zeros(1, L, D))]))
    likeliest = mixture.means[0, 0, 0][mixture.logits[0, 0, 0].argmax()]
    for seed in range(5):
        (tokens,) = generate(net, [Request(told, seed)], GenerationConfig(weight_temperature=0))
        torch.testing.assert_close(tokens[0, 0], likeliest, atol=1e-5, rtol=0)


@pytest.mark.parametrize("recall", [True, False])
def test_guidance_moves_away_from_what_comes_without_a_script(recall):
    net = model(recall=recall)
    request = Request(scripts(6), seed=3, references_RLD=references(), reference_scripts=scripts(3, 9))
    untold = replace(request, scripts=[script.untold() for script in request.scripts])
    plain, none, twice = (
        generate(net, [request], CONFIG.model_copy(update={"guidance": strength, "temperature": 0.0}))[0]
        for strength in (1.0, 0.0, 2.0)
    )
    (without,) = generate(net, [untold], CONFIG.model_copy(update={"temperature": 0.0}))
    torch.testing.assert_close(none[0], without[0], atol=1e-5, rtol=0)
    if not recall:  # with recall the mixing weights move as well
        torch.testing.assert_close(twice[0, 0] - plain[0, 0], plain[0, 0] - none[0, 0], atol=1e-4, rtol=0)
    guided = CONFIG.model_copy(update={"guidance": 1.5})
    both = generate(net, [request, Request(scripts(3, 4), seed=1)], guided)
    torch.testing.assert_close(both[0], generate(net, [request], guided)[0], atol=1e-5, rtol=0)


def test_bfloat16_is_nearly_the_same_with_a_float32_head():
    net, request = model(recall=False, head=GmmConfig(components=1)), Request(scripts(3), seed=1)
    (exact,) = generate(net, [request], GenerationConfig())
    (near,) = generate(net.in_bfloat16(), [request], GenerationConfig())
    assert net.head.linear.weight.dtype == net.token_mean_LD.dtype == near.dtype == torch.float32
    assert net.backbone.layers[0].mlp.up_proj.weight.dtype == torch.bfloat16
    torch.testing.assert_close(near[0, 0], exact[0, 0], atol=0.1, rtol=0)
    assert not torch.equal(near, exact)


def test_a_model_that_dreamt_has_the_same_weights_to_train_and_to_save(tmp_path):
    net = model()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    generate(net, [Request(scripts(2))], CONFIG)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.save_pretrained(tmp_path)
    again = AutoregressiveModel.from_pretrained(tmp_path).state_dict()
    assert all(torch.equal(value, before[name]) for name, value in again.items())
    optimizer = torch.optim.AdamW([parameter for parameter in net.parameters() if parameter.requires_grad])
    net.train()(net.pack([Window(scripts(2), torch.zeros(2, L, D))])).mean.square().mean().backward()
    optimizer.step()
    moved = net.backbone.layers[0].mlp.up_proj.weight - before["backbone.layers.0.mlp.up_proj.weight"]
    assert float(moved.detach().abs().min()) > 0


def test_no_more_of_the_cache_is_looked_at_than_may_be_filled(monkeypatch):
    net, used = model(), []
    forward = KeyValues.forward
    monkeypatch.setattr(KeyValues, "forward", lambda *args: used.append(args[-1]) or forward(*args))
    told = scripts(4)
    generate(net, [Request(told)], CONFIG.model_copy(update={"window": 40}))
    cell = L + max(len(lay_out(script, net.identifiers, net.config.layout)) for script in told)
    assert used[::2] == [-(-(1 + frames * cell) // 8) * 8 for frames in (1, 2, 3, 4)]


def test_it_leaves_the_model_as_it_was_and_refuses_what_does_not_fit():
    net = model().train()
    generate(net, [Request(scripts(1))], CONFIG)
    assert net.training
    assert generate(net, [Request([])], CONFIG)[0].shape == (0, L, D)
    with pytest.raises(ValueError, match="1 history scripts but tokens of 2"):
        generate(net, [Request(scripts(1), history_scripts=scripts(1), history_TLD=torch.ones(2, L, D))], CONFIG)
    with pytest.raises(ValueError, match=r"\[1, 2, 5\], the model's are \[any, 2, 6\]"):
        generate(net, [Request(scripts(1), history_scripts=scripts(1), history_TLD=torch.ones(1, L, 5))], CONFIG)
    with pytest.raises(ValueError, match="got 4 and 4"):
        GenerationConfig(window=4, keep=4)
