"""The heads behind one protocol: a mixture, a point, a flow."""

import math
from dataclasses import replace

import pytest
import torch
from torch.distributions import Independent, Normal

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.generate import Request, generate
from models.backbone import LlamaTinyBackbone
from models.head import FlowConfig, GmmConfig, RegressionConfig, build
from models.head.flow import Flow
from models.training.autoregressive import AutoregressiveTraining
from tests.models.autoregressive.test_generate import CONFIG, by_full_forward, references, scripts
from tests.models.test_training_autoregressive import CONFIG as TRAINING
from tests.models.test_training_autoregressive import MODEL, film, run

H, N, L, D = 16, 7, 2, 6
HEADS = [GmmConfig(components=3), RegressionConfig(), FlowConfig(width=32, blocks=1, steps=4)]
EACH = pytest.mark.parametrize("config", HEADS, ids=lambda config: config.kind)


def head(config) -> torch.nn.Module:
    torch.manual_seed(0)
    made = build(config, H, D)
    made.initialise()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return made


@EACH
def test_each_head_predicts_costs_and_draws(config):
    made = head(config)(torch.randn(2, N, H))
    tokens = torch.randn(2, N, D)
    assert made.mean.shape == (2, N, D)
    assert made.cost(tokens).shape == made.nll_per_dimension(tokens).shape == (2, N)
    uniform, normal = torch.rand(2, N), torch.randn(2, N, D)
    drawn = made.draw(uniform, normal, 1.0, 1.0)
    assert torch.equal(drawn, made.draw(uniform, normal, 1.0, 1.0))
    first, second = head(config)(torch.randn(6, H)).halves()
    assert first.mean.shape == second.mean.shape == (3, D)
    torch.testing.assert_close(first.guided(second, 1.0).mean, first.mean)
    torch.testing.assert_close(first.guided(second, 0.0).mean, second.mean)


@EACH
def test_another_unit_is_the_same_prediction(config):
    made, tokens = head(config)(torch.randn(N, H)), torch.randn(N, D)
    shift, scale = torch.randn(D), torch.rand(D) + 0.5
    moved = made.affine(shift, scale)
    torch.testing.assert_close(moved.mean, made.mean * scale + shift)
    noise = torch.rand(N), torch.randn(N, D)
    torch.testing.assert_close(moved.draw(*noise, 0.5, 1.0), made.draw(*noise, 0.5, 1.0) * scale + shift)
    nll = made.nll_per_dimension(tokens) + scale.log().mean()
    torch.testing.assert_close(moved.nll_per_dimension(tokens * scale + shift), nll, atol=1e-4, rtol=1e-4)


def test_a_point_draws_its_mean_at_every_temperature():
    made = head(RegressionConfig())(torch.randn(N, H))
    for temperature in (0.0, 1.0):
        assert torch.equal(made.draw(torch.rand(N), torch.randn(N, D), temperature, 1.0), made.mean)


def gaussian(steps: int) -> tuple[Flow, Normal]:
    """The exact velocity from a standard normal to another one."""
    m, s = torch.linspace(-1, 1, D), torch.linspace(0.5, 1.5, D)

    def velocity(x, t):
        return m + (t * s**2 - (1 - t)) / ((t * s) ** 2 + (1 - t) ** 2) * (x - t * m)

    return Flow(velocity, torch.zeros(N, H), steps, 1, torch.zeros(D), torch.ones(D)), Normal(m, s)


def test_a_flows_likelihood_mean_and_draws_are_those_of_what_it_flows_to():
    flow, normal = gaussian(steps=200)
    tokens = normal.sample((N,))
    exact = -Independent(normal, 1).log_prob(tokens) / D
    torch.testing.assert_close(flow.nll_per_dimension(tokens), exact, atol=0.02, rtol=0)
    torch.testing.assert_close(flow.mean, normal.mean.expand(N, -1))
    many = replace(flow, condition_NC=torch.zeros(20_000, H))
    torch.manual_seed(0)
    drawn = many.draw(torch.rand(20_000), torch.randn(20_000, D), 1.0, 1.0)
    torch.testing.assert_close(drawn.mean(0), normal.mean, atol=0.04, rtol=0)
    torch.testing.assert_close(drawn.std(0), normal.stddev, atol=0.04, rtol=0)
    torch.testing.assert_close(flow.draw(torch.rand(N), torch.randn(N, D), 0.0, 1.0), flow.mean, atol=0.01, rtol=0)


@EACH
def test_each_head_learns(config):
    model = MODEL.model_copy(update={"head": config, "recall": False, "dropout": 0.0, "masking": 0.0, "noise": 0.0})
    training = AutoregressiveTraining(
        TRAINING.model_copy(update={"model": model, "steps": 60, "learning_rate": 3e-3}), [film(24)]
    )

    def loss() -> float:
        return sum(float(training.loss(training.batch(step), step)[0].detach()) for step in range(100, 110)) / 10

    before = loss()
    run(training, range(40))
    assert loss() < before - 0.3


@EACH
@pytest.mark.parametrize("guidance", [1.0, 1.5])
def test_each_head_generates_what_the_full_forward_gives(config, guidance):
    sizes = {"tokens": L, "width": D, "sentence_width": 10, "face_width": 8, "head": config, "recall": False}
    net = AutoregressiveModel.create(
        AutoregressiveConfig(backbone=LlamaTinyBackbone(hidden=32, layers=2), **sizes)
    ).eval()
    request = Request(scripts(6), seed=5, references_RLD=references())
    (got,) = generate(net, [request], CONFIG.model_copy(update={"guidance": guidance}))
    if guidance == 1:
        with torch.inference_mode():
            torch.testing.assert_close(got, by_full_forward(net, request, CONFIG), atol=1e-5, rtol=0)
    assert got.isfinite().all()


def test_a_point_recalls_nothing():
    with pytest.raises(ValueError, match=r"head\.kind='regression' can't use recalled tokens: set recall=false"):
        AutoregressiveModel.create(MODEL.model_copy(update={"head": RegressionConfig()}))


def test_a_flow_reads_what_is_recalled():
    made = build(FlowConfig(width=32, blocks=1), H, D, recalled=4)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    hidden, means, noise = torch.randn(N, H), torch.randn(N, 4, D), torch.randn(N, D)
    drawn = made(hidden, (means, torch.zeros(N, 4))).draw(torch.rand(N), noise)
    assert not torch.allclose(drawn, made(hidden, (means.flip(0), torch.zeros(N, 4))).draw(torch.rand(N), noise))


def test_a_wide_tokens_divergence_is_estimated_with_the_same_signs_each_time():
    wide = 64
    turn_DD = torch.randn(wide, wide, generator=torch.Generator().manual_seed(1)) / wide**0.5
    flow = Flow(lambda x, t: x @ turn_DD.T, torch.zeros(N, H), 64, 1, torch.zeros(wide), torch.ones(wide))
    tokens = torch.randn(N, wide)
    nll = flow.nll_per_dimension(tokens)
    assert torch.equal(nll, flow.nll_per_dimension(tokens))
    before = tokens @ torch.linalg.matrix_exp(-turn_DD).T
    exact = 0.5 * (before.square() + math.log(2 * math.pi)).mean(-1) + turn_DD.trace() / wide
    torch.testing.assert_close(nll, exact, atol=0.1, rtol=0)


def test_the_head_works_in_float32_whatever_is_around_it():
    made = head(GmmConfig())
    hidden = torch.randn(N, H)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = made(hidden)
    assert inside.means.dtype == torch.float32
    assert torch.equal(inside.means, made(hidden).means)
