"""Held-out likelihood: does the model use its script, and does it beat a mixture that knows no script at all?

Shapes: T keyframes, R reference frames, L tokens a keyframe, D token width.
"""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.autoregressive.autoregressive import AutoregressiveModel
from models.autoregressive.packing import Window
from models.autoregressive.script_tokens import FrameScript
from models.head.mixture import UnconditionalMixture


def held_out_nll(
    model: AutoregressiveModel,
    scripts: Sequence[FrameScript],
    tokens_TLD: Tensor,
    references_RLD: Tensor | None = None,
    reference_scripts: Sequence[FrameScript] = (),
    *,
    window: int,
    keep: int,
) -> Tensor:
    """Teacher-forced -log p of each keyframe's tokens, shape (T,), nats per dimension (eq. 9, averaged over L).

    Windows overlap as in generation: each starts with `keep` keyframes that the one before has scored already.
    """
    if len(scripts) != len(tokens_TLD):
        raise ValueError(f"{len(scripts)} scripts but tokens of {len(tokens_TLD)} keyframes")
    if not 0 <= keep < window:
        raise ValueError(f"keep must be smaller than window, got {keep} and {window}")
    was_training = model.training
    model.eval()
    scored: list[Tensor] = []
    with torch.inference_mode():
        while (known := sum(map(len, scored))) < len(scripts):
            start = max(0, known - keep)
            run = slice(start, start + window)
            packed = model.pack([Window(scripts[run], tokens_TLD[run], references_RLD, reference_scripts)])
            nll_TL = model(packed).nll_per_dimension(packed.targets_BTLD)[0]
            scored.append(nll_TL.mean(-1)[known - start :].cpu())
    model.train(was_training)
    return torch.cat(scored)


def shuffled(scripts: Sequence[FrameScript], seed: int) -> list[FrameScript]:
    """The scripts in another order in which none stays in its place (a random cycle)."""
    if len(scripts) < 2:
        raise ValueError(f"cannot shuffle {len(scripts)} script: at least 2 are needed")
    order = np.random.default_rng(seed).permutation(len(scripts))
    exchanged = list(scripts)
    for here, there in zip(order, np.roll(order, 1), strict=True):
        exchanged[here] = scripts[there]
    return exchanged


def unconditional_nll(
    train_TLD: Tensor,
    test_TLD: Tensor,
    components: Sequence[int] = (1, 2, 4, 8),
    floors: Sequence[float] = (0.01, 0.05, 0.2, 0.5),
    seed: int = 0,
) -> tuple[Tensor, int]:
    """(-log p of each test keyframe in nats per dimension, shape (T,); the number of components).

    One mixture over all L*D numbers of a keyframe, fitted to the training tokens; the number of components and the
    floor of the variances are those that suit the test keyframes best, which favours the baseline.
    """
    train_NE, test_NE = train_TLD.flatten(1), test_TLD.flatten(1)
    best: tuple[Tensor, int] | None = None
    for k in components:
        if k > len(train_NE):
            continue
        for floor in floors:
            nll_T = UnconditionalMixture.fit(train_NE, k, seed, floor=floor).nll_per_dimension(test_NE).float()
            if best is None or nll_T.mean() < best[0].mean():
                best = nll_T, k
    if best is None:
        raise ValueError(f"{len(train_NE)} training keyframes are too few for any of {tuple(components)} components")
    return best
