"""A key-value cache of fixed size for many movies, and the backbone's forward pass over it.

Keys are stored with their rotary position, so the order of the slots doesn't matter: only positions decide what a
query sees. Padding is written to slot 0, which is never read. The sink, whose keyframes stay, comes next, and after it
the slots that are reused.

Shapes: B movies, Q new slots, C slots of the cache, S slots of the sink, H hidden width, G key heads, A query heads
per key head, E width of a head.
"""

from copy import copy
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

FAR = 16_384  # beyond this position, rotary angles in float32 lose precision


class KeyValues:
    """`positions_BC` is -1 where a slot is empty. `backbone` is a transformers LlamaModel."""

    def __init__(self, backbone: Any, rows: int, slots: int, sink: int) -> None:
        sizes = backbone.config
        weight = backbone.norm.weight
        heads = sizes.num_key_value_heads
        width = getattr(sizes, "head_dim", None) or sizes.hidden_size // sizes.num_attention_heads
        self.backbone, self.sink = backbone, slice(1, 1 + sink)
        if weight.device.type == "cpu":
            _lay_columns_together(backbone.layers)
        shape = (len(backbone.layers), rows, heads, 1 + slots, width)
        self.keys_NBGCE, self.values_NBGCE = (weight.new_zeros(shape) for _ in range(2))
        self.fixed_NBGSE = weight.new_zeros((*shape[:3], sink, width))
        self.positions_BC = torch.full((rows, 1 + slots), -1, device=weight.device)
        self.evicted_B = torch.zeros(rows, dtype=torch.long, device=weight.device)
        self.group = sizes.num_attention_heads // heads
        self.rows_B1 = torch.arange(rows, device=weight.device)[:, None]

    def forward(self, embeds_BQH: Tensor, positions_BQ: Tensor, slots_BQ: Tensor, used: int) -> Tensor:
        """output_BH: the normalised output of the last new slot.

        New slots attend to each other and to the first `used` slots of the cache. Only the last one passes through the
        whole last layer; of the others, that layer needs keys and values alone.

        Args:
            positions_BQ: -1 for padding, whose output is meaningless.
            slots_BQ: where keys and values are stored; 0 for padding.
        """
        self.positions_BC.scatter_(1, slots_BQ, positions_BQ)
        self.positions_BC[:, 0] = -1
        there_B1C = self.positions_BC[:, None, :used]
        seen_BQC = (there_B1C >= 0) & (there_B1C <= positions_BQ[..., None])
        nothing = torch.finfo(embeds_BQH.dtype).min
        mask_BQC = torch.zeros_like(seen_BQC, dtype=embeds_BQH.dtype).masked_fill_(~seen_BQC, nothing)
        mask_B1XC, last_B1AC = (mask.repeat(1, self.group, 1).unsqueeze(1) for mask in (mask_BQC, mask_BQC[:, -1:]))
        cos_BQE, sin_BQE = self.backbone.rotary_emb(embeds_BQH, position_ids=positions_BQ.clamp_min(0))
        turn = cos_BQE[:, None], sin_BQE[:, None]
        x_BQH, last = embeds_BQH, len(self.backbone.layers) - 1
        for n, layer in enumerate(self.backbone.layers):
            made_BQH = self._attend(n, layer, x_BQH, turn, slots_BQ, last_B1AC if n == last else mask_B1XC)
            x_BQH = x_BQH[:, -made_BQH.shape[1] :] + made_BQH
            x_BQH = x_BQH + layer.mlp(_normalised(layer.post_attention_layernorm, x_BQH))
        return _normalised(self.backbone.norm, x_BQH[:, 0])

    def _attend(
        self, n: int, layer: Any, x_BQH: Tensor, turn: tuple[Tensor, Tensor], slots_BQ: Tensor, mask_B1XC: Tensor
    ) -> Tensor:
        """Attention's output for the last slots, as many as the mask has; keys and values of all slots are stored."""
        attention, asked, used = layer.self_attn, mask_B1XC.shape[2] // self.group, mask_B1XC.shape[3]
        x_BQH = _normalised(layer.input_layernorm, x_BQH)
        heads = {"e": self.keys_NBGCE.shape[-1]}
        q = rearrange(attention.q_proj(x_BQH[:, -asked:]), "b q (h e) -> b h q e", **heads)
        k = rearrange(attention.k_proj(x_BQH), "b q (g e) -> b g q e", **heads)
        v = rearrange(attention.v_proj(x_BQH), "b q (g e) -> b q g e", **heads)
        q = _turned(q, *(part[:, :, -asked:] for part in turn))
        self.keys_NBGCE[n][self.rows_B1, :, slots_BQ] = _turned(k, *turn).transpose(1, 2)
        self.values_NBGCE[n][self.rows_B1, :, slots_BQ] = v
        q_BGXE = rearrange(q, "b (g a) q e -> b g (a q) e", a=self.group)  # query heads by key head
        keys_BGCE, values_BGCE = self.keys_NBGCE[n][:, :, :used], self.values_NBGCE[n][:, :, :used]
        made_BGXE = F.scaled_dot_product_attention(
            q_BGXE, keys_BGCE, values_BGCE, attn_mask=mask_B1XC, scale=attention.scaling
        )
        made_BQH = rearrange(made_BGXE, "b g (a q) e -> b q (g a e)", a=self.group)
        output_BQH: Tensor = attention.o_proj(made_BQH)
        return output_BQH

    def of(self, row: int) -> "KeyValues":
        """A view of one movie's part; writing to it changes this cache."""
        alone, here = copy(self), slice(row, row + 1)
        alone.keys_NBGCE, alone.values_NBGCE = self.keys_NBGCE[:, here], self.values_NBGCE[:, here]
        alone.positions_BC, alone.rows_B1 = self.positions_BC[here], self.rows_B1[:1]
        return alone

    def clear(self, row: int) -> None:
        """Empties the cache of one movie."""
        self.positions_BC[row] = -1
        self.evicted_B[row] = 0

    def evict(self, slots_BX: Tensor) -> Tensor:
        """Empties some slots (0: none), and moves the sink's positions directly before the remaining slots.

        Returns:
            by how much all positions were reduced, shape (B,): 0 unless they exceeded `FAR`.
        """
        gone_B = (self.positions_BC.gather(1, slots_BX) >= 0).sum(1)
        self.positions_BC.scatter_(1, slots_BX, -1)
        first_B = (self.evicted_B == 0) & (gone_B > 0)
        now_NBGSE = self.keys_NBGCE[:, :, :, self.sink]
        self.fixed_NBGSE = torch.where(first_B[:, None, None, None], now_NBGSE, self.fixed_NBGSE)
        self.evicted_B = self.evicted_B + gone_B
        back_B = torch.where(self.evicted_B > FAR, self.evicted_B, 0)
        if bool(back_B.any()):
            later = slice(self.sink.stop, None)
            self.keys_NBGCE[:, :, :, later] = self._moved(self.keys_NBGCE[:, :, :, later], -back_B)
            filled_BC = self.positions_BC[:, later] >= 0
            self.positions_BC[:, later] -= torch.where(filled_BC, back_B[:, None], 0)
            self.evicted_B = self.evicted_B - back_B
        moved_NBGSE = self._moved(self.fixed_NBGSE, self.evicted_B)
        self.keys_NBGCE[:, :, :, self.sink] = torch.where((gone_B > 0)[:, None, None, None], moved_NBGSE, now_NBGSE)
        return back_B

    def _moved(self, keys_NBGXE: Tensor, by_B: Tensor) -> Tensor:
        """The keys with their positions increased by `by_B`, by another rotation."""
        exact_NBGXE = keys_NBGXE.float()
        cos_B1E, sin_B1E = self.backbone.rotary_emb(exact_NBGXE, position_ids=by_B[:, None])
        return _turned(exact_NBGXE, cos_B1E[:, None], sin_B1E[:, None]).to(keys_NBGXE.dtype)


def _lay_columns_together(layers: nn.Module) -> None:
    """Stores the weights column by column: a CPU then multiplies a few rows by them a quarter faster."""
    with torch.inference_mode(False):  # weights made in inference mode could not be trained
        for module in layers.modules():
            if isinstance(module, nn.Linear):
                module.weight.data = module.weight.data.t().contiguous().t()


def _normalised(norm: Any, x_BQH: Tensor) -> Tensor:
    """The same as LlamaRMSNorm, in one kernel."""
    return F.rms_norm(x_BQH, x_BQH.shape[-1:], norm.weight, norm.variance_epsilon)


def _turned(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    first, second = x.chunk(2, -1)
    return x * cos + torch.cat([-second, first], -1) * sin
