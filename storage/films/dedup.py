"""Near duplicates: films that show the same pictures, re-encoded, rescaled, mirrored or not."""

from collections import Counter
from collections.abc import Iterable, Mapping

from storage.films.passages import Looks, Passage, covers


def near_duplicates(films: Mapping[str, Looks], found: Iterable[Passage]) -> dict[str, str]:
    """Film -> an earlier one that shows the same pictures: passages cover nearly all of both.

    A film that is a near duplicate is never itself the original of a later one.

    Args:
        films: the better first.
        found: the passages that they share (storage.films.passages).
    """
    shared: Counter[tuple[str, str]] = Counter()
    for passage in found:
        shared[passage.one, passage.other] += passage.last - passage.first + 1
    place = {name: number for number, name in enumerate(films)}
    same = [both for both, seconds in shared.items() if covers(films[both[0]], films[both[1]], seconds)]
    copies: dict[str, str] = {}
    for one, other in sorted(same, key=lambda both: (place[both[1]], place[both[0]])):
        if one not in copies and other not in copies:
            copies[other] = one
    return copies
