"""Metrics of the faces in the shots of stories: who should be seen, how many, how near, and dressed alike.

Shapes: T shots, F faces of D numbers, R reference pictures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from models.captioner.colours import NAMES
from models.metrics import consistency, script
from models.metrics.characters import REASONS, Cast, identity_samples, matches, occms
from models.metrics.figure import Floats, Measured, Samples, means_by_story
from models.metrics.keyframes import Keyframes
from models.metrics.networks import Vectors
from storage.stories.story import Placed


@dataclass(frozen=True)
class Shot:
    """The faces that one picture of a shot shows, and what it should."""

    placed: Placed
    boxes_F4: Floats
    vectors_FD: Floats
    clothes_F: Floats


def measured(
    said: Mapping[str, str],
    shots: Mapping[str, Sequence[Shot]],
    references: Mapping[tuple[str, str], Keyframes],
    same_face: float,
) -> Measured:
    """The metrics of characters, of shots' sizes and of clothes.

    Args:
        said: metric -> one line for people.
        shots: by story.
        references: (story, character) -> its photographs.
        same_face: largest distance of two faces of one person.
    """
    every = {f"{story}/{shot.placed.number}": shot for story, some in shots.items() for shot in some}
    counts = [(len(shot.boxes_F4), len(shot.placed.shot.characters)) for shot in every.values()]
    samples: dict[str, Samples] = {name: {} for name in said}
    samples["occm"] = dict(zip(every, occms(*np.array(counts).reshape(-1, 2).T).tolist(), strict=True))
    samples["shot_size"] = script.shot_sizes(
        {name: script.size_named(shot.placed.shot.size) for name, shot in every.items()},
        {name: script.size_seen(shot.boxes_F4) for name, shot in every.items()},
    )
    known = {key: _known(one) for key, one in references.items()}
    known = {key: vectors_RD for key, vectors_RD in known.items() if len(vectors_RD)}
    reasons = {**REASONS, **script.REASONS}
    if not known:
        nobody = "no member of the cast has a photograph with a face"
        return means_by_story(said, samples, reasons | {name: nobody for name in said if name != "shot_size"})
    casts = {story: _cast(story, some, known) for story, some in shots.items()}
    samples |= identity_samples(casts)
    samples["lt_script"] = _appearances(shots, known, same_face)
    colours, ratios = _clothes_and_sizes(shots, casts)
    samples["clothes"], samples["relative_size"] = script.clothes(colours), script.relative_sizes(ratios)
    return means_by_story(said, samples, reasons)


def of_pictures(vectors: Vectors) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Boxes [F, 4], vectors [F, D] and clothes [F] of each picture's faces."""
    ends = np.cumsum(vectors["counts"].astype(np.int64))
    for start, end in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True):
        yield vectors["boxes"][start:end], vectors["faces"][start:end], vectors["clothes"][start:end]


def _known(references: Keyframes) -> Floats:
    """[R, D] the largest face of each photograph."""
    faces = [vectors_FD[0] for _, vectors_FD, _ in of_pictures(references.load("faces")) if len(vectors_FD)]
    return np.stack(faces) if faces else np.zeros((0, 1), np.float32)


def _cast(story: str, shots: Sequence[Shot], known: Mapping[tuple[str, str], Floats]) -> Cast:
    return Cast(
        [shot.vectors_FD for shot in shots],
        [[name for name in shot.placed.shot.characters if (story, name) in known] for shot in shots],
        {name: vectors_RD for (other, name), vectors_RD in known.items() if other == story},
    )


def _appearances(
    shots: Mapping[str, Sequence[Shot]], known: Mapping[tuple[str, str], Floats], same_face: float
) -> Samples:
    """ "story/shot.character" of each shot in which the script has a character -> whether it is shown."""
    told = {
        (story, name): np.array([name in shot.placed.shot.characters for shot in shots[story]], dtype=np.bool_)
        for story, name in known
        if story in shots
    }
    shown = {
        (story, name): consistency.presence(
            [shot.vectors_FD for shot in shots[story]], known[story, name][0], same_face
        )
        for story, name in told
    }
    return {
        f"{story}/{place + 1}.{name}": float(there)
        for ((story, name), place), there in consistency.appearances(told, shown).items()
    }


def _clothes_and_sizes(
    shots: Mapping[str, Sequence[Shot]], casts: Mapping[str, Cast]
) -> tuple[dict[tuple[str, str], list[str]], dict[tuple[str, str, str], list[float]]]:
    """Colours of clothes, and ratios of the heights of two faces, of the characters that shots show."""
    colours: dict[tuple[str, str], list[str]] = {}
    ratios: dict[tuple[str, str, str], list[float]] = {}
    for story, some in shots.items():
        for shot, seen in zip(some, matches(casts[story]), strict=True):
            tall = {name: float(shot.boxes_F4[face, 3] - shot.boxes_F4[face, 1]) for name, face in seen.items()}
            for name, face in seen.items():
                if shot.clothes_F[face] >= 0:
                    colours.setdefault((story, name), []).append(NAMES[int(shot.clothes_F[face])])
            for one, other in combinations(sorted(seen), 2):
                if min(tall[one], tall[other]) > 0:
                    ratios.setdefault((story, one, other), []).append(tall[one] / tall[other])
    return colours, ratios
