"""Linear layers in eight bits: a weight's scale for each output, an input's for each row, found as it comes.

Shapes: M rows, K inputs, N outputs.
"""

import torch
from torch import Tensor, nn

_LARGEST = 448.0  # of float8_e4m3fn
_MULTIPLE = 16  # of K and N, for the GPU's kernel
_FEWEST = 256  # inputs of a layer that is worth it


class Fp8Linear(nn.Module):
    """A linear layer for inference; off a GPU the same numbers are multiplied in 32 bits."""

    weight_NK: Tensor
    scale_N: Tensor

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        weight_NK, scale_N1 = _scaled(linear.weight.detach().float())
        self.register_buffer("weight_NK", weight_NK)
        self.register_buffer("scale_N", scale_N1[:, 0])
        self.bias = linear.bias

    def forward(self, hidden: Tensor) -> Tensor:
        rows_MK, scale_M1 = _scaled(hidden.reshape(-1, hidden.shape[-1]).float())
        if hidden.is_cuda:
            out_MN = torch._scaled_mm(
                rows_MK,
                self.weight_NK.t(),
                scale_a=scale_M1,
                scale_b=self.scale_N[None],
                out_dtype=torch.bfloat16,
                use_fast_accum=True,
            )
        else:
            out_MN = (rows_MK.float() * scale_M1) @ (self.weight_NK.float() * self.scale_N[:, None]).T
        out = out_MN.to(hidden.dtype).reshape(*hidden.shape[:-1], -1)
        return out if self.bias is None else out + self.bias


def quantise(module: nn.Module, fewest: int = _FEWEST) -> int:
    """Replaces the linear layers of a U-Net's transformer blocks, and returns how many.

    Those that read the few vectors of the context stay as they are: they take no time.
    """
    replaced = 0
    for name, parent in list(module.named_modules()):
        if "transformer_blocks" not in name:
            continue
        for key, child in list(parent.named_children()):
            reads_context = name.endswith("attn2") and key in ("to_k", "to_v", "to_kv")
            if isinstance(child, nn.Linear) and not reads_context and _fits(child, fewest):
                setattr(parent, key, Fp8Linear(child))
                replaced += 1
    return replaced


def _fits(linear: nn.Linear, fewest: int) -> bool:
    whole = not (linear.in_features % _MULTIPLE or linear.out_features % _MULTIPLE)
    return whole and linear.in_features >= fewest


def _scaled(rows_MK: Tensor) -> tuple[Tensor, Tensor]:
    scale_M1 = rows_MK.abs().amax(1, keepdim=True).clamp(min=1e-12) / _LARGEST
    return (rows_MK / scale_M1).to(torch.float8_e4m3fn), scale_M1
