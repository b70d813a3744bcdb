"""Passages that two films share (copies that were cut, clips, mirrored or not), and films that are near duplicates.

Keyframes are held against each other by their looks (storage.decoding.look), at one distance in time for a whole
passage. Copies whose keyframes fall between the original's are found by the pictures that stand still meanwhile.

Shapes: K keyframes of all films, in order; E entries of an index, the K as they are and mirrored; P pairs of keyframes.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from storage.decoding.look import MIRROR

LEAST = 30  # seconds of a passage, or half of the shorter film: studios' signets and titles are shorter
PICTURES = 4  # of them that are unlike each other: a passage of one camera that stands still proves nothing
COMMON = 10  # films that share a passage, past which it is everybody's signet or advertisement
LONG = 180  # seconds of a passage that is neither, however many have it
COVERED = 0.9  # of both films that near duplicates share
_FEWEST = 5  # seconds, however short a film is
_BITS = 10  # of 63 by which two keyframes of one moment may differ
_GAP = 10  # seconds, or three keyframes, between those of a passage that are alike
_BANDS = 3  # parts of the bits, in one of which keyframes have to be equal to be found
_MOST = 50  # entries that are equal in a band, past which they tell nothing
_VOTES = 2  # pairs of keyframes at one distance in time, for which two films are compared

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Looks:
    """Of a film's keyframes that say something: their seconds, in order, and looks, as storage.decoding.look."""

    seconds: Ints
    looks: Ints

    @property
    def length(self) -> int:
        """Seconds from the first to the last, both included."""
        return int(self.seconds[-1] - self.seconds[0]) + 1


@dataclass(frozen=True)
class Passage:
    """What is seen in the film `one` from the second `first` to `last`, and `offset` seconds later in the `other`."""

    one: str
    other: str
    first: int
    last: int
    offset: int
    mirrored: bool


def passages(films: Mapping[str, Looks]) -> list[Passage]:
    """All that two films share, in the order of the films; those of two films hardly overlap.

    Five million keyframes take a minute and 0.8 GB.
    """
    names = list(films)
    step = min((int(np.diff(film.seconds).min(initial=1 << 30)) for film in films.values()), default=1)
    found: dict[tuple[int, int], list[tuple[int, Passage]]] = defaultdict(list)
    for one, other, mirrored, offset in _candidates([films[name] for name in names], step):
        a, b = films[names[one]], films[names[other]]
        for first, last, alike in _runs(a, b, offset, mirrored, step):
            passage = Passage(names[one], names[other], first, last, offset, mirrored)
            found[one, other].append((alike, passage))
    return _uncommon(films, [passage for _, some in sorted(found.items()) for passage in _apart(some)])


def near_duplicates(films: Mapping[str, Looks], found: Iterable[Passage]) -> dict[str, str]:
    """Film -> an earlier one that shows the same pictures: passages cover nearly all of both.

    A film that is a near duplicate is never itself the original of a later one.

    Args:
        films: the better first.
        found: the passages that they share.
    """
    shared: Counter[tuple[str, str]] = Counter()
    for passage in found:
        shared[passage.one, passage.other] += passage.last - passage.first + 1
    place = {name: number for number, name in enumerate(films)}
    same = [both for both, seconds in shared.items() if _cover(films[both[0]], films[both[1]], seconds)]
    copies: dict[str, str] = {}
    for one, other in sorted(same, key=lambda both: (place[both[1]], place[both[0]])):
        if one not in copies and other not in copies:
            copies[other] = one
    return copies


def _cover(one: Looks, other: Looks, seconds: int) -> bool:
    """Whether a passage of so many seconds is nearly all of both films."""
    return seconds >= COVERED * max(one.length, other.length)


def _candidates(films: Sequence[Looks], step: int) -> Iterator[tuple[int, int, bool, int]]:
    """Places of two films, the earlier first, whether one is mirrored, and the distance in time, where some vote so.

    Keyframes of a copy fall before and behind those of the original: distances that differ by the `step` from one
    keyframe to the next, in seconds, vote together.
    """
    if not films:
        return
    film_K = np.repeat(np.arange(len(films)), [len(film.looks) for film in films])
    second_K = np.concatenate([film.seconds for film in films])
    looks_K = np.concatenate([film.looks for film in films])
    step = min(step, int(second_K.max(initial=0)) + 1)
    span = 2 * (int(second_K.max(initial=0)) + step) + 1
    votes = [np.empty(0, np.int64)]
    for one_P, other_P, mirrored_P in _pairs(film_K, looks_K):
        offset_P = second_K[other_P] - second_K[one_P] + span // 2
        votes.append(((film_K[one_P] * len(films) + film_K[other_P]) * 2 + mirrored_P) * span + offset_P)
    keys, counts = np.unique(np.concatenate(votes), return_counts=True)
    around = sum(_counts(keys, counts, keys + seconds) for seconds in (-step, 0, step))
    for key in keys[around >= _VOTES].tolist():
        rest, offset = divmod(key, span)
        both, mirrored = divmod(rest, 2)
        yield *divmod(both, len(films)), bool(mirrored), offset - span // 2


def _pairs(film_K: Ints, looks_K: Ints) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Keyframes of an earlier and a later film that are alike, and whether mirrored; a pair comes once.

    Those that stand still, and those that many films have, are left out.
    """
    count = len(looks_K)
    looks_E, film_E = np.concatenate([looks_K, looks_K ^ MIRROR]), np.tile(film_K, 2)
    for band in range(_BANDS):
        keys_E = looks_E & _mask(band)
        moved_E = (np.diff(keys_E, prepend=-1) != 0) | (np.diff(film_E, prepend=-1) != 0)
        entries = np.flatnonzero(moved_E)
        entries = entries[np.argsort(keys_E[entries], kind="stable")]
        keys = keys_E[entries]
        sizes = np.diff(np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1], [True]])))
        few = np.repeat((sizes > 1) & (sizes <= _MOST), sizes)
        entries, keys = entries[few], keys[few]
        at, step = np.arange(len(keys)), 1
        while len(at := at[at + step < len(keys)]) and len(at := at[keys[at + step] == keys[at]]):
            plain, other = entries[at], entries[at + step]  # a stable sort: mirrored ones come behind
            unlike = looks_E[plain] ^ looks_E[other]
            good = (plain < count) & (film_E[plain] != film_E[other]) & (np.bitwise_count(unlike) <= _BITS)
            good &= (other < count) | (film_E[plain] < film_E[other])  # mirrored, each is the other's
            for earlier in range(band):
                good &= unlike & _mask(earlier) != 0
            plain, other = plain[good], other[good]
            later = film_E[plain] > film_E[other]
            one, two = np.where(later, other % count, plain), np.where(later, plain, other % count)
            yield one, two, (other >= count).astype(np.int64)
            step += 1


def _mask(band: int) -> int:
    return sum(1 << bit for bit in range(band, 63, _BANDS))


def _counts(keys: Ints, counts: Ints, wanted: Ints) -> Ints:
    """How often the wanted are among the keys, which are sorted."""
    places = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[places] == wanted, counts[places], 0)


def _runs(one: Looks, other: Looks, offset: int, mirrored: bool, step: int) -> Iterator[tuple[int, int, int]]:
    """First and last second, in the one film, of what the other shows at such a distance, give or take a keyframe.

    And how many keyframes are alike at just that distance.
    """
    looks = other.looks ^ (MIRROR if mirrored else 0)

    def alike_at(distance: int) -> NDArray[np.bool_]:
        seconds = one.seconds + distance
        places = np.minimum(np.searchsorted(other.seconds, seconds), len(looks) - 1)
        alike_T: NDArray[np.bool_] = other.seconds[places] == seconds
        alike_T &= np.bitwise_count(one.looks ^ looks[places]) <= _BITS
        return alike_T

    exact = alike_at(offset)
    alike = exact | alike_at(offset - step) | alike_at(offset + step)
    least = min(LEAST, max(_FEWEST, min(one.length, other.length) / 2))
    at = np.flatnonzero(alike)
    for run in np.split(at, np.flatnonzero(np.diff(one.seconds[at]) > max(_GAP, 3 * step)) + 1):
        if len(run) and one.seconds[run[-1]] - one.seconds[run[0]] + 1 >= least and _differ(one.looks[run]):
            yield int(one.seconds[run[0]]), int(one.seconds[run[-1]]), int(exact[run].sum())


def _differ(looks: Ints) -> bool:
    """Whether there are enough pictures among them that are unlike each other."""
    for _ in range(PICTURES - 1):
        looks = looks[np.bitwise_count(looks ^ looks[:1]) > _BITS]
    return len(looks) > 0


def _apart(some: Sequence[tuple[int, Passage]]) -> list[Passage]:
    """Of those that tell the same, that with the most keyframes alike at just its distance, then the longest."""
    kept: list[Passage] = []
    for _, one in sorted(some, key=lambda each: (-each[0], each[1].first - each[1].last, each[1].offset)):
        if not any(_same(one, other) for other in kept):
            kept.append(one)
    return kept


def _same(one: Passage, kept: Passage) -> bool:
    """Whether they overlap, and for the most part or at about one distance."""
    both = min(one.last, kept.last) - max(one.first, kept.first) + 1
    return both > 0 and (2 * both > one.last - one.first + 1 or abs(one.offset - kept.offset) <= _GAP)


def _uncommon(films: Mapping[str, Looks], found: Sequence[Passage]) -> list[Passage]:
    """Those that few films have, which overlap those with at most COMMON others, LONG ones, and whole films."""
    spans: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for one in found:
        spans[one.one].append((one.first, one.last, one.other))
        spans[one.other].append((one.first + one.offset, one.last + one.offset, one.one))

    def common(film: str, first: int, last: int) -> bool:
        return len({other for start, end, other in spans[film] if start <= last and first <= end}) > COMMON

    return [
        one
        for one in found
        if one.last - one.first >= LONG
        or _cover(films[one.one], films[one.other], one.last - one.first + 1)
        or not (
            common(one.one, one.first, one.last) or common(one.other, one.first + one.offset, one.last + one.offset)
        )
    ]
