"""Held-out likelihood of keyframe tokens: with the right script, with exchanged scripts, and without any script."""

from functools import partial
from typing import TYPE_CHECKING

from models.autoregressive.generate import GenerationConfig
from models.device import device
from models.metrics.figure import Figure, mean
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks import dataset
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


def figures(
    storage: Storage,
    snapshot: Snapshot,
    work: Work,
    autoregressive: str,
    generation: GenerationConfig,
    count: int,
    shuffles: int,
    seed: int,
) -> dict[str, Figure]:
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
    found: dict[str, list[float]] = {name: [] for name in _WORDS}
    held_out: list[torch.Tensor] = []
    for film in snapshot.of_part("test"):
        train, test = (dataset.of_film(table, film, part) for part in ("train", "test"))
        tokens_TLD = tokens.read(storage, work, test.row_ids)[0]
        train_TLD = tokens.read(storage, work, train.row_ids)[0] if train.row_ids else tokens_TLD[:0]
        examples = references(train.scripts, train_TLD, test.scripts, tokens_TLD, count)
        orders = [shuffled(test.scripts, seed + i) for i in range(shuffles)] if len(test.scripts) > 1 else []
        found["nll_right_script"] += nll(test.scripts, tokens_TLD).tolist()
        held_out.append(tokens_TLD)
        if orders:
            nll_ST = torch.stack([nll(order, tokens_TLD) for order in orders])
            found["nll_shuffled_script"] += nll_ST.mean(0).tolist()
        for one in examples:
            if one.tokens_RLD is None:
                continue
            given = one.tokens_RLD, one.scripts
            found["nll_right_script_few_shot"] += nll(test.scripts, tokens_TLD, *given)[one.places].tolist()
            if orders:
                nll_ST = torch.stack([nll(order, tokens_TLD, *given) for order in orders])
                found["nll_shuffled_script_few_shot"] += nll_ST.mean(0)[one.places].tolist()
    if held_out:
        learnt_TLD = _learnt(storage, snapshot, work)
        found["nll_unconditional"] = unconditional_nll(learnt_TLD, torch.cat(held_out), seed=seed)[0].tolist()
    unit = "negative log-likelihood of held-out keyframe tokens in nats per dimension, lower is better"
    words = {name: said.format(source=_SOURCES[snapshot.by_films]) for name, said in _WORDS.items()}
    return {name: mean(values, f"{unit}: {words[name]}") for name, values in found.items()}


def _learnt(storage: Storage, snapshot: Snapshot, work: Work) -> "Tensor":
    """Tokens_TLD of keyframes that were learnt from: all, or windows that are evenly spread."""
    import torch

    from models.training.sheet import windows

    examples = Examples(storage, {**snapshot.work, **work}, keyframe_ids(storage, snapshot, "train"))
    return torch.stack([tokens.of_row(examples.tokens(row)) for row in windows(len(examples), _FITTED).tolist()])
