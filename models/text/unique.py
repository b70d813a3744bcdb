"""JSON objects whose names are unique."""

import json
from typing import Any


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An `object_pairs_hook`: raises ValueError for a repeated name, whose last value json would silently keep."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} appears twice in {json.dumps(names)}: join the two")
    return made
