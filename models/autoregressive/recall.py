"""Recall: adds tokens of earlier keyframes with a similar script to the means that the head predicts.

Not in the paper. A keyframe looks like the last one with a similar script. A pretrained 7B model learns that from 5 M
keyframes; in minutes, on one film, the backbone can't. This module has the rule built in, with a few dozen parameters:
each component k of the mixture recalls

    recalled_k = sum_j softmax_j( closeness_k . similarity(script_t, script_j) - recency_k * (t - j) ) e_j,   j < t

and adds a share of it to the mean that the head predicts. A reference frame has no place in time: for it, distance_k
replaces recency_k * (t - j). The similarity to the previous script also shifts the mixing weights. Off in the recipe
`paper` (`AutoregressiveConfig.recall`).

Shapes: B sequences, T keyframes, J keyframes to recall from, A aspects of a script, K components, L tokens, D token
width, C width of a summary.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

ASPECTS = 4  # parts of FrameScript.summary(): sentences of characters, scene elements and plots, and faces
TIMELESS = 1_000_000
QUICK = 20.0  # factor of these parameters' learning rate


class Start(NamedTuple):
    """Initial values of a component."""

    closeness: float
    recency: float
    distance: float
    share: float
    sigma: float


STARTS = (
    Start(closeness=0.0, recency=0.0, distance=0.0, share=0.0, sigma=1.0),  # recalls nothing
    Start(closeness=1.0, recency=2.0, distance=8.0, share=0.9, sigma=0.6),  # the last keyframe
    Start(closeness=4.0, recency=0.3, distance=1.0, share=0.9, sigma=0.7),  # the most similar one
    Start(closeness=2.0, recency=0.7, distance=2.0, share=0.6, sigma=0.8),  # a blend
)


class Recall(nn.Module):
    """What the head adds to its means and mixing weights; `centre_C` is the mean summary of the training scripts."""

    def __init__(self, components: int, sentence_width: int, face_width: int) -> None:
        super().__init__()
        self.widths = [sentence_width] * 3 + [face_width]
        starts = torch.tensor([STARTS[k % len(STARTS)] for k in range(components)])
        self.closeness_KA = nn.Parameter(starts[:, :1].expand(-1, ASPECTS) / QUICK)
        self.recency_K = nn.Parameter(starts[:, 1] / QUICK)
        self.distance_K = nn.Parameter(starts[:, 2] / QUICK)
        self.share_K = nn.Parameter(torch.logit(starts[:, 3], eps=0.02) / QUICK)
        self.weight_KA = nn.Parameter(torch.zeros(components, ASPECTS))
        self.bias_K = nn.Parameter(torch.zeros(components))
        self.register_buffer("centre_C", torch.zeros(sum(self.widths)))
        self.centre_C: Tensor

    def similarity(self, summaries_BTC: Tensor, others_BJC: Tensor) -> Tensor:
        """Cosine similarity of the centred summaries, for each aspect: (B, T, J, A)."""

        def aspects(summaries: Tensor) -> list[Tensor]:
            missing = [part.abs().amax(-1, keepdim=True) == 0 for part in torch.split(summaries, self.widths, -1)]
            centred = torch.split(summaries - self.centre_C, self.widths, -1)
            return [F.normalize(part, dim=-1).masked_fill(gone, 0) for part, gone in zip(centred, missing, strict=True)]

        pairs = zip(aspects(summaries_BTC), aspects(others_BJC), strict=True)
        return torch.stack([here @ there.mT for here, there in pairs], -1)

    def forward(
        self, summaries_BTC: Tensor, others_BJC: Tensor, tokens_BJLD: Tensor, ages_BTJ: Tensor
    ) -> tuple[Tensor, Tensor]:
        """(means_BTLKD, logits_BTK), both to be added.

        Keyframe t may recall keyframe j where the age t - j is above 0; a reference frame's age is `TIMELESS`.
        """
        open_BTJ = ages_BTJ > 0
        alike_BTJA = self.similarity(summaries_BTC, others_BJC)
        score_BTKJ = torch.einsum("btja,ka->btkj", alike_BTJA, QUICK * self.closeness_KA)
        passed_BTKJ = F.softplus(QUICK * self.recency_K)[:, None] * ages_BTJ[:, :, None, :]
        timeless_BTKJ = (ages_BTJ == TIMELESS)[:, :, None, :]
        score_BTKJ = score_BTKJ - torch.where(timeless_BTKJ, QUICK * self.distance_K[:, None], passed_BTKJ)
        score_BTKJ = score_BTKJ.masked_fill(~open_BTJ[:, :, None, :], torch.finfo(score_BTKJ.dtype).min)
        some_BT = open_BTJ.any(-1)
        chosen_BTKJ = score_BTKJ.softmax(-1) * some_BT[:, :, None, None]
        means_BTLKD = torch.einsum("btkj,bjld->btlkd", chosen_BTKJ, tokens_BJLD)
        means_BTLKD = means_BTLKD * torch.sigmoid(QUICK * self.share_K)[:, None]
        last_BTJ = (ages_BTJ == 1)[..., None]
        logits_BTK = (alike_BTJA * last_BTJ).sum(2) @ (QUICK * self.weight_KA).T + QUICK * self.bias_K * some_BT[
            ..., None
        ]
        return means_BTLKD, logits_BTK
