"""Recall: the mixture's means start from earlier keyframes whose scripts resemble the one at hand.

Not in the paper. With one film and minutes of training the backbone has no time to learn what a pretrained 7B model
learns from 5 M keyframes, that a keyframe looks like the last one with a similar script. This part says so from the
start with a few dozen numbers: each component k of the mixture recalls

    recalled_k = sum_j softmax_j( closeness_k . similarity(script_t, script_j) - recency_k * (t - j) ) e_j,   j < t

and adds a share of it to the mean that the head predicts; the similarity to the previous script shifts the mixing
weights. Off in `paper` (`AutoregressiveConfig.recall`).

Shapes: B sequences, T keyframes, J keyframes to recall from, A aspects of a script, K components, L tokens, D token
width, C width of a summary.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ASPECTS = 4  # of FrameScript.summary(): characters, scene elements and plots in words, and faces
QUICK = 20.0  # these few numbers are learnt so many times faster than the weights of the layers


class Start(NamedTuple):
    """Where a component starts: nothing recalled, the last keyframe, the likest one, or a blend."""

    closeness: float
    recency: float
    share: float
    sigma: float


STARTS = (Start(0.0, 0.0, 0.0, 1.0), Start(1.0, 2.0, 0.9, 0.6), Start(4.0, 0.3, 0.9, 0.7), Start(2.0, 0.7, 0.6, 0.8))


class Recall(nn.Module):
    """Means and mixing weights for the head to start from; `centre_C` is the training scripts' mean summary."""

    def __init__(self, components: int, sentence_width: int, face_width: int) -> None:
        super().__init__()
        self.widths = [sentence_width] * 3 + [face_width]
        starts = torch.tensor([STARTS[k % len(STARTS)] for k in range(components)])
        self.closeness_KA = nn.Parameter(starts[:, :1].expand(-1, ASPECTS) / QUICK)
        self.recency_K = nn.Parameter(starts[:, 1] / QUICK)
        self.share_K = nn.Parameter(torch.logit(starts[:, 2], eps=0.02) / QUICK)
        self.weight_KA = nn.Parameter(torch.zeros(components, ASPECTS))
        self.bias_K = nn.Parameter(torch.zeros(components))
        self.register_buffer("centre_C", torch.zeros(sum(self.widths)))
        self.centre_C: Tensor

    def similarity(self, summaries_BTC: Tensor, others_BJC: Tensor) -> Tensor:
        """Cosine of the centred summaries, one an aspect: (B, T, J, A)."""
        def aspects(summaries: Tensor) -> list[Tensor]:
            missing = [part.abs().amax(-1, keepdim=True) == 0 for part in summaries.split(self.widths, -1)]
            centred = (summaries - self.centre_C).split(self.widths, -1)
            return [F.normalize(part, dim=-1).masked_fill(gone, 0) for part, gone in zip(centred, missing, strict=True)]

        pairs = zip(aspects(summaries_BTC), aspects(others_BJC), strict=True)
        return torch.stack([here @ there.mT for here, there in pairs], -1)

    def forward(
        self, summaries_BTC: Tensor, others_BJC: Tensor, tokens_BJLD: Tensor, ages_BTJ: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(means_BTLKD to add, logits_BTK to add); keyframe j is open to keyframe t where its age t - j > 0."""
        open_BTJ = ages_BTJ > 0
        alike_BTJA = self.similarity(summaries_BTC, others_BJC)
        score_BTKJ = torch.einsum("btja,ka->btkj", alike_BTJA, QUICK * self.closeness_KA)
        score_BTKJ = score_BTKJ - F.softplus(QUICK * self.recency_K)[:, None] * ages_BTJ[:, :, None, :]
        score_BTKJ = score_BTKJ.masked_fill(~open_BTJ[:, :, None, :], torch.finfo(score_BTKJ.dtype).min)
        some_BT = open_BTJ.any(-1)
        chosen_BTKJ = score_BTKJ.softmax(-1) * some_BT[:, :, None, None]
        means_BTLKD = torch.einsum("btkj,bjld->btlkd", chosen_BTKJ, tokens_BJLD)
        means_BTLKD = means_BTLKD * torch.sigmoid(QUICK * self.share_K)[:, None]
        last_BTJ = (ages_BTJ == 1)[..., None]
        logits_BTK = (alike_BTJA * last_BTJ).sum(2) @ (QUICK * self.weight_KA).T + QUICK * self.bias_K * some_BT[..., None]
        return means_BTLKD, logits_BTK
