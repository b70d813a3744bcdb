"""What is compiled and recomputed as a unit: both at once, and neither changes a gradient."""

import pytest
import torch
from torch import Tensor, nn

from models.training.blocks import blocks, compile_blocks, recompute_activations


def network() -> nn.ModuleDict:
    torch.manual_seed(0)
    return nn.ModuleDict({"first": nn.Linear(3, 4), "layers": nn.ModuleList(nn.Linear(4, 4) for _ in range(2))})


def gradients(module: nn.ModuleDict) -> list[Tensor]:
    hidden = module["first"](torch.ones(2, 3))
    for layer in blocks(module):
        hidden = hidden + layer(hidden).tanh()
    hidden.square().mean().backward()
    return [parameter.grad for parameter in module.parameters()]


@pytest.mark.parametrize("recomputed", [False, True])
def test_blocks_are_compiled_whether_they_are_recomputed_or_not(recomputed: bool, monkeypatch) -> None:
    graphs, compile_it = [], torch.compile

    def kept(graph, inputs):
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(torch, "compile", lambda function: compile_it(function, backend=kept))
    expected, module = gradients(network()), network()
    compile_blocks(module)
    if recomputed:
        recompute_activations(module)
    found = gradients(module)
    assert graphs
    for gradient, own in zip(found, expected, strict=True):
        torch.testing.assert_close(gradient, own)
