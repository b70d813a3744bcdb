"""A fast decoder for inference: 16 or 8 bits, compiled, one CUDA graph per step.

Shapes: B keyframes, K context vectors, X their width, C latent channels, H x W latent grid; in a linear layer M rows, K
inputs, N outputs.
"""

import copy
from collections.abc import Callable
from typing import Any, Literal

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder.decoder import Condition, DecoderConfig, DiffusionDecoder
from models.graphs import Graphed

_LARGEST = 448.0  # of float8_e4m3fn
_MULTIPLE = 16  # of K and N, for the GPU's kernel


class FastConfig(BaseModel, frozen=True, extra="forbid"):
    """How the U-Net runs at inference."""

    precision: Literal["fp32", "bf16", "fp8"] = Field(
        "fp32",
        description="number format of weights and arithmetic; fp8: only linear layers of transformers, the rest bf16",
    )
    compile: bool = Field(False, description="use torch.compile: takes minutes, once per batch size, cached by torch")
    graph: bool = Field(False, description="replay each step as one CUDA graph; ignored without a GPU")
    fewest: int = Field(256, ge=1, description="fewest inputs of a linear layer that is quantised to eight bits")

    @property
    def plain(self) -> bool:
        """Whether the U-Net runs as in training."""
        return self == FastConfig()

    @property
    def by_size(self) -> bool:
        """Whether each new batch size costs time once."""
        return self.compile or self.graph


class FastDecoder:
    """A copy of a decoder's U-Net with the decoder's inputs; later training of the decoder doesn't change it.

    A call returns a new float32 tensor. A new batch size is compiled and captured once.
    """

    def __init__(self, decoder: DiffusionDecoder, config: FastConfig) -> None:
        self.config: DecoderConfig = decoder.config
        self.grid = decoder.grid
        self._sizes_6 = decoder.sizes_6
        self._dtype = torch.float32 if config.precision == "fp32" else torch.bfloat16
        unet: Any = copy.deepcopy(decoder.unet).requires_grad_(False).eval()
        unet.fuse_qkv_projections()
        nn.Module.to(unet, self._dtype)  # diffusers' own method logs a needless warning
        nn.Module.to(unet, memory_format=torch.channels_last)
        if config.precision == "fp8":
            quantise(unet, config.fewest)
        self.unet = unet
        self._call: Callable[..., Any] = unet
        if config.compile:
            self._call = torch.compile(unet, dynamic=False, mode="max-autotune-no-cudagraphs")
        self._graphed = Graphed(self._run) if config.graph else None

    @torch.no_grad()
    def __call__(self, noisy_BCHW: Tensor, timesteps_B: Tensor, condition: Condition) -> Tensor:
        """As DiffusionDecoder.forward."""
        sizes_B6 = self._sizes_6.expand(len(noisy_BCHW), 6) if condition.sizes_B6 is None else condition.sizes_B6
        if condition.coarse_BCHW is not None:
            noisy_BCHW = torch.cat([noisy_BCHW, condition.coarse_BCHW], dim=1)
        given = {
            "noisy_BCHW": noisy_BCHW.to(self._dtype, memory_format=torch.channels_last),
            "timesteps_B": timesteps_B.float(),
            "context_BKX": condition.context_BKX.to(self._dtype),
            "pooled_BP": condition.pooled_BP.to(self._dtype),
            "sizes_B6": sizes_B6.float(),
        }
        if self._graphed and noisy_BCHW.is_cuda:
            return self._graphed(None, **given).clone().float()  # the next call overwrites the graph's output
        return self._run(**given).float()

    def _run(
        self, noisy_BCHW: Tensor, timesteps_B: Tensor, context_BKX: Tensor, pooled_BP: Tensor, sizes_B6: Tensor
    ) -> Tensor:
        added = {"text_embeds": pooled_BP, "time_ids": sizes_B6}
        drawn_BCHW: Tensor = self._call(
            noisy_BCHW, timesteps_B, encoder_hidden_states=context_BKX, added_cond_kwargs=added, return_dict=False
        )[0]
        return drawn_BCHW


class Fp8Linear(nn.Module):
    """A linear layer in eight bits, with one scale per output and one, computed on the fly, per row of the input.

    Without a GPU the same numbers are multiplied in 32 bits.
    """

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


def quantise(module: nn.Module, fewest: int) -> int:
    """Replaces the linear layers of a U-Net's transformer blocks, and returns their number.

    Layers that read the few context vectors are not replaced, because they take little time.
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
