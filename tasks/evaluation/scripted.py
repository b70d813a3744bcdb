"""Metrics of results beside the stories that they were made of: who should be seen, how near, and alike whom.

One picture of each shot counts: the picture itself, the middle frame of its clip, or the middle one of its plots.
Shapes: T shots, F faces of D numbers, R reference pictures.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.captioner.colours import NAMES
from models.metrics import consistency, pictures, script
from models.metrics.characters import REASONS, Cast, assigned, identity_samples, occms
from models.metrics.clip import JointSpace
from models.metrics.figure import Floats, Measured, Samples, absent, joined, means_by_story
from models.metrics.keyframes import Keyframes, words
from models.metrics.networks import Vectors
from storage.stories.story import Placed, Story
from tasks.evaluation.stage import Looks


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


def measured(
    looks: Looks,
    results: Sequence[tuple[Keyframes, Sequence[int]]],
    scripts: Mapping[str, Story],
    references: Mapping[tuple[str, str], Keyframes],
    same_face: float,
) -> tuple[Measured, list[str]]:
    """The metrics of characters and of the script, and which stories don't count, and why.

    Args:
        results: keyframes of each story, and how many pictures each of its files has.
        scripts: by the story's name among the results.
        references: (story, character) -> its photographs.
        same_face: largest distance of two faces of one person.
    """
    stories = [one for one, _ in results]
    fitting, notes = _fitting(results, scripts)
    parts = [
        _by_faces(looks, fitting, scripts, references, same_face, "; ".join(notes)),
        _by_angle(looks, fitting, scripts),
        _by_camera(results, scripts),
        _by_speech(looks, stories, scripts),
        _by_style(looks, stories, references),
    ]
    return joined(parts), notes


def _fitting(
    results: Sequence[tuple[Keyframes, Sequence[int]]], scripts: Mapping[str, Story]
) -> tuple[list[tuple[Keyframes, list[int]]], list[str]]:
    """Stories that have a picture for each shot, with the rows of these pictures; and why other stories don't count."""
    fitting: list[tuple[Keyframes, list[int]]] = []
    notes = [f"the story {name!r} has no results" for name in scripts if name not in {one.story for one, _ in results}]
    for keyframes, clips in results:
        if keyframes.story not in scripts:
            notes.append(f"there is no story file for {keyframes.story!r}")
        elif isinstance(rows := picked(scripts[keyframes.story], clips), str):
            notes.append(f"{keyframes.story!r}: {rows}")
        else:
            fitting.append((keyframes, rows))
    return fitting, notes


def _by_faces(
    looks: Looks,
    fitting: Sequence[tuple[Keyframes, Sequence[int]]],
    scripts: Mapping[str, Story],
    references: Mapping[tuple[str, str], Keyframes],
    same_face: float,
    notes: str,
) -> Measured:
    said = words(looks.config, "faces")
    if reason := looks.gone.get("faces") or ("" if fitting else notes or "there are no results"):
        return Measured({name: absent(what, reason) for name, what in said.items()}, {})
    shots: dict[str, list[_Shot]] = {}
    for keyframes, rows in fitting:
        seen = list(_faces(keyframes.load("faces")))
        placed = scripts[keyframes.story].shots()
        shots[keyframes.story] = [_Shot(shot, *seen[row]) for shot, row in zip(placed, rows, strict=True)]
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
    samples |= identity_samples({story: _cast(story, some, known) for story, some in shots.items()})
    samples["lt_script"] = _appearances(shots, known, same_face)
    colours, ratios = _matches(shots, known)
    samples["clothes"], samples["relative_size"] = script.clothes(colours), script.relative_sizes(ratios)
    return means_by_story(said, samples, reasons)


def _by_angle(
    looks: Looks, fitting: Sequence[tuple[Keyframes, Sequence[int]]], scripts: Mapping[str, Story]
) -> Measured:
    """From where the camera looks, as CLIP sees it, beside the script."""
    what = {"camera_angle": script.WHAT["camera_angle"]}
    named = {
        f"{one.story}/{placed.number}": script.angle_named(placed.shot.size)
        for one, _ in fitting
        for placed in scripts[one.story].shots()
    }
    seen: dict[str, int | None] = {}
    if any(angle is not None for angle in named.values()):
        if reason := looks.gone.get("clip"):
            return Measured({name: absent(words, reason) for name, words in what.items()}, {})
        told_AE = JointSpace(looks.config.clip).read(script.ANGLES)
        for one, rows in fitting:
            pictures_NE = one.load("clip")["pictures"]
            seen |= {f"{one.story}/{n}": script.angle_seen(pictures_NE[row], told_AE) for n, row in enumerate(rows, 1)}
    return means_by_story(what, {"camera_angle": script.camera_angles(named, seen) if seen else {}}, script.REASONS)


def _by_camera(results: Sequence[tuple[Keyframes, Sequence[int]]], scripts: Mapping[str, Story]) -> Measured:
    """Whether the camera moves as the script says, of stories that have a video for each shot."""
    named, seen = dict[str, str | None](), dict[str, str]()
    for one, clips in results:
        moves = one.load("camera")
        shots = list(scripts[one.story].shots()) if one.story in scripts else []
        if moves and len(clips) == len(shots):
            named |= {f"{one.story}/{placed.number}": script.move_named(placed.shot.size) for placed in shots}
            seen |= {
                f"{one.story}/{number}": script.move_seen(camera_3) for number, camera_3 in enumerate(moves["moves"], 1)
            }
    return means_by_story({"camera": script.WHAT["camera"]}, {"camera": script.camera(named, seen)}, script.REASONS)


def _by_speech(looks: Looks, stories: Sequence[Keyframes], scripts: Mapping[str, Story]) -> Measured:
    """What a recogniser hears of each story's videos beside the lines of its script."""
    what = {"narration": script.WHAT["narration"]}
    if "speech" in looks.gone:
        return Measured({"narration": absent(what["narration"], looks.gone["speech"])}, {})
    heard, told = dict[str, str](), dict[str, str]()
    for one in stories:
        letters = one.load("speech")
        if letters and one.story in scripts:
            heard[one.story] = letters["words"].astype(np.uint8).tobytes().decode(errors="replace")
            lines = [line.text for placed in scripts[one.story].shots() for line in placed.shot.lines]
            told[one.story] = " ".join(lines)
    reasons = script.REASONS if heard else {"narration": "no video has a story"}
    return means_by_story(what, {"narration": script.narration(heard, told)}, reasons)


def _by_style(looks: Looks, stories: Sequence[Keyframes], references: Mapping[tuple[str, str], Keyframes]) -> Measured:
    """CSD cross: styles of keyframes beside those of the photographs of their story's cast."""
    what, samples = pictures.WHAT["csd_cross"], Samples()
    if "style" in looks.gone:
        return Measured({"csd_cross": absent(what, looks.gone["style"])}, {})
    for one in stories:
        given = [other.load("style")["style"] for (story, _), other in references.items() if story == one.story]
        if given and len(one.ids):
            alike_NR = pictures.unit(one.load("style")["style"]) @ pictures.unit(np.concatenate(given)).T
            samples |= dict(zip(one.ids, alike_NR.mean(axis=1).tolist(), strict=True))
    return means_by_story({"csd_cross": what}, {"csd_cross": samples}, {"csd_cross": "no story has photographs"})


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


def _appearances(
    shots: Mapping[str, Sequence[_Shot]], known: Mapping[tuple[str, str], Floats], same_face: float
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
