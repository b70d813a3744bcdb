"""Seeds of training and of evaluation: evaluated films, held-out looks and places are never trained on.

Seeds 1-49 evaluate and show, 50-99 do so with the looks and the place that no other seed draws, and seeds from 1000 on
train. Any other seed draws as the first ones do and is for trials.
"""

EVALUATION = range(1, 100)
HELD_OUT = range(50, 100)
TRAINING = 1000  # the first seed

HELD_PLACE = "desert"


def holds_out(seed: int) -> bool:
    """Whether the film of a seed shows what is held out: two people of such looks and, as one of its places, desert."""
    return seed in HELD_OUT
