"""BERT with the interface that groundingdino-py expects, on the layers of transformers 5.

Shapes: B pictures, S text tokens, D hidden width.
"""

from typing import Any

import torch
from torch import Tensor, nn


class BertAdapter(nn.Module):
    """Replaces the package's BertModelWarper: BERT whose tokens attend only to those of their own phrase."""

    def __init__(self, bert_model: Any) -> None:
        super().__init__()
        self.config = bert_model.config
        self.embeddings = bert_model.embeddings
        self.encoder = bert_model.encoder
        self.pooler = bert_model.pooler  # unused, but its tensors are in the checkpoint

    def forward(
        self, input_ids: Tensor, attention_mask: Tensor, position_ids: Tensor, token_type_ids: Tensor
    ) -> dict[str, Tensor]:
        """`attention_mask` [B, S, S] says which token attends to which."""
        hidden_BSD = self.embeddings(input_ids=input_ids, position_ids=position_ids, token_type_ids=token_type_ids)
        hidden = torch.zeros_like(attention_mask, dtype=hidden_BSD.dtype).masked_fill(
            ~attention_mask.bool(), torch.finfo(hidden_BSD.dtype).min
        )
        return {"last_hidden_state": self.encoder(hidden_BSD, attention_mask=hidden[:, None]).last_hidden_state}
