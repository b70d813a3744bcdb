"""What each slot of a batch sees, as a backbone's attention takes it: dense, or block by block.

Shapes: B or P rows, Q queries, S slots.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

if TYPE_CHECKING:
    from torch.nn.attention.flex_attention import BlockMask


def additive(seen_BQS: Tensor) -> Tensor:
    """A boolean mask as an additive float mask_B1QS (boolean ones are silently wrong in some attention backends)."""
    zero = torch.zeros((), dtype=torch.float32, device=seen_BQS.device)
    return torch.where(seen_BQS, zero, torch.finfo(torch.float32).min).unsqueeze(1)


def dense_mask(windows_PS: Tensor, hidden_PS: Tensor) -> Tensor:
    """A slot sees itself, and what stands before it in its window and is not hidden: additive, mask_P1SS."""
    slots_S = torch.arange(windows_PS.shape[1], device=windows_PS.device)
    earlier_SS = slots_S[None, :] < slots_S[:, None]
    seen_PSS = earlier_SS & (windows_PS[:, None, :] == windows_PS[:, :, None]) & ~hidden_PS[:, None, :]
    return additive(seen_PSS | (slots_S[None, :] == slots_S[:, None]))


def block_mask(windows_PS: Tensor, hidden_PS: Tensor) -> "BlockMask":
    """The same as a rule of two places, which flex attention asks block by block: no P x S x S numbers are kept."""
    from torch.nn.attention.flex_attention import create_block_mask

    def sees(p: Tensor, _head: Tensor, q: Tensor, k: Tensor) -> Tensor:
        earlier = (k < q) & (windows_PS[p, k] == windows_PS[p, q]) & ~hidden_PS[p, k]
        return earlier | (k == q)

    rows, slots = windows_PS.shape
    return create_block_mask(sees, rows, None, slots, slots, device=windows_PS.device)


def attention(mask: "Tensor | BlockMask") -> str:
    """The name that transformers knows the attention by that takes such a mask."""
    if isinstance(mask, Tensor):
        return "sdpa"
    from transformers import AttentionInterface

    AttentionInterface.register("by_blocks", _by_blocks)
    return "by_blocks"


def _by_blocks(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: "BlockMask", **settings: Any
) -> tuple[Tensor, Tensor | None]:
    """Flex attention, all in one precision: under autocast rotary positions turn queries and keys to float32."""
    from transformers.integrations.flex_attention import flex_attention_forward

    query, key = query.to(value.dtype), key.to(value.dtype)
    made: tuple[Tensor, Tensor | None] = flex_attention_forward(module, query, key, value, mask, **settings)
    return made
