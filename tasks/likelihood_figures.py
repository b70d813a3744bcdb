"""Held-out likelihood of keyframe tokens: with the right script, with exchanged scripts, and without any script."""

from functools import partial

from models.device import device
from models.generate import GenerationConfig
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks import dataset, metrics, tokens
from tasks.metrics import Figure
from tasks.render import spread
from tasks.stage import Work

_WORDS = {
    "nll_right_script": "with the right scripts",
    "nll_shuffled_script": "with scripts exchanged among the keyframes",
    "nll_unconditional": "under the best mixture of Gaussians fitted to the training tokens, without any script",
    "nll_right_script_few_shot": "with the right scripts and reference frames of the training half",
    "nll_shuffled_script_few_shot": "with exchanged scripts and reference frames of the training half",
}


def figures(
    storage: Storage,
    snapshot: Snapshot,
    work: Work,
    autoregressive: str,
    generation: GenerationConfig,
    references: int,
    shuffles: int,
    seed: int,
) -> dict[str, Figure]:
    """Teacher-forced, film by film, each held-out half on its own; nats per dimension, lower is better.

    Args:
        generation: its windows are used here too.
        references: frames of the training half that are put before in the few-shot figures.
        shuffles: how often scripts are exchanged.
    """
    import torch

    from models.autoregressive import AutoregressiveModel
    from models.likelihood import held_out_nll, shuffled, unconditional_nll

    with storage.local(autoregressive) as folder:
        model = AutoregressiveModel.from_pretrained(folder).to(device())
    nll = partial(held_out_nll, model, window=generation.window, keep=generation.keep)
    trains, tests = dataset.load(storage, snapshot, "train"), dataset.load(storage, snapshot, "test")
    learnt = [tokens.read(storage, work, film.row_ids)[0] for film in trains]
    found: dict[str, list[float]] = {name: [] for name in _WORDS}
    for train, train_TLD, test in zip(trains, learnt, tests, strict=True):
        tokens_TLD = tokens.read(storage, work, test.row_ids)[0]
        places = spread(len(train.scripts), references)
        examples = train_TLD[places], [train.scripts[place] for place in places]
        found["nll_right_script"] += nll(test.scripts, tokens_TLD).tolist()
        found["nll_right_script_few_shot"] += nll(test.scripts, tokens_TLD, *examples).tolist()
        found["nll_unconditional"] += unconditional_nll(torch.cat(learnt), tokens_TLD, seed=seed)[0].tolist()
        if len(test.scripts) < 2:
            continue
        orders = [shuffled(test.scripts, seed + i) for i in range(shuffles)]
        for name, given in (("nll_shuffled_script", ()), ("nll_shuffled_script_few_shot", examples)):
            nll_ST = torch.stack([nll(order, tokens_TLD, *given) for order in orders])
            found[name] += nll_ST.mean(0).tolist()
    unit = "negative log-likelihood of held-out keyframe tokens in nats per dimension, lower is better"
    return {name: metrics.mean(values, f"{unit}: {_WORDS[name]}") for name, values in found.items()}
