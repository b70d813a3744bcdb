"""The k-mixture of Gaussians over continuous keyframe tokens (section 3.4, Appendix A, eq. 7-9).

Shapes: N tokens, K components, D token width, H hidden width, * any leading dimensions.
"""

from collections.abc import Sequence
from typing import Literal, Self

import torch
from einops import rearrange
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.distributions import Categorical, Independent, MixtureSameFamily, Normal

from models.head.head import Head, Recalled


class Mixture(MixtureSameFamily):
    """k Gaussians, independent across the D channels, with one mixing weight each.

    Everything of `torch.distributions.MixtureSameFamily` holds: `log_prob(tokens_ND)` in nats summed over D
    (eq. 7), `mean` (the e_pred of the l1 and l2 losses, eq. 4), `variance`, `sample()`.
    """

    def __init__(self, logits_NK: Tensor, means_NKD: Tensor, scales_NKD: Tensor) -> None:
        components = Independent(Normal(means_NKD, scales_NKD, validate_args=False), 1, validate_args=False)
        super().__init__(Categorical(logits=logits_NK, validate_args=False), components, validate_args=False)
        self.logits, self.means, self.scales = logits_NK, means_NKD, scales_NKD

    def nll_per_dimension(self, tokens_ND: Tensor) -> Tensor:
        """Eq. 9 without the expectation: -log p(token) / D, in nats, shape (N,)."""
        log_prob_N: Tensor = self.log_prob(tokens_ND)  # type: ignore[no-untyped-call]
        return -log_prob_N / tokens_ND.shape[-1]

    def cost(self, tokens_ND: Tensor) -> Tensor:
        """The loss of training (eq. 3, 9)."""
        return self.nll_per_dimension(tokens_ND)

    def used(self, tokens_BTLD: Tensor, valid_BT: Tensor) -> Tensor:
        """The number of components in use: perplexity of the components' shares of the valid tokens (1 to k)."""
        joint_BTLK = self.component_distribution.log_prob(tokens_BTLD.unsqueeze(-2)) + self.logits.log_softmax(-1)
        share_BTK = joint_BTLK.softmax(-1).mean(2)
        share_K = torch.where(valid_BT[..., None], share_BTK, 0.0).sum((0, 1)) / valid_BT.sum()
        perplexity: Tensor = torch.special.entr(share_K).sum().exp()
        return perplexity

    def affine(self, shift: Tensor, scale: Tensor) -> Self:
        """The distribution of `token * scale + shift` (both broadcast against (N, D))."""
        shift, scale = shift.unsqueeze(-2), scale.unsqueeze(-2)
        return type(self)(self.logits, self.means * scale + shift, self.scales * scale)

    def guided(self, other: Self, strength: float) -> Self:
        """Means and mixing weights moved away from those of `other`, per component; 1 changes nothing."""
        logits_NK = other.logits + strength * (self.logits - other.logits)
        return type(self)(logits_NK, other.means + strength * (self.means - other.means), self.scales)

    def halves(self) -> tuple[Self, Self]:
        """The distributions of the first and of the second half of the tokens."""
        parts = zip(*(part.chunk(2) for part in (self.logits, self.means, self.scales)), strict=True)
        first, second = (type(self)(*part) for part in parts)
        return first, second

    def draw(
        self, uniform_N: Tensor, normal_ND: Tensor, temperature: float = 1.0, weight_temperature: float = 1.0
    ) -> Tensor:
        """Samples made from the caller's noise, so that they don't depend on the rest of the batch.

        `uniform_N` in [0, 1) selects the component, after the logits are divided by `weight_temperature` (0: the most
        likely component). `normal_ND` is multiplied by `temperature * sigma`, as in GIVT.
        """
        if temperature < 0 or weight_temperature < 0:
            raise ValueError(f"temperatures must be 0 or more, got {temperature} and {weight_temperature}")
        logits_NK = self.logits / max(weight_temperature, 1e-6)
        cumulative_NK = logits_NK.softmax(-1).cumsum(-1)
        chosen_N = (uniform_N.unsqueeze(-1) >= cumulative_NK).sum(-1).clamp(max=self.logits.shape[-1] - 1)
        index = chosen_N[..., None, None].expand(*chosen_N.shape, 1, self.means.shape[-1])
        mean_ND = self.means.gather(-2, index).squeeze(-2)
        scale_ND = self.scales.gather(-2, index).squeeze(-2)
        return mean_ND + temperature * scale_ND * normal_ND


class GmmConfig(BaseModel, frozen=True, extra="forbid"):
    """The paper's k-mixture of Gaussians."""

    kind: Literal["gmm"] = "gmm"
    components: int = Field(4, ge=1, description="number of Gaussians in the mixture (k in the paper)")
    sigma_floor: float = Field(0.3, ge=0, description="smallest sigma, in standard deviations of the tokens")


class MixtureHead(Head):
    """The linear layer of 2kd + k outputs that replaces the language model's logits (Appendix A).

    The paper does not say how sigma is parametrised. Here it is floor + (x + sqrt(x^2 + 4)) / 2, which is smooth, floor
    + 1 at x = 0, and falls no faster than 1/|x|. `floor` prevents a component from collapsing onto one keyframe.
    """

    def __init__(self, hidden: int, components: int, width: int, floor: float) -> None:
        super().__init__()
        if components < 1 or width < 1:
            raise ValueError(f"a mixture needs components >= 1 and width >= 1, got {components} and {width}")
        if floor < 0:
            raise ValueError(f"the floor of sigma must be 0 or more, got {floor}")
        self.components, self.width, self.floor = components, width, floor
        self.linear = nn.Linear(hidden, 2 * components * width + components)

    def initialise(self, sigmas: Sequence[float] = ()) -> None:
        """Small weights, and biases that jitter the means: with zeros, all components would stay identical.

        `sigmas` are the components' initial values of sigma above the floor; 1 by default.
        """
        kd = self.components * self.width
        nn.init.normal_(self.linear.weight, std=0.1 / self.linear.in_features**0.5)
        nn.init.zeros_(self.linear.bias)
        if self.components > 1:
            nn.init.normal_(self.linear.bias.data[:kd], std=0.1)
        for k, sigma in enumerate(sigmas):
            self.linear.bias.data[kd + k * self.width : kd + (k + 1) * self.width] = sigma - 1 / sigma

    def forward(self, hidden_NH: Tensor, recalled: Recalled | None = None) -> Mixture:
        """Recalled means and logits are added to those of the components."""
        kd = self.components * self.width
        with torch.autocast(hidden_NH.device.type, enabled=False):  # always in float32
            outputs = self.linear(hidden_NH.to(self.linear.weight.dtype))
        means, raw, logits_NK = outputs.split([kd, kd, self.components], dim=-1)
        means_NKD = rearrange(means, "... (k d) -> ... k d", k=self.components)
        raw_NKD = rearrange(raw, "... (k d) -> ... k d", k=self.components)
        scales_NKD = self.floor + (raw_NKD + torch.sqrt(raw_NKD.square() + 4)) / 2
        if recalled is not None:
            means_NKD, logits_NK = means_NKD + recalled[0], logits_NK + recalled[1]
        return Mixture(logits_NK, means_NKD, scales_NKD)


class UnconditionalMixture:
    """A mixture fitted to tokens alone, by expectation maximisation: the baseline for models that read scripts."""

    def __init__(self, mixture: Mixture) -> None:
        self.mixture = mixture

    @classmethod
    def fit(cls, tokens_ND: Tensor, components: int, seed: int = 0, steps: int = 60, floor: float = 0.05) -> Self:
        """EM with diagonal covariances; `floor` is the smallest variance, as a share of each channel's variance."""
        n = len(tokens_ND)
        if n < components:
            raise ValueError(f"cannot fit {components} components to {n} tokens: give more tokens or fewer components")
        x_ND = tokens_ND.double()
        variance_D = x_ND.var(0, unbiased=False).clamp_min(1e-8)
        generator = torch.Generator().manual_seed(seed)
        means_KD = _spread_out(x_ND / variance_D.sqrt(), components, generator) * variance_D.sqrt()
        variances_KD = variance_D.expand(components, -1)
        logits_K = torch.zeros(components, dtype=torch.float64)
        for _ in range(steps):
            mixture = Mixture(logits_K.expand(n, -1), means_KD.expand(n, -1, -1), variances_KD.sqrt().expand(n, -1, -1))
            joint_NK = mixture.component_distribution.log_prob(x_ND.unsqueeze(1)) + logits_K.log_softmax(0)
            share_NK = joint_NK.softmax(-1)
            mass_K = share_NK.sum(0).clamp_min(1e-6)
            means_KD = share_NK.T @ x_ND / mass_K[:, None]
            variances_KD = (share_NK.T @ x_ND.square() / mass_K[:, None] - means_KD.square()).clamp_min(0)
            variances_KD = torch.maximum(variances_KD, floor * variance_D)
            logits_K = mass_K.log()
        return cls(Mixture(logits_K, means_KD, variances_KD.sqrt()))

    def nll_per_dimension(self, tokens_ND: Tensor) -> Tensor:
        """-log p(token) / D in nats, shape (N,)."""
        return self.mixture.nll_per_dimension(tokens_ND.double())


def _spread_out(x_ND: Tensor, count: int, generator: torch.Generator) -> Tensor:
    """k-means++ seeding: each further centre is drawn in proportion to its squared distance from those chosen."""
    chosen = [int(torch.randint(len(x_ND), (1,), generator=generator))]
    while len(chosen) < count:
        distance_N = torch.cdist(x_ND, x_ND[chosen]).amin(1).square() + 1e-9
        chosen.append(int(torch.multinomial(distance_N, 1, generator=generator)))
    return x_ND[chosen]
