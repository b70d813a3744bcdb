"""Metrics of results beside the stories that they were made of: who should be seen, how near, and alike whom.

One picture of each shot counts: the picture itself, the middle frame of its clip, or the middle one of its plots.
Shapes: T shots, F faces of D numbers, R reference pictures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.captioner.colours import NAMES
from models.metrics import consistency, pictures, script
from models.metrics.characters import Cast, assigned, identities, occm
from models.metrics.figure import Figure, Floats, absent, mean
from models.metrics.keyframes import Keyframes
from models.metrics.networks import Vectors
from storage.stories.story import Placed, Story
from tasks.evaluation.stage import Looks

NAMES_OF_METRICS = {
    "occm": "OCCM: 100 where as many characters are shown as the script has, less otherwise",
    "cids_cross": "CIDS cross: cosine of a character and its references, more is better",
    "cids_self": "CIDS self: cosine of a character in two shots, more is better",
    "copy_paste": "copy-paste, less is better",
    "lt_script": "LT: share of the shots in which the script has a character that show it, more is better",
    "shot_size": "shot size",
    "clothes": "clothes",
    "relative_size": "relative size",
}


@dataclass(frozen=True)
class _Shot:
    """What one picture of a shot shows, and what it should."""

    placed: Placed
    boxes_F4: Floats
    vectors_FD: Floats
    clothes_F: Floats


def picked(story: Story, clips: Sequence[int]) -> list[int] | str:
    """Which picture stands for each shot, or why that can't be told.

    Args:
        clips: pictures of each file, one for a picture.
    """
    shots = list(story.shots())
    plots = [max(1, len(one.shot.plots)) for one in shots]
    starts = np.concatenate([[0], np.cumsum(clips)])
    if len(clips) == len(shots):
        return [int(starts[place] + count // 2) for place, count in enumerate(clips)]
    if len(clips) == sum(plots) and set(clips) <= {1}:
        firsts = np.concatenate([[0], np.cumsum(plots)])
        return [int(firsts[place] + count // 2) for place, count in enumerate(plots)]
    return f"{len(clips)} files don't match the {len(shots)} shots and {sum(plots)} plots of the story"


def figures(
    looks: Looks,
    results: Sequence[tuple[Keyframes, Sequence[int]]],
    scripts: Mapping[str, Story],
    references: Mapping[tuple[str, str], Keyframes],
    same_face: float,
) -> dict[str, Figure]:
    """The metrics of characters and of the script.

    Args:
        results: keyframes of each story, and how many pictures each of its files has.
        scripts: by the story's name among the results.
        references: (story, character) -> its photographs.
        same_face: largest distance of two faces of one person.
    """
    shots: dict[str, list[_Shot]] = {}
    notes = [f"the story {name!r} has no results" for name in scripts if name not in {one.story for one, _ in results}]
    for keyframes, clips in results:
        if keyframes.story not in scripts:
            notes.append(f"there is no story file for {keyframes.story!r}")
            continue
        story = scripts[keyframes.story]
        rows = picked(story, clips)
        if isinstance(rows, str):
            notes.append(f"{keyframes.story!r}: {rows}")
            continue
        seen = list(_faces(keyframes.load("faces")))
        shots[keyframes.story] = [_Shot(placed, *seen[row]) for placed, row in zip(story.shots(), rows, strict=True)]
    if "faces" in looks.gone or not shots:
        reason = looks.gone.get("faces") or "; ".join(notes) or "there are no results"
        return {name: absent(what, reason) for name, what in NAMES_OF_METRICS.items()}
    known = {key: _known(one) for key, one in references.items()}
    known = {key: vectors_RD for key, vectors_RD in known.items() if len(vectors_RD)}
    every = [(story, shot) for story, some in shots.items() for shot in some]
    stories = [story for story, _ in every]
    found = {
        "occm": occm(
            [len(shot.boxes_F4) for _, shot in every], [len(shot.placed.shot.characters) for _, shot in every]
        ),
        "shot_size": script.shot_size(
            [script.size_named(shot.placed.shot.size) for _, shot in every],
            [script.size_seen(shot.boxes_F4) for _, shot in every],
            stories,
        ),
    }
    nobody = "no member of the cast has a photograph with a face"
    if not known:
        lost = [name for name in NAMES_OF_METRICS if name not in found]
        return found | {name: absent(NAMES_OF_METRICS[name], nobody) for name in lost}
    found |= identities({story: _cast(story, some, known) for story, some in shots.items()})
    found["lt_script"] = _long_term(shots, known, same_face)
    colours, ratios = _matches(shots, known)
    found["clothes"], found["relative_size"] = script.clothes(colours), script.relative_size(ratios)
    return found


def style_cross(stories: Sequence[Keyframes], references: Mapping[tuple[str, str], Keyframes]) -> Figure:
    """CSD cross: styles of keyframes beside those of the photographs of their story's cast."""
    what, values, names = pictures.WHAT["csd_cross"], list[float](), list[str]()
    for one in stories:
        given = [other.load("style")["style"] for (story, _), other in references.items() if story == one.story]
        if given and len(one.ids):
            alike_NR = pictures.unit(one.load("style")["style"]) @ pictures.unit(np.concatenate(given)).T
            values += alike_NR.mean(axis=1).tolist()
            names += [one.story] * len(alike_NR)
    return mean(values, what, names) if values else absent(what, "no story has photographs")


def narration(looks: Looks, stories: Sequence[Keyframes], scripts: Mapping[str, Story]) -> Figure:
    """What a recogniser hears of each story's videos beside the lines of its script."""
    if "speech" in looks.gone:
        return absent(script.NARRATION, looks.gone["speech"])
    heard, told, names = list[str](), list[str](), list[str]()
    for one in stories:
        words = one.load("speech")
        if words and one.story in scripts:
            heard.append(words["words"].astype(np.uint8).tobytes().decode(errors="replace"))
            lines = [line.text for placed in scripts[one.story].shots() for line in placed.shot.lines]
            told.append(" ".join(lines))
            names.append(one.story)
    if not heard:
        return absent(script.NARRATION, "no video has a story")
    return script.narration(heard, told, names)


def _faces(vectors: Vectors) -> Iterator[tuple[Floats, Floats, Floats]]:
    """Boxes, vectors and clothes of each picture's faces."""
    ends = np.cumsum(vectors["counts"].astype(np.int64))
    for start, end in zip(np.concatenate([[0], ends[:-1]]), ends, strict=True):
        yield vectors["boxes"][start:end], vectors["faces"][start:end], vectors["clothes"][start:end]


def _known(references: Keyframes) -> Floats:
    """[R, D] the largest face of each photograph."""
    faces = [vectors_FD[0] for _, vectors_FD, _ in _faces(references.load("faces")) if len(vectors_FD)]
    return np.stack(faces) if faces else np.zeros((0, 1), np.float32)


def _cast(story: str, shots: Sequence[_Shot], known: Mapping[tuple[str, str], Floats]) -> Cast:
    return Cast(
        [shot.vectors_FD for shot in shots],
        [_expected(story, shot, known) for shot in shots],
        {name: vectors_RD for (other, name), vectors_RD in known.items() if other == story},
    )


def _expected(story: str, shot: _Shot, known: Mapping[tuple[str, str], Floats]) -> list[str]:
    return [name for name in dict.fromkeys(shot.placed.shot.characters) if (story, name) in known]


def _long_term(
    shots: Mapping[str, Sequence[_Shot]], known: Mapping[tuple[str, str], Floats], same_face: float
) -> Figure:
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
    return consistency.long_term(told, shown).model_copy(update={"what": NAMES_OF_METRICS["lt_script"]})


def _matches(
    shots: Mapping[str, Sequence[_Shot]], known: Mapping[tuple[str, str], Floats]
) -> tuple[dict[tuple[str, str], list[str]], dict[tuple[str, str, str], list[float]]]:
    """Colours of clothes, and ratios of the heights of two faces, of the characters that shots show."""
    colours: dict[tuple[str, str], list[str]] = {}
    ratios: dict[tuple[str, str, str], list[float]] = {}
    for story, some in shots.items():
        for shot in some:
            names = _expected(story, shot, known)
            if not names or not len(shot.vectors_FD):
                continue
            vectors_FD = pictures.unit(shot.vectors_FD)
            alike_FE = np.stack([(vectors_FD @ pictures.unit(known[story, one]).T).max(axis=1) for one in names], 1)
            places = sorted((names[column], row) for row, column in assigned(alike_FE))
            for name, row in places:
                if shot.clothes_F[row] >= 0:
                    colours.setdefault((story, name), []).append(NAMES[int(shot.clothes_F[row])])
            tall_F = shot.boxes_F4[:, 3] - shot.boxes_F4[:, 1]
            for place, (name, row) in enumerate(places):
                for other, second in places[place + 1 :]:
                    ratios.setdefault((story, name, other), []).append(float(tall_F[row] / tall_F[second]))
    return colours, ratios
