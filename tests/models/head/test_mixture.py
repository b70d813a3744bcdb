"""The mixture head against torch.distributions and eq. 7-9 written out by hand."""

import math

import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from models.head.mixture import Mixture, MixtureHead, UnconditionalMixture

N, K, D, H = 5, 3, 4, 16


def some_mixture(seed: int = 0) -> Mixture:
    generator = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=generator)  # noqa: E731
    return Mixture(draw(N, K), 2 * draw(N, K, D), draw(N, K, D).exp())


def head(components: int = K, floor: float = 0.1) -> MixtureHead:
    torch.manual_seed(0)
    module = MixtureHead(H, components, D, floor)
    module.initialise()
    return module


def double(seed: int = 0, **changes) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Logits, means and scales in float64 that want gradients."""
    mixture = some_mixture(seed)
    return tuple(part.double().requires_grad_() for part in (mixture.logits, mixture.means, mixture.scales))


def by_torch(logits, means, scales) -> MixtureSameFamily:
    return MixtureSameFamily(Categorical(logits=logits), Independent(Normal(means, scales), 1))


def test_log_prob_mean_and_variance_equal_those_of_torch():
    ours, theirs = Mixture(*double()), by_torch(*double())
    tokens_ND = torch.randn(N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    exact = {"atol": 1e-12, "rtol": 1e-12}
    torch.testing.assert_close(ours.log_prob(tokens_ND), theirs.log_prob(tokens_ND), **exact)
    torch.testing.assert_close(ours.nll_per_dimension(tokens_ND) * -D, theirs.log_prob(tokens_ND), **exact)
    torch.testing.assert_close(ours.mean, theirs.mean, **exact)
    torch.testing.assert_close(ours.variance, theirs.variance, **exact)


def test_gradients_equal_those_of_torch_and_of_finite_differences():
    tokens_ND = torch.randn(N, D, dtype=torch.float64, generator=torch.Generator().manual_seed(1))

    def cost(made, logits, means, scales):
        mixture = made(logits, means, scales)
        return -mixture.log_prob(tokens_ND).mean() / D + (mixture.mean - tokens_ND).square().mean()

    mine, theirs = double(), double()
    cost(Mixture, *mine).backward()
    cost(by_torch, *theirs).backward()
    for one, other in zip(mine, theirs, strict=True):
        torch.testing.assert_close(one.grad, other.grad, atol=1e-12, rtol=1e-12)
    assert torch.autograd.gradcheck(lambda *parts: cost(Mixture, *parts), double())


def test_the_heads_gradients_are_those_of_finite_differences():
    module = head().double()
    hidden = torch.randn(3, H, dtype=torch.float64, requires_grad=True)
    tokens = torch.randn(3, D, dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda h: module(h).nll_per_dimension(tokens).mean(), hidden)


def test_nll_is_equation_nine():
    mixture = some_mixture()
    tokens_ND = torch.randn(N, D, generator=torch.Generator().manual_seed(1))
    weights_NK = mixture.logits.softmax(-1)
    for n in range(N):
        total = 0.0
        for i in range(K):
            density = 1.0
            for c in range(D):
                m, v = float(mixture.means[n, i, c]), float(mixture.scales[n, i, c]) ** 2
                density *= math.exp(-((float(tokens_ND[n, c]) - m) ** 2) / (2 * v)) / math.sqrt(2 * math.pi * v)
            total += float(weights_NK[n, i]) * density
        assert float(mixture.nll_per_dimension(tokens_ND)[n]) == pytest.approx(-math.log(total) / D, rel=1e-4)


def test_draws_have_the_moments_of_the_mixture():
    one = some_mixture()
    count = 40_000
    many = Mixture(*(part[0].expand(count, *part.shape[1:]) for part in (one.logits, one.means, one.scales)))
    generator = torch.Generator().manual_seed(2)
    drawn = many.draw(torch.rand(count, generator=generator), torch.randn(count, D, generator=generator))
    torch.testing.assert_close(drawn.mean(0), one.mean[0], atol=0.05, rtol=0.05)
    torch.testing.assert_close(drawn.var(0), one.variance[0], atol=0.05, rtol=0.06)
    theirs = by_torch(one.logits[0], one.means[0], one.scales[0]).sample((count,))
    shares_K, nearest_K = (
        (torch.cdist(some, one.means[0]).argmin(1)[:, None] == torch.arange(K)).float().mean(0)
        for some in (drawn, theirs)
    )
    torch.testing.assert_close(shares_K, nearest_K, atol=0.02, rtol=0)


def test_temperature_scales_sigma_and_zero_gives_a_component_mean():
    mixture = some_mixture()
    uniform_N, normal_ND = torch.full((N,), 0.4), torch.ones(N, D)
    cold, warm, hot = (mixture.draw(uniform_N, normal_ND, t) for t in (0.0, 0.5, 1.0))
    torch.testing.assert_close(hot - cold, 2 * (warm - cold))
    assert all((cold[n] == mixture.means[n]).all(-1).any() for n in range(N))
    with pytest.raises(ValueError, match="-1"):
        mixture.draw(uniform_N, normal_ND, -1)


def test_affine_is_the_distribution_of_the_scaled_token():
    mixture, scale_D, shift_D = some_mixture(), torch.tensor([1.0, 2.0, 0.5, 3.0]), torch.arange(4.0)
    tokens_ND = torch.randn(N, D, generator=torch.Generator().manual_seed(1))
    moved = mixture.affine(shift_D, scale_D).log_prob(tokens_ND * scale_D + shift_D)
    torch.testing.assert_close(moved, mixture.log_prob(tokens_ND) - scale_D.log().sum())


def test_head_shapes_floor_and_parameter_count():
    module = head(floor=0.2)
    mixture = module(torch.randn(2, 7, H) * 50)
    assert mixture.batch_shape == (2, 7)
    assert mixture.means.shape == (2, 7, K, D)
    assert mixture.scales.min() > 0.2
    assert module.linear.out_features == 2 * K * D + K  # Appendix A
    torch.testing.assert_close(mixture.logits.softmax(-1).sum(-1), torch.ones(2, 7))


def test_a_fresh_head_has_unlike_components_that_get_unlike_gradients():
    module = head()
    hidden, tokens_ND = torch.randn(N, H), torch.randn(N, D)
    module(hidden).nll_per_dimension(tokens_ND).mean().backward()
    means, gradients = module.linear.bias[: K * D].view(K, D), module.linear.bias.grad[: K * D].view(K, D)
    for rows in (means, gradients):
        assert torch.cdist(rows, rows).add(10 * torch.eye(K)).min() > 1e-3


def test_bad_sizes_are_quoted():
    with pytest.raises(ValueError, match="got 0 and 4"):
        MixtureHead(H, 0, D, 0.1)
    with pytest.raises(ValueError, match=r"-0\.5"):
        MixtureHead(H, 1, D, -0.5)


def test_the_unconditional_mixture_finds_two_clusters():
    generator = torch.Generator().manual_seed(0)
    centres_2D = torch.tensor([[3.0] * D, [-3.0] * D])
    labels = torch.randint(2, (400,), generator=generator)
    tokens_ND = centres_2D[labels] + 0.5 * torch.randn(400, D, generator=generator)
    fits = {k: UnconditionalMixture.fit(tokens_ND, k, floor=0.01) for k in (1, 2)}
    found = fits[2].mixture.means.sort(0).values
    torch.testing.assert_close(found.float(), centres_2D.flip(0), atol=0.15, rtol=0)
    nll = {k: float(fit.nll_per_dimension(tokens_ND).mean()) for k, fit in fits.items()}
    entropy = math.log(2) / D + 0.5 * math.log(2 * math.pi * math.e * 0.25)
    assert nll[2] == pytest.approx(entropy, abs=0.05)
    assert nll[1] > nll[2] + 0.5
    with pytest.raises(ValueError, match="5 components to 3 tokens"):
        UnconditionalMixture.fit(tokens_ND[:3], 5)
