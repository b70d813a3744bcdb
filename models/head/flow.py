"""A flow-matching head: a small network that transports noise to tokens, conditioned on the backbone's output.

If a keyframe may look in many ways, a mixture of a few Gaussians gives averages; a flow gives one of these ways.

Shapes: N tokens, D token width, H hidden width, C width of the condition, W width of the network, R draws of noise.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn
from torch.nn import functional as F

from models.head.head import Head, Recalled

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x_ND, time_N1) -> velocity_ND; noise is at time 0, the token at time 1."""

_PROBES = 8  # random directions that estimate a divergence (Hutchinson); for narrower tokens it is exact
_WAVES = 32  # pairs of sine and cosine that encode the time


@dataclass(frozen=True)
class Flow:
    """A distribution that is defined by a velocity field; the token is `x * scale + shift`."""

    velocity: Velocity
    condition_NC: Tensor
    steps: int
    draws: int
    shift: Tensor
    scale: Tensor

    @property
    def mean(self) -> Tensor:
        """The mean token: the velocity at the origin at time 0."""
        origin_ND = self.condition_NC.new_zeros(*self.condition_NC.shape[:-1], self.shift.shape[-1])
        return self.velocity(origin_ND, origin_ND[..., :1]) * self.scale + self.shift

    def cost(self, tokens_ND: Tensor) -> Tensor:
        """Squared error of the velocity; noise and times come from the global generator.

        The backbone costs far more than this network, so each token is used `draws` times, each time with other noise
        and another time from a logit-normal distribution.
        """
        x_RND = ((tokens_ND - self.shift) / self.scale).expand(self.draws, *tokens_ND.shape)
        noise_RND, time_RN1 = torch.randn_like(x_RND), torch.randn_like(x_RND[..., :1]).sigmoid()
        between_RND = noise_RND + time_RN1 * (x_RND - noise_RND)
        return (self.velocity(between_RND, time_RN1) - (x_RND - noise_RND)).square().mean((0, -1))

    def nll_per_dimension(self, tokens_ND: Tensor) -> Tensor:
        """Runs the flow backwards and integrates the divergence of the velocity, by central differences."""
        x_ND = (tokens_ND - self.shift) / self.scale
        logarithm_N, probes_PD = torch.zeros_like(x_ND[..., 0]), _probes(x_ND)
        for step in reversed(range(self.steps)):
            time_N1 = torch.full_like(x_ND[..., :1], (step + 0.5) / self.steps)
            logarithm_N = logarithm_N - self._divergence(x_ND, time_N1, probes_PD) / self.steps
            x_ND = x_ND - self.velocity(x_ND, time_N1) / self.steps
        normal_N = -0.5 * (x_ND.square() + math.log(2 * math.pi)).sum(-1)
        scale_N = self.scale.expand_as(tokens_ND).log().sum(-1)
        return -(normal_N + logarithm_N - scale_N) / tokens_ND.shape[-1]

    def affine(self, shift: Tensor, scale: Tensor) -> "Flow":
        return replace(self, shift=self.shift * scale + shift, scale=self.scale * scale)

    def draw(
        self, uniform_N: Tensor, normal_ND: Tensor, temperature: float = 1.0, weight_temperature: float = 1.0
    ) -> Tensor:
        """Transports the noise, scaled by the temperature; `uniform_N` and `weight_temperature` are not used."""
        x_ND, time_N1 = temperature * normal_ND, torch.zeros_like(normal_ND[..., :1])
        for step in range(self.steps):
            x_ND = x_ND + self.velocity(x_ND, time_N1 + step / self.steps) / self.steps
        return x_ND * self.scale + self.shift

    def guided(self, other: "Flow", strength: float) -> "Flow":
        def velocity(x_ND: Tensor, time_N1: Tensor) -> Tensor:
            away_ND = other.velocity(x_ND, time_N1)
            return away_ND + strength * (self.velocity(x_ND, time_N1) - away_ND)

        return replace(self, velocity=velocity)

    def halves(self) -> tuple["Flow", "Flow"]:
        assert isinstance(self.velocity, _Conditioned)
        first, second = (
            replace(self, velocity=replace(self.velocity, condition_NC=part), condition_NC=part)
            for part in self.condition_NC.chunk(2)
        )
        return first, second

    def _divergence(self, x_ND: Tensor, time_N1: Tensor, probes_PD: Tensor) -> Tensor:
        """Trace of the velocity's Jacobian, by central differences, because the network is smooth."""
        step = 1e-2
        trace_N: Tensor = torch.zeros_like(x_ND[..., 0])
        for probe_D in probes_PD:
            ahead_ND = self.velocity(x_ND + step * probe_D, time_N1)
            behind_ND = self.velocity(x_ND - step * probe_D, time_N1)
            trace_N += ((ahead_ND - behind_ND) * probe_D).sum(-1) / (2 * step)
        return trace_N


def _probes(x_ND: Tensor) -> Tensor:
    """Directions whose products with a Jacobian sum to its trace: the unit vectors, or random signs of a fixed seed."""
    width = x_ND.shape[-1]
    if width <= _PROBES:
        return torch.eye(width, device=x_ND.device)
    signs_PD = torch.randint(2, (_PROBES, width), generator=torch.Generator().manual_seed(0)) * 2.0 - 1
    probes_PD: Tensor = signs_PD.to(x_ND.device) / _PROBES**0.5
    return probes_PD


@dataclass(frozen=True)
class _Conditioned:
    """The head's network with its condition."""

    network: "_Network"
    condition_NC: Tensor

    def __call__(self, x_ND: Tensor, time_N1: Tensor) -> Tensor:
        velocity_ND: Tensor = self.network(x_ND, time_N1, self.condition_NC)
        return velocity_ND


class _Block(nn.Module):
    """A residual MLP; the condition gives shift, scale and gate. It starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 3 * width)
        self.first, self.second = nn.Linear(width, width), nn.Linear(width, width)
        _zero(self.modulation)

    def forward(self, x_NW: Tensor, condition_NW: Tensor) -> Tensor:
        shift_NW, scale_NW, share_NW = self.modulation(condition_NW).chunk(3, -1)
        added_NW = self.second(F.silu(self.first(self.norm(x_NW) * (1 + scale_NW) + shift_NW)))
        out_NW: Tensor = x_NW + share_NW * added_NW
        return out_NW


class _Network(nn.Module):
    """Residual blocks over the noisy token, conditioned on time and backbone as in DiT and MAR."""

    def __init__(self, width: int, condition: int, inner: int, blocks: int) -> None:
        super().__init__()
        self.inward = nn.Linear(width, inner)
        self.time = nn.Sequential(nn.Linear(2 * _WAVES, inner), nn.SiLU(), nn.Linear(inner, inner))
        self.condition = nn.Linear(condition, inner)
        self.blocks = nn.ModuleList(_Block(inner) for _ in range(blocks))
        self.norm = nn.LayerNorm(inner, elementwise_affine=False)
        self.modulation = nn.Linear(inner, 2 * inner)
        self.outward = nn.Linear(inner, width)

    def forward(self, x_ND: Tensor, time_N1: Tensor, condition_NC: Tensor) -> Tensor:
        waves_N = time_N1 * torch.logspace(0, 3, _WAVES, device=time_N1.device)
        told_NW = self.time(torch.cat([waves_N.sin(), waves_N.cos()], -1))
        condition_NW = F.silu(told_NW + self.condition(condition_NC))
        x_NW = self.inward(x_ND)
        for block in self.blocks:
            x_NW = block(x_NW, condition_NW)
        shift_NW, scale_NW = self.modulation(condition_NW).chunk(2, -1)
        velocity_ND: Tensor = self.outward(self.norm(x_NW) * (1 + scale_NW) + shift_NW)
        return velocity_ND


class FlowConfig(BaseModel, frozen=True, extra="forbid"):
    """A small flow-matching network, run once per token and step."""

    kind: Literal["flow"] = "flow"
    width: int = Field(384, ge=1, description="hidden width")
    blocks: int = Field(2, ge=1, description="residual blocks")
    steps: int = Field(16, ge=1, description="steps of Euler's method in sampling")
    draws: int = Field(12, ge=1, description="draws of noise and time for each token in a training step")


class FlowHead(Head):
    """A network conditioned on the backbone's normalised output and, if there are any, on recalled means."""

    def __init__(self, config: FlowConfig, hidden: int, width: int, recalled: int) -> None:
        super().__init__()
        self.config, self.width, self.recalled = config, width, recalled
        self.norm = nn.LayerNorm(hidden, elementwise_affine=False)
        self.network = _Network(width, hidden + recalled * width, config.width, config.blocks)

    def initialise(self) -> None:
        """The modulations and the last layer start with zeros."""
        for layer in self.network.modules():
            if isinstance(layer, nn.Linear):
                nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
                nn.init.zeros_(layer.bias)
        blocks = [block for block in self.network.blocks if isinstance(block, _Block)]
        for layer in (*(block.modulation for block in blocks), self.network.modulation, self.network.outward):
            _zero(layer)

    def forward(self, hidden_NH: Tensor, recalled: Recalled | None = None) -> Flow:
        condition_NC = self.norm(hidden_NH.float())
        means_NE = condition_NC.new_zeros(self.recalled * self.width) if recalled is None else recalled[0].flatten(-2)
        condition_NC = torch.cat([condition_NC, means_NE.expand(*hidden_NH.shape[:-1], -1)], -1)
        shift_D, scale_D = condition_NC.new_zeros(self.width), condition_NC.new_ones(self.width)
        velocity = _Conditioned(self.network, condition_NC)
        return Flow(velocity, condition_NC, self.config.steps, self.config.draws, shift_D, scale_D)


def _zero(layer: nn.Linear) -> None:
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
