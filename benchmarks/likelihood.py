"""Does the script help to foresee the film?

    python benchmarks/likelihood.py [STORAGE]

Held-out negative log-likelihood of keyframe tokens, in nats per dimension, by the autoregressive model that `make demo`
trained: with the right scripts, with scripts exchanged among the keyframes, and under the best mixture of Gaussians
fitted to the training tokens, which is what a user has without a model.
"""

import json
import sys

from demo import Demo

from storage.root import Storage
from tasks.figures import likelihood


def main(storage: Storage) -> None:
    """Prints each figure and the right script's over the mixture's as JSON."""
    demo = Demo.of(storage)
    work, _ = demo.tokens()
    model, generation = demo.autoregressive(work), demo.settings.render.generation
    figures = likelihood.measured(storage, demo.snapshot, work, model, generation, count=10, shuffles=4, seed=0).figures
    for name, figure in figures.items():
        print(f"{name} {figure.value} (n = {figure.n}): {figure.what}")
    right, alone = figures["nll_right_script"], figures["nll_unconditional"]
    assert right.value is not None
    assert alone.value is not None
    result = {"name": "held_out_nll", "value": right.value, "unit": "nats per dimension", "baseline": alone.value}
    print(json.dumps(result | {"ratio": right.value / alone.value, "n": right.n}))


if __name__ == "__main__":
    main(Storage(sys.argv[1] if len(sys.argv) > 1 else "out"))
