"""A small flow-matching head: a network that carries noise to the token, given the backbone's output.

Shapes: N tokens, D token width, H hidden width, W width of the network.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.head.head import Head

Velocity = Callable[[Tensor, Tensor], Tensor]
"""(x_ND, time_N1) -> velocity_ND, from noise at time 0 to the token at time 1."""


@dataclass(frozen=True)
class Flow:
    """A distribution that is known by its velocity; the token is `x * scale + shift` of what flows."""

    velocity: Velocity
    hidden_NH: Tensor
    steps: int
    shift: Tensor
    scale: Tensor

    @property
    def mean(self) -> Tensor:
        """At time 0 the best velocity from the origin is the token's mean."""
        return self.velocity(*self._start(torch.zeros_like(self._width()))) * self.scale + self.shift

    def cost(self, tokens_ND: Tensor) -> Tensor:
        """Squared error of the velocity at a random time between noise and token, from the global generator."""
        x_ND = (tokens_ND - self.shift) / self.scale
        noise_ND, time_N1 = torch.randn_like(x_ND), torch.rand_like(x_ND[..., :1])
        between_ND = noise_ND + time_N1 * (x_ND - noise_ND)
        return (self.velocity(between_ND, time_N1) - (x_ND - noise_ND)).square().mean(-1)

    def nll_per_dimension(self, tokens_ND: Tensor) -> Tensor:
        """The flow run backwards, with the divergence of the velocity, by central differences, summed up on the way."""
        x_ND = (tokens_ND - self.shift) / self.scale
        logarithm_N = torch.zeros_like(x_ND[..., 0])
        for step in reversed(range(self.steps)):
            time_N1 = torch.full_like(x_ND[..., :1], (step + 0.5) / self.steps)
            velocity_ND, divergence_N = self._divergence(x_ND, time_N1)
            x_ND = x_ND - velocity_ND / self.steps
            logarithm_N = logarithm_N - divergence_N / self.steps
        normal_N = -0.5 * (x_ND.square() + math.log(2 * math.pi)).sum(-1)
        scale_N = self.scale.expand_as(tokens_ND).log().sum(-1)
        return -(normal_N + logarithm_N - scale_N) / tokens_ND.shape[-1]

    def affine(self, shift: Tensor, scale: Tensor) -> "Flow":
        return replace(self, shift=self.shift * scale + shift, scale=self.scale * scale)

    def draw(
        self, uniform_N: Tensor, normal_ND: Tensor, temperature: float = 1.0, weight_temperature: float = 1.0
    ) -> Tensor:
        """Where the noise, scaled by the temperature, is carried; there are no weights to draw from."""
        x_ND, time_N1 = self._start(temperature * normal_ND)
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
            replace(self, velocity=replace(self.velocity, hidden_NH=part), hidden_NH=part)
            for part in self.hidden_NH.chunk(2)
        )
        return first, second

    def _width(self) -> Tensor:
        return torch.broadcast_to(self.shift, (*self.hidden_NH.shape[:-1], self.shift.shape[-1]))

    def _start(self, x_ND: Tensor) -> tuple[Tensor, Tensor]:
        return x_ND, torch.zeros_like(x_ND[..., :1])

    def _divergence(self, x_ND: Tensor, time_N1: Tensor) -> tuple[Tensor, Tensor]:
        """(velocity, trace of its Jacobian by central differences: the network is smooth)."""
        velocity_ND, step = self.velocity(x_ND, time_N1), 1e-2
        trace_N = torch.zeros_like(x_ND[..., 0])
        for d in range(x_ND.shape[-1]):
            aside_ND = torch.zeros_like(x_ND).index_fill(-1, torch.tensor([d], device=x_ND.device), step)
            ahead, behind = self.velocity(x_ND + aside_ND, time_N1), self.velocity(x_ND - aside_ND, time_N1)
            trace_N = trace_N + (ahead - behind)[..., d] / (2 * step)
        return velocity_ND, trace_N


@dataclass(frozen=True)
class _Conditioned:
    """The head's network at given outputs of the backbone."""

    network: nn.Module
    hidden_NH: Tensor

    def __call__(self, x_ND: Tensor, time_N1: Tensor) -> Tensor:
        velocity_ND: Tensor = self.network(torch.cat([x_ND, time_N1, self.hidden_NH], -1))
        return velocity_ND


class FlowConfig(BaseModel, frozen=True, extra="forbid"):
    """A small flow-matching network a token."""

    kind: Literal["flow"] = "flow"
    width: int = Field(256, ge=1, description="hidden width")
    steps: int = Field(16, ge=1, description="steps of Euler's method in sampling")


class FlowHead(Head):
    """Three layers with SiLU over the noisy token, the time and the backbone's output."""

    def __init__(self, hidden: int, width: int, inner: int, steps: int) -> None:
        super().__init__()
        self.width, self.steps = width, steps
        self.network = nn.Sequential(
            nn.Linear(width + 1 + hidden, inner), nn.SiLU(), nn.Linear(inner, inner), nn.SiLU(), nn.Linear(inner, width)
        )

    def initialise(self) -> None:
        """The last layer starts at nothing."""
        layers = [layer for layer in self.network if isinstance(layer, nn.Linear)]
        for layer in layers:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
        nn.init.zeros_(layers[-1].weight)

    def forward(self, hidden_NH: Tensor) -> Flow:
        shift_D, scale_D = hidden_NH.new_zeros(self.width), hidden_NH.new_ones(self.width)
        return Flow(_Conditioned(self.network, hidden_NH), hidden_NH, self.steps, shift_D, scale_D)
