"""Stages of known speed as pools side by side: how busy the slowest is, and how much faster than one after the other.

    python benchmarks/render_pipeline.py [PIECES]

The work is sleep, so that all the rest is the engine. The time that actors take to start is left out.
"""

import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from tasks.cluster import ClusterConfig
from tasks.movies.stories.stream import ActorPool, Piece, Work, stream

CLUSTER = ClusterConfig(cpus=8, object_store_mb=128)
SLOWEST = 0.2  # seconds a piece


def sleeping(seconds: float) -> Work:
    """Takes so long for each piece."""

    def work(pieces: Sequence[Piece]) -> None:
        time.sleep(seconds * len(pieces))

    return work


def chains(stages: Sequence[str], count: int) -> list[Piece]:
    """`count` chains with one piece in each stage; each piece needs the one before it."""
    return [
        Piece(stage, str(number), needs=((stages[place - 1], str(number)),) if place else ())
        for number in range(count)
        for place, stage in enumerate(stages)
    ]


def seconds(stages: Mapping[str, float], count: int, together: bool) -> float:
    """Wall time from the first piece to the last, in a pool a stage, or in one actor for all stages."""
    makes: dict[str, Callable[[], Work]] = {name: partial(sleeping, each) for name, each in stages.items()}
    pools = (
        [ActorPool({name: make}, cpus=0.5) for name, make in makes.items()]
        if together
        else [ActorPool(makes, cpus=0.5)]
    )
    warm = [Piece(name, "warm") for name in stages]
    names = list(stages)
    pieces = [
        *warm,
        *(Piece(one.stage, one.key, needs=(*one.needs, *(each.name for each in warm))) for one in chains(names, count)),
    ]
    began = 0.0
    for answer in stream(pieces, pools, CLUSTER):
        if answer.piece.key == "warm":
            began = time.monotonic()
    return time.monotonic() - began


def main(count: int) -> None:
    """Prints both figures."""
    film = {"tokens": 0.02, "keyframes": 0.15, "enlarged": 0.1, "clips": SLOWEST}
    wall = seconds(film, count, together=True)
    busy = count * SLOWEST / wall
    print(f"slowest of {len(film)} stages busy: {busy:.3f} ({count} pieces of {SLOWEST} s in {wall:.2f} s)")
    equal = {"keyframes": 0.1, "clips": 0.1}
    alone, together = (seconds(equal, count, side_by_side) for side_by_side in (False, True))
    print(f"two equal stages, side by side against one after the other: {alone / together:.2f} times as fast")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 100)
