"""How long the search for passages that two films share takes, and what it finds of those that are there.

    python benchmarks/passages.py [--films 1000] [--keyframes 5000]

Looks of keyframes are drawn, shot by shot, with the dependence between their bits that low frequencies of pictures
have; a third of the shots return to a place of their film. Into some films a minute of another one is put, each third
mirrored, of which half of the keyframes are alike; a tenth of the films begin with the same signet of 20 seconds.
Beside it what comparing each keyframe with each, mirrored or not, would take at the pace of a sample.
"""

import argparse
import json
import resource
import time

import numpy as np
from numpy.typing import NDArray

from storage.decoding.look import MIRROR
from storage.films.passages import Looks, passages

CLIPS, CLIP, SIGNET = 40, 60, 20
FACTORS = 24  # that the 63 bits of a look depend on
Ints = NDArray[np.int64]


def main() -> None:
    """Prints the seconds, the memory, and the passages found, missed and wrong, and the last line as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=1000)
    parser.add_argument("--keyframes", type=int, default=5000, help="of each film")
    args = parser.parse_args()
    if args.films < 2 * CLIPS:
        parser.error(f"--films {args.films}: at least {2 * CLIPS}, two for each passage")
    draw = np.random.default_rng(0)
    mix = draw.standard_normal((FACTORS, 63)).astype(np.float32)
    films = {f"{number:016x}": drawn(draw, mix, args.keyframes) for number in range(args.films)}
    true = planted(draw, mix, films)
    before, began = memory(), time.perf_counter()
    found = passages({name: Looks(np.arange(len(looks)), looks) for name, looks in films.items()})
    seconds = time.perf_counter() - began
    pairs = {tuple(sorted((one.one, one.other))) for one in found}
    print(f"{args.films * args.keyframes} keyframes: {seconds:.1f} s, {memory() - before:.2f} GB beyond the looks")
    print(f"pairs of films: {len(pairs & true)} of {len(true)} found, {len(pairs - true)} wrong")
    baseline = all_pairs(np.concatenate(list(films.values())))
    result = {"name": "passages_seconds", "value": seconds, "unit": "s", "baseline": baseline}
    print(json.dumps(result | {"ratio": seconds / baseline, "n": args.films * args.keyframes}))


def drawn(draw: np.random.Generator, mix: NDArray[np.float32], count: int) -> Ints:
    """[count] looks of a film's keyframes, five a shot."""
    shots = np.cumsum(draw.random(count) < 0.2)
    places = draw.standard_normal((shots[-1] + 1, FACTORS)).astype(np.float32)
    again = np.flatnonzero(draw.random(len(places)) < 0.3)
    places[again] = places[again % 5]
    return noisy(draw, packed(places @ mix > 0)[shots])


def planted(draw: np.random.Generator, mix: NDArray[np.float32], films: dict[str, Ints]) -> set[tuple[str, ...]]:
    """Puts the passages into the films; returns the pairs that share one."""
    names, pairs = list(films), set()
    for number, (one, other) in enumerate(draw.permutation(names)[: 2 * CLIPS].reshape(CLIPS, 2).tolist()):
        first, at = draw.integers(SIGNET, len(films[one]) - CLIP, 2)
        clip = noisy(draw, films[one][first : first + CLIP]) ^ (MIRROR if number % 3 == 0 else 0)
        there = films[other][at : at + CLIP]
        there[:] = np.where(draw.random(CLIP) < 0.5, clip, there)
        pairs.add(tuple(sorted((one, other))))
    signet = drawn(draw, mix, SIGNET)
    for name in names[::10]:
        films[name][:SIGNET] = noisy(draw, signet)
    return pairs


def noisy(draw: np.random.Generator, looks: Ints) -> Ints:
    """With two of their bits in a hundred changed."""
    return looks ^ packed(draw.random((len(looks), 63)) < 0.02)


def packed(bits: NDArray[np.bool_]) -> Ints:
    """[N, 63] bits as N numbers."""
    whole = np.packbits(np.pad(bits, ((0, 0), (1, 0))), axis=1)
    return whole.view(">i8")[:, 0].astype(np.int64)


def all_pairs(looks: Ints, sample: int = 4000) -> float:
    """Seconds, from those that a sample takes."""
    some, began = looks[:sample], time.perf_counter()
    for look in some:
        np.count_nonzero(np.bitwise_count(some ^ look) <= 10)
        np.count_nonzero(np.bitwise_count(some ^ (look ^ MIRROR)) <= 10)
    return (time.perf_counter() - began) * (len(looks) / len(some)) ** 2 / 2


def memory() -> float:
    """The most that this process had so far, in GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


if __name__ == "__main__":
    main()
