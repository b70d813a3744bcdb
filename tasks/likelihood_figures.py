"""Held-out likelihood of keyframe tokens: with the right script, with exchanged scripts, and without any script."""

from functools import partial

from models.device import device
from models.generate import GenerationConfig
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks import dataset, metrics, tokens
from tasks.metrics import Figure
from tasks.references import references
from tasks.stage import Work

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

    from models.autoregressive import AutoregressiveModel
    from models.likelihood import held_out_nll, shuffled, unconditional_nll

    with storage.local(autoregressive) as folder:
        model = AutoregressiveModel.from_pretrained(folder).to(device())
    nll = partial(held_out_nll, model, window=generation.window, keep=generation.keep)
    trains, tests = dataset.load(storage, snapshot, "train"), dataset.load(storage, snapshot, "test")
    learnt = {film.film.film_id: (film.scripts, tokens.read(storage, work, film.row_ids)[0]) for film in trains}
    learnt_TLD = torch.cat([train_TLD for _, train_TLD in learnt.values()])
    found: dict[str, list[float]] = {name: [] for name in _WORDS}
    held_out: list[torch.Tensor] = []
    for test in tests:
        tokens_TLD = tokens.read(storage, work, test.row_ids)[0]
        train, train_TLD = learnt.get(test.film.film_id, ((), learnt_TLD[:0]))
        examples = references(train, train_TLD, test.scripts, tokens_TLD, count)
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
        found["nll_unconditional"] = unconditional_nll(learnt_TLD, torch.cat(held_out), seed=seed)[0].tolist()
    unit = "negative log-likelihood of held-out keyframe tokens in nats per dimension, lower is better"
    words = {name: said.format(source=_SOURCES[snapshot.by_films]) for name, said in _WORDS.items()}
    return {name: metrics.mean(values, f"{unit}: {words[name]}") for name, values in found.items()}
