"""The repeated blocks of a model, the units of sharding, compilation and activation checkpointing."""

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
    """Activation checkpointing: each block stores only its inputs and repeats its forward pass in the backward pass.

    Gradients are the same, also with dropout. It takes a third more time, and memory for one block's activations.
    """
    for block in blocks(module):
        block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]


def compile_blocks(module: nn.Module) -> None:
    """Compiles each block's forward pass; call it before `recompute_activations`, which dynamo doesn't compile."""
    for block in blocks(module):
        block.forward = torch.compile(block.forward)  # type: ignore[method-assign]
