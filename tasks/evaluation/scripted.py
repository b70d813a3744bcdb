"""Metrics of results beside the stories that they were made of: who should be seen, how near, and alike whom.

One picture of each shot counts: the picture itself, the middle frame of its clip, or the middle one of its plots.
Shapes: A angles, N keyframes, R reference pictures, E numbers of an embedding.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from models.metrics import characters, pictures, script
from models.metrics.clip import JointSpace
from models.metrics.figure import Measured, Samples, absent, joined, means_by_story
from models.metrics.keyframes import Keyframes, words
from storage.stories.story import Story
from tasks.evaluation import faces
from tasks.evaluation.stage import Looks


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
    faceless = [] if "faces" in looks.gone else _faceless([one.story for one, _ in fitting], scripts, references)
    parts = [
        _by_faces(looks, fitting, scripts, references, same_face, "; ".join(notes)),
        _by_angle(looks, fitting, scripts),
        _by_camera(stories, scripts),
        _by_speech(looks, stories, scripts),
        _by_style(looks, stories, references),
    ]
    return joined(parts), [*notes, *faceless]


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


def _faceless(
    stories: Sequence[str], scripts: Mapping[str, Story], references: Mapping[tuple[str, str], Keyframes]
) -> list[str]:
    """Which characters can't be recognised, story by story."""
    notes = []
    for story in stories:
        named = dict.fromkeys(name for placed in scripts[story].shots() for name in placed.shot.characters)
        given = {name: references.get((story, name)) for name in named}
        if lost := [name for name, one in given.items() if one is None or not len(one.load("faces")["faces"])]:
            notes.append(f"{story!r}: {', '.join(map(repr, lost))} can't be recognised: no photograph shows the face")
    return notes


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
    several = "identity" in looks.keys
    shots: dict[str, list[faces.Shot]] = {}
    for keyframes, rows in fitting:
        seen = list(faces.of_pictures(keyframes, several))
        placed = scripts[keyframes.story].shots()
        shots[keyframes.story] = [faces.Shot(shot, *seen[row]) for shot, row in zip(placed, rows, strict=True)]
    found = faces.measured(said, shots, references, same_face, several)
    if not (gone := looks.gone.get("identity")):
        return found
    lost = {name: absent(said[name], gone) for name in characters.OF_IDENTITY}
    return Measured(found.figures | lost, {name: some for name, some in found.samples.items() if name not in lost})


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


def _by_camera(stories: Sequence[Keyframes], scripts: Mapping[str, Story]) -> Measured:
    """Whether the camera moves as the script says, of stories that have a video for each shot."""
    named, seen = dict[str, str | None](), dict[str, str]()
    for one in stories:
        moves = one.load("camera")
        shots = list(scripts[one.story].shots()) if one.story in scripts else []
        if moves and len(moves["moves"]) == len(shots):
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
