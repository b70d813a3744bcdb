"""Does the autoregressive model learn what the paper claims?

    python benchmarks/ablations.py [--seeds 3] [--steps 400]

Tiny models on drawn films (benchmarks/world.py), measured on films of people whom no model has seen. A line a claim:
the figure of either side with its 95 % interval over the seeds (Student's t), and whether the difference of
the two, seed by seed, has the claimed sign with the same certainty. Beside the full model: the best Gaussian mixture
that knows no script, which is what a user has without a model.

  NLL       held-out negative log-likelihood of tokens, nats per dimension
  identity  share of dreamt keyframes whose second token is nearest to the look of the right one of the film's people
"""

import argparse
import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
import world
from torch import Tensor

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.generate import GenerationConfig, Request, generate
from models.autoregressive.likelihood import held_out_nll, shuffled, unconditional_nll
from models.autoregressive.script_tokens import FrameScript
from models.backbone import LlamaTinyBackbone
from models.head import GmmConfig, HeadConfig, RegressionConfig
from models.training.autoregressive import AutoregressiveTraining, AutoregressiveTrainingConfig, Loss
from models.training.scripted import InMemoryEpisode

TRAIN, TEST, FRAMES, SHOWN, WINDOW = 16, 8, 48, 10, 16
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}
MIXTURE = GmmConfig(sigma_floor=0.1)
NO_GUARDS = {"flip": 0.0, "reverse": 0.0, "random_faces": False, "references": 0}
Figures = dict[str, float]


def main() -> None:
    """Prints the table, and the full model's likelihood beside the mixture's as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, choices=STUDENT)
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    torch.set_num_threads(1)
    runs = [measured(seed, args.steps) for seed in range(args.seeds)]
    claims = [
        ("right script below exchanged (NLL)", "nll", "nll_shuffled"),
        ("right script below no model of scripts (NLL)", "nll", "nll_unconditional"),
        ("exchanged below no model of scripts (NLL)", "nll_shuffled", "nll_unconditional"),
        ("mixture + l1 + l2 below mixture alone (NLL)", "nll", "nll_gmm_only"),
        ("mixture + l1 + l2 below l1 + l2 (NLL)", "nll", "nll_l1_l2"),
        ("mixture + l1 + l2 above mixture alone (identity)", "-identity", "-identity_gmm_only"),
        ("mixture + l1 + l2 above l1 + l2 (identity)", "-identity", "-identity_l1_l2"),
        ("with faces below without (NLL)", "nll", "nll_no_faces"),
        ("with faces above without (identity)", "-identity", "-identity_no_faces"),
        ("few-shot below zero-shot (NLL)", "nll_few_shot", "nll"),
        ("few-shot above zero-shot (identity)", "-identity_few_shot", "-identity"),
        ("guards narrow the gap between train and test (NLL)", "gap", "gap_no_guards"),
        ("guards lower what is held out (NLL)", "nll", "nll_no_guards"),
    ]
    for words, better, worse in claims:
        difference = [side(run, worse) - side(run, better) for run in runs]
        mean, half = interval(difference)
        verdict = "reproduced" if mean > half else "the opposite" if mean < -half else "not certain"
        sides = (told([run[name.removeprefix("-")] for run in runs]) for name in (better, worse))
        print(f"{words}: {' / '.join(sides)}: {verdict}")
    value, baseline = (statistics.mean(run[name] for run in runs) for name in ("nll", "nll_unconditional"))
    result = {"name": "ablations_nll", "value": value, "unit": "nats per dimension", "baseline": baseline}
    print(json.dumps(result | {"ratio": value / baseline, "n": args.seeds * TEST * FRAMES}))


def side(run: Figures, name: str) -> float:
    """A figure, its sign turned over where more is better."""
    return -run[name[1:]] if name.startswith("-") else run[name]


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Mean and half of its 95 % interval."""
    half = STUDENT[len(values)] * statistics.stdev(values) / len(values) ** 0.5
    return statistics.mean(values), half


def told(values: Sequence[float]) -> str:
    return "{:.3f} ± {:.3f}".format(*interval(values))


def measured(seed: int, steps: int) -> Figures:
    """All figures of one seed: another world, other films, other weights."""
    films = world.World(seed)
    numbers = range(1000 * seed, 1000 * seed + TRAIN + TEST)
    drawn = [films.film(number, FRAMES + SHOWN) for number in numbers]
    train, test = drawn[:TRAIN], drawn[TRAIN:]
    bare = [replace(film, scripts=[script.without_faces() for script in film.scripts]) for film in test]
    full = trained(seed, steps, train)
    figures = {"nll": nll(full, test), "identity": identity(full, test)}
    figures["nll_shuffled"] = nll(full, test, lambda scripts: shuffled(scripts, seed))
    figures["nll_few_shot"] = nll(full, test, shown=True)
    figures["identity_few_shot"] = identity(full, test, shown=True)
    learnt_TLD = torch.cat([film.episode.tokens_TLD for film in train])
    test_TLD = torch.cat([film.episode.tokens_TLD[:FRAMES] for film in test])
    figures["nll_unconditional"] = float(unconditional_nll(learnt_TLD, test_TLD, seed=seed)[0].mean())
    figures["gap"] = figures["nll"] - nll(full, train)
    gmm_only = trained(seed, steps, train, losses=("nll",))
    figures |= {"nll_gmm_only": nll(gmm_only, test), "identity_gmm_only": identity(gmm_only, test)}
    points = trained(seed, steps, train, losses=("l1", "l2"), head=RegressionConfig())
    figures |= {"nll_l1_l2": nll_of_points(points, train, test), "identity_l1_l2": identity(points, test)}
    no_faces = trained(seed, steps, train, faces=False)
    figures |= {"nll_no_faces": nll(no_faces, bare), "identity_no_faces": identity(no_faces, bare)}
    no_guards = trained(seed, steps, train, guards=False)
    figures["nll_no_guards"] = nll(no_guards, test)
    figures["gap_no_guards"] = figures["nll_no_guards"] - nll(no_guards, train)
    print(f"seed {seed}: {json.dumps({name: round(value, 3) for name, value in figures.items()})}", flush=True)
    return figures


def trained(
    seed: int,
    steps: int,
    films: Sequence[world.Film],
    losses: tuple[Loss, ...] = ("nll", "l1", "l2"),
    head: HeadConfig = MIXTURE,
    faces: bool = True,
    guards: bool = True,
) -> AutoregressiveModel:
    """A model of one variant; all variants of a seed start alike and see films in the same order."""
    sizes = {"width": world.D, "sentence_width": world.C, "face_width": world.F, "recall": False, "head": head}
    acting = {"dropout": 0.2, "masking": 0.15, "noise": 0.3} if guards else {"dropout": 0, "masking": 0, "noise": 0}
    model = AutoregressiveConfig(backbone=LlamaTinyBackbone(hidden=64, layers=2, seed=seed), **sizes, **acting)
    config = AutoregressiveTrainingConfig(
        model=model, steps=steps, batch=2, window=WINDOW, learning_rate=3e-3, losses=losses, seed=seed
    ).model_copy(update={} if guards else NO_GUARDS)
    training = AutoregressiveTraining(config, [_bare(film.episode, faces) for film in films])
    optimizer = torch.optim.AdamW(list(training.parameters(0)), weight_decay=training.weight_decay)
    for step in range(steps):
        optimizer.zero_grad()
        loss, _ = training.loss(training.batch(step), step)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(training.parameters(step), 1.0)
        optimizer.param_groups[0]["lr"] = training.lr(step)
        optimizer.step()
    return training.module.eval()


def _bare(episode: InMemoryEpisode, faces: bool) -> InMemoryEpisode:
    return episode if faces else replace(episode, scripts=[script.without_faces() for script in episode.scripts])


Reordered = Callable[[Sequence[FrameScript]], Sequence[FrameScript]]


def nll(
    model: AutoregressiveModel, films: Sequence[world.Film], order: Reordered | None = None, shown: bool = False
) -> float:
    """Mean over the films' keyframes, with scripts in another order, or with reference frames."""
    found = []
    for film in films:
        scripts = film.scripts[:FRAMES] if order is None else order(film.scripts[:FRAMES])
        tokens_TLD = film.episode.tokens_TLD
        references = tokens_TLD[FRAMES:] if shown else None
        found.append(held_out_nll(model, scripts, tokens_TLD[:FRAMES], references, window=WINDOW, keep=WINDOW // 2))
    return float(torch.cat(found).mean())


def nll_of_points(model: AutoregressiveModel, train: Sequence[world.Film], test: Sequence[world.Film]) -> float:
    """Of Gaussians around the points, as wide as the errors on the films learnt from are."""
    variance = 2 * (nll(model, train) - _constant(model))
    error = 2 * (nll(model, test) - _constant(model))
    deviation = float(model.token_std_LD.log().mean())
    half_log = 0.5 * float(torch.tensor(2 * torch.pi * variance).log())
    return 0.5 * error / variance + half_log + deviation


def _constant(model: AutoregressiveModel) -> float:
    """What the likelihood of a point has beside half of the squared error."""
    return 0.5 * float(torch.tensor(2 * torch.pi).log()) + float(model.token_std_LD.log().mean())


def identity(model: AutoregressiveModel, films: Sequence[world.Film], shown: bool = False) -> float:
    """Of dreamt keyframes the share in which the right person is recognised."""
    requests = [
        Request(film.scripts[:FRAMES], i, film.episode.tokens_TLD[FRAMES:] if shown else None)
        for i, film in enumerate(films)
    ]
    right: list[float] = []
    dreamt = generate(model, requests, GenerationConfig(window=WINDOW, keep=WINDOW // 2))
    for film, tokens_TLD in zip(films, dreamt, strict=True):
        right.append(float((nearest(tokens_TLD, film) == torch.tensor(film.people)[:FRAMES, 0]).float().mean()))
    return statistics.mean(right)


def nearest(tokens_TLD: Tensor, film: world.Film) -> Tensor:
    """Which of the film's people each keyframe looks like; where they stand doesn't count."""
    own = slice(0, -world.SIDES)
    return torch.cdist(tokens_TLD[:, 1, own], torch.from_numpy(film.looks_3D)[:, own]).argmin(1)


if __name__ == "__main__":
    main()
