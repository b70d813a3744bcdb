"""Does A's face come out where B stands? (limitation 2 of the paper, Fig. 23)

    python benchmarks/leak.py [--seeds 3] [--steps 400]

Two people side by side in each keyframe of drawn films (benchmarks/world.py), a description and a face of either in the
script. Of dreamt keyframes of films that no model has seen: how often each seat shows the right one of the film's three
people, the one from the other seat (a leak), or the third. Beside it the same with the two faces exchanged, each beside
the other's description: what a script does that binds faces to nobody.
"""

import argparse
import json
import statistics
from collections.abc import Sequence
from dataclasses import replace

import ablations
import torch
import world
from einops import rearrange

from models.autoregressive.autoregressive import AutoregressiveModel
from models.autoregressive.generate import GenerationConfig, Request, generate

SEATS = 2
Shares = tuple[float, float, float]


def main() -> None:
    """Prints the shares of right, leaked and third people, and the leak beside that of exchanged faces as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=3, choices=ablations.STUDENT)
    parser.add_argument("--steps", type=int, default=400)
    args = parser.parse_args()
    torch.set_num_threads(1)
    found: dict[str, list[Shares]] = {"beside their own descriptions": [], "exchanged": []}
    for seed in range(args.seeds):
        films = world.World(seed)
        numbers = range(1000 * seed, 1000 * seed + ablations.TRAIN + ablations.TEST)
        drawn = [films.film(number, ablations.FRAMES, SEATS) for number in numbers]
        train, test = drawn[: ablations.TRAIN], drawn[ablations.TRAIN :]
        model = ablations.trained(seed, args.steps, train)
        exchanged = [
            replace(film, scripts=[replace(one, faces=one.faces[::-1], face_choices=()) for one in film.scripts])
            for film in test
        ]
        for name, some in zip(found, (test, exchanged), strict=True):
            found[name].append(shares(model, some))
    for name, runs in found.items():
        right, leaked, third = (ablations.told(values) for values in zip(*runs, strict=True))
        print(f"faces {name}: right {right}, leaked {leaked}, third {third}")
    value, baseline = (statistics.mean(leaked for _, leaked, _ in runs) for runs in found.values())
    result = {"name": "face_leak", "value": value, "unit": "share of seats", "baseline": baseline}
    count = args.seeds * ablations.TEST * ablations.FRAMES * SEATS
    print(json.dumps(result | {"ratio": value / baseline, "n": count}))


def shares(model: AutoregressiveModel, films: Sequence[world.Film]) -> Shares:
    """(right, leaked, third) over all seats of all dreamt keyframes."""
    requests = [Request(film.scripts, i) for i, film in enumerate(films)]
    width = (world.D - world.SIDES) // SEATS
    right, leaked = [], []
    for film, tokens_TLD in zip(films, generate(model, requests, GenerationConfig()), strict=True):
        looks_3W = torch.from_numpy(film.looks_3D)[:, :width]
        seats_TSW = rearrange(tokens_TLD[:, 1, : SEATS * width], "t (s w) -> t s w", s=SEATS)
        who_TS, true_TS = torch.cdist(seats_TSW, looks_3W).argmin(-1), torch.tensor(film.people)
        right.append(float((who_TS == true_TS).float().mean()))
        leaked.append(float((who_TS == true_TS.flip(1)).float().mean()))
    return statistics.mean(right), statistics.mean(leaked), 1 - statistics.mean(right) - statistics.mean(leaked)


if __name__ == "__main__":
    main()
