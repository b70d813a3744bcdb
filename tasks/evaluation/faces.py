"""Metrics of the faces in the shots of stories: who should be seen, how many, how near, and dressed alike.

Shapes: T shots, F faces of D numbers, R reference pictures, C numbers of an identity vector.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from models.captioner.colours import NAMES
from models.metrics import consistency, script
from models.metrics.characters import REASONS, Cast, ensemble, identity_samples, matches, occms
from models.metrics.figure import Floats, Measured, Samples, means_by_story
from models.metrics.keyframes import Keyframes
from storage.stories.story import Placed


@dataclass(frozen=True)
class Shot:
    """The faces that one picture of a shot shows, and what it should."""

    placed: Placed
    boxes_F4: Floats
    vectors_FD: Floats
    clothes_F: Floats
    identities_FC: Floats


def measured(
    said: Mapping[str, str],
    shots: Mapping[str, Sequence[Shot]],
    references: Mapping[tuple[str, str], Keyframes],
    same_face: float,
    identities: bool,
) -> Measured:
    """The metrics of characters, of shots' sizes and of clothes.

    Args:
        said: metric -> one line for people.
        shots: by story.
        references: (story, character) -> its photographs.
        same_face: largest distance of two faces of one person.
        identities: whether further embedders have seen the photographs too.
    """
    every = {f"{story}/{shot.placed.number}": shot for story, some in shots.items() for shot in some}
    counts = [(len(shot.boxes_F4), len(shot.placed.shot.characters)) for shot in every.values()]
    samples: dict[str, Samples] = {name: {} for name in said}
    samples["occm"] = dict(zip(every, occms(*np.array(counts).reshape(-1, 2).T).tolist(), strict=True))
    samples["shot_size"] = script.shot_sizes(
        {name: script.size_named(shot.placed.shot.size) for name, shot in every.items()},
        {name: script.size_seen(shot.boxes_F4) for name, shot in every.items()},
    )
    known = {key: some for key, one in references.items() if (some := _known(one, identities))}
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


def of_pictures(keyframes: Keyframes, identities: bool) -> Iterator[tuple[Floats, Floats, Floats, Floats]]:
    """Boxes [F, 4], vectors [F, D], clothes [F] and identity vectors [F, C] of each picture's faces.

    Args:
        identities: whether further embedders have seen them; else the vectors are the identity vectors.
    """
    seen = keyframes.load("faces")
    others = keyframes.load("identity") if identities else {}
    embedders = [seen["faces"], *(rows_FC for name, rows_FC in others.items() if name != "counts")]
    identities_FC = ensemble(embedders) if others else seen["faces"]
    ends = np.cumsum(seen["counts"].astype(np.int64))
    for start, end in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True):
        some = slice(start, end)
        yield seen["boxes"][some], seen["faces"][some], seen["clothes"][some], identities_FC[some]


@dataclass(frozen=True)
class _Known:
    """The largest face of each photograph of a character."""

    vectors_RD: Floats
    identities_RC: Floats


def _known(references: Keyframes, identities: bool) -> _Known | None:
    faces = [
        (vectors_FD[0], identities_FC[0])
        for _, vectors_FD, _, identities_FC in of_pictures(references, identities)
        if len(vectors_FD)
    ]
    return _Known(*(np.stack(rows) for rows in zip(*faces, strict=True))) if faces else None


def _cast(story: str, shots: Sequence[Shot], known: Mapping[tuple[str, str], _Known]) -> Cast:
    return Cast(
        [shot.identities_FC for shot in shots],
        [[name for name in shot.placed.shot.characters if (story, name) in known] for shot in shots],
        {name: one.identities_RC for (other, name), one in known.items() if other == story},
    )


def _appearances(
    shots: Mapping[str, Sequence[Shot]], known: Mapping[tuple[str, str], _Known], same_face: float
) -> Samples:
    """ "story/shot.character" of each shot in which the script has a character -> whether it is shown."""
    told = {
        (story, name): np.array([name in shot.placed.shot.characters for shot in shots[story]], dtype=np.bool_)
        for story, name in known
        if story in shots
    }
    shown = {
        (story, name): consistency.presence(
            [shot.vectors_FD for shot in shots[story]], known[story, name].vectors_RD[0], same_face
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
