"""The repeated blocks of a model: what is sharded, compiled and recomputed as a unit."""

from collections.abc import Iterator
from functools import partial

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint


def blocks(module: nn.Module) -> Iterator[nn.Module]:
    """The entries of the model's outermost ModuleLists: a transformer's layers, the levels of a U-Net."""
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            yield from child
        else:
            yield from blocks(child)


def recompute_activations(module: nn.Module) -> None:
    """Makes each block keep only its inputs for the backward pass and run its forward pass again there.

    Same gradients, dropout included; about a third more time, and memory for one block's activations at a time.
    """
    for block in blocks(module):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]


def compile_blocks(module: nn.Module) -> None:
    """Compiles each block's forward pass; before `recompute_activations`, whose calls dynamo would leave alone."""
    for block in blocks(module):
        block.forward = torch.compile(block.forward)  # type: ignore[method-assign]
