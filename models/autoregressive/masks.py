"""Attention masks of a batch of windows: dense, or by blocks for flex attention.

Shapes: B or P rows, Q queries, S slots.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


def additive(seen_BQS: Tensor) -> Tensor:
    """A boolean mask as an additive float mask_B1QS (some attention backends silently misread boolean masks)."""
    zero = torch.zeros((), dtype=torch.float32, device=seen_BQS.device)
    return torch.where(seen_BQS, zero, torch.finfo(torch.float32).min).unsqueeze(1)


def dense_mask(windows_PS: Tensor, hidden_PS: Tensor) -> Tensor:
    """mask_P1SS, additive: a slot sees itself and the earlier slots of its window that are not hidden."""
    slots_S = torch.arange(windows_PS.shape[1], device=windows_PS.device)
    earlier_SS = slots_S[None, :] < slots_S[:, None]
    seen_PSS = earlier_SS & (windows_PS[:, None, :] == windows_PS[:, :, None]) & ~hidden_PS[:, None, :]
    return additive(seen_PSS | (slots_S[None, :] == slots_S[:, None]))


def block_mask(windows_PS: Tensor, hidden_PS: Tensor) -> "BlockMask":
    """The same as a rule for flex attention, which evaluates it by blocks, so no mask of P x S x S is stored."""
    from torch.nn.attention.flex_attention import create_block_mask

    def sees(p: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        earlier = (k < q) & (windows_PS[p, k] == windows_PS[p, q]) & ~hidden_PS[p, k]
        return earlier | (k == q)

    rows, slots = windows_PS.shape
    return create_block_mask(sees, rows, None, slots, slots, device=windows_PS.device)


def attention(mask: "Tensor | BlockMask") -> str:
    """The name, in transformers, of the attention that takes such a mask."""
    if isinstance(mask, Tensor):
        return "sdpa"
    from transformers import AttentionInterface

    AttentionInterface.register("by_blocks", _by_blocks)
    return "by_blocks"


def _by_blocks(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: "BlockMask", **settings: Any
) -> tuple[Tensor, Tensor | None]:
    """Flex attention in one precision: under autocast, rotary positions make queries and keys float32."""
    from transformers.integrations.flex_attention import flex_attention_forward

    query, key = query.to(value.dtype), key.to(value.dtype)
    made: tuple[Tensor, Tensor | None] = flex_attention_forward(module, query, key, value, mask, **settings)
    return made
