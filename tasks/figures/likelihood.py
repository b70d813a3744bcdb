"""Held-out likelihood of keyframe tokens: with the right script, with exchanged scripts, and without any script."""

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from models.autoregressive.generate import GenerationConfig
from models.device import device
from models.metrics.figure import Measured, Samples, means_by_sample
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks import dataset
from tasks.figures.looks import sample_names
from tasks.references import references
from tasks.stage import Work
from tasks.training import tokens
from tasks.training.examples import Examples
from tasks.training.views import keyframe_ids

if TYPE_CHECKING:
    from torch import Tensor

_FITTED = 8192  # keyframes that the mixture without scripts is fitted to, at most
_WORDS = {
    "nll_right_script": "with the right scripts",
    "nll_shuffled_script": "with scripts exchanged among the keyframes",
    "nll_unconditional": "under the best mixture of Gaussians fitted to the training tokens, without any script",
    "nll_right_script_few_shot": "with the right scripts and reference frames of {source}",
    "nll_shuffled_script_few_shot": "with exchanged scripts and reference frames of {source}",
}

_SOURCES = {False: "the training half", True: "the film's other keyframes"}  # by whether films are held out as wholes


def measured(
    storage: Storage,
    snapshot: Snapshot,
    work: Work,
    autoregressive: str,
    generation: GenerationConfig,
    count: int,
    shuffles: int,
    seed: int,
) -> Measured:
    """Teacher-forced, film by film, what is held out on its own; nats per dimension, lower is better.

    Args:
        generation: its windows are used here too.
        count: frames that are put before in the few-shot figures; see tasks.references.
        shuffles: how often scripts are exchanged.
    """
    import torch

    from models.autoregressive.autoregressive import AutoregressiveModel
    from models.autoregressive.likelihood import held_out_nll, shuffled, unconditional_nll

    with storage.local(autoregressive) as folder:
        model = AutoregressiveModel.from_pretrained(folder).to(device())
    nll = partial(held_out_nll, model, window=generation.window, keep=generation.keep)
    table = dataset.feature_rows(storage, snapshot)
    found: dict[str, Samples] = {name: {} for name in _WORDS}
    held_out: list[torch.Tensor] = []
    for film in snapshot.of_part("test"):
        train, test = (dataset.of_film(table, film, part) for part in ("train", "test"))
        tokens_TLD = tokens.read(storage, work, test.row_ids)[0]
        train_TLD = tokens.read(storage, work, train.row_ids)[0] if train.row_ids else tokens_TLD[:0]
        examples = references(train.scripts, train_TLD, test.scripts, tokens_TLD, count)
        orders = [shuffled(test.scripts, seed + i) for i in range(shuffles)] if len(test.scripts) > 1 else []
        names = np.array(sample_names(test.row_ids))
        found["nll_right_script"] |= zip(names, nll(test.scripts, tokens_TLD).tolist(), strict=True)
        held_out.append(tokens_TLD)
        if orders:
            nll_ST = torch.stack([nll(order, tokens_TLD) for order in orders])
            found["nll_shuffled_script"] |= zip(names, nll_ST.mean(0).tolist(), strict=True)
        for one in examples:
            if one.tokens_RLD is None:
                continue
            given, asked = (one.tokens_RLD, one.scripts), names[one.places]
            nll_A = nll(test.scripts, tokens_TLD, *given)[one.places]
            found["nll_right_script_few_shot"] |= zip(asked, nll_A.tolist(), strict=True)
            if orders:
                nll_ST = torch.stack([nll(order, tokens_TLD, *given) for order in orders])
                found["nll_shuffled_script_few_shot"] |= zip(asked, nll_ST.mean(0)[one.places].tolist(), strict=True)
    if held_out:
        learnt_TLD = _learnt(storage, snapshot, work)
        nll_T = unconditional_nll(learnt_TLD, torch.cat(held_out), seed=seed)[0]
        found["nll_unconditional"] |= zip(found["nll_right_script"], nll_T.tolist(), strict=True)
    unit = "negative log-likelihood of held-out keyframe tokens in nats per dimension, lower is better"
    source = _SOURCES[snapshot.by_films]
    return means_by_sample({name: f"{unit}: {said.format(source=source)}" for name, said in _WORDS.items()}, found)


def _learnt(storage: Storage, snapshot: Snapshot, work: Work) -> "Tensor":
    """Tokens_TLD of keyframes that were learnt from: all, or windows that are evenly spread."""
    import torch

    from models.training.sheet import windows

    examples = Examples(storage, {**snapshot.work, **work}, keyframe_ids(storage, snapshot, "train"))
    return torch.stack([tokens.of_row(examples.tokens(row)) for row in windows(len(examples), _FITTED).tolist()])
