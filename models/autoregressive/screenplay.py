"""A user's own script, keyframe by keyframe, as what the autoregressive model reads; and what was done with the rest.

Nothing that a user writes is dropped in silence: whatever does not enter the script as it stands is told in a note
that names its keyframes and the cure. What is no script at all is a ValueError.
"""

import json
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from models.autoregressive.script_tokens import CHARACTER, PLOT, SCENE_ELEMENT, FrameScript
from models.sentence import SentenceEncoder
from models.writer.script import MOST_CHARACTERS, MOST_PLOTS, MOST_SCENE_ELEMENTS

SOMEBODY = "A person."
_ENGLISH = re.compile("an?|the|in|on|of|with|and|is|are|to|at|by|from|for|as|its?|s?he|they|his|her|their")
_FEWEST_WORDS = 8  # by which a language shows
_ENGLISH_SHARE = 1 / 8  # of words that are in `_ENGLISH`, at least
T = TypeVar("T")


def _readable(text: object) -> object:
    for mark in text if isinstance(text, str) else "":
        if unicodedata.category(mark) in {"Cc", "Cs"} and mark not in "\t\n\r":
            what = "a control character" if unicodedata.category(mark) == "Cc" else "half of a character"
            raise ValueError(f"{mark!r} is {what}: leave it out")
    return text


Text = Annotated[str, BeforeValidator(_readable)]
"""What can be shown and written: no control characters, no lone surrogates."""


class Character(BaseModel):
    """Somebody who is seen; `face` names one of the faces that go with the script, "" is a face not given."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: Text = ""
    face: Text = ""


class Keyframe(BaseModel):
    """What one keyframe shows. Each description becomes one token, whatever its length."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    characters: tuple[Character, ...] = ()
    scene_elements: tuple[Text, ...] = ()
    plots: tuple[Text, ...] = ()


class Screenplay(BaseModel):
    """A whole movie; as JSON {"keyframes": [{"characters": [{"description": ..., "face": ...}], ...}, ...]}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keyframes: tuple[Keyframe, ...] = Field(min_length=1)


def read(text: str) -> Screenplay:
    """The screenplay in a JSON text, which may start with a byte order mark.

    Raises:
        ValueError: quoting what is wrong, and where.
    """
    try:
        return Screenplay.model_validate(json.loads(text.removeprefix("\ufeff"), object_pairs_hook=_object))
    except json.JSONDecodeError as error:
        raise ValueError(f"a script is JSON, and this is not: {error}") from error
    except RecursionError:
        raise ValueError(f"its brackets stand too deep in each other, got {text[:40]!r}...") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"])) or "the script"
        if len(wrong["loc"]) > 1:
            place = f"keyframe {int(wrong['loc'][1]) + 1}, {place}"
        said = wrong["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {said[:1].lower()}{said[1:]}, got {wrong['input']!r:.80}") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object; json itself would keep the last of two values with one name and drop the first."""
    made = dict(pairs)
    if len(made) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice!r} stands twice in {pairs!r:.80}: join the two")
    return made


def encode(
    screenplay: Screenplay, encoder: SentenceEncoder, faces: Mapping[str, NDArray[np.float32]], face_width: int
) -> tuple[list[FrameScript], list[str]]:
    """(a script for each keyframe, notes for the user).

    The first five characters enter, those with a face in front (the i-th face stands beside the i-th description),
    then seven scene elements and three plots. A character without a face is told by its description alone.

    Args:
        faces: the embedding [face_width] of each face by its name.
    """
    scripts: list[FrameScript] = []
    told: dict[str, list[int]] = {}  # note -> numbers of its keyframes
    for number, keyframe in enumerate(screenplay.keyframes, start=1):
        notes: list[str] = []
        scripts.append(_encode(f"keyframe {number}", keyframe, encoder, faces, face_width, notes))
        for note in dict.fromkeys(notes):
            told.setdefault(note, []).append(number)
    foreign = _foreign(screenplay, encoder)
    return scripts, [*foreign, *(f"{_numbered(numbers)}: {note}" for note, numbers in told.items())]


def _numbered(numbers: Sequence[int]) -> str:
    """ "keyframe 4" or "keyframes 1-3, 7"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    spans = ", ".join(f"{run[0]}-{run[-1]}" if len(run) > 1 else str(run[0]) for run in runs)
    return f"keyframes {spans}" if len(numbers) > 1 else f"keyframe {spans}"


def _encode(
    name: str,
    keyframe: Keyframe,
    encoder: SentenceEncoder,
    faces: Mapping[str, NDArray[np.float32]],
    face_width: int,
    notes: list[str],
) -> FrameScript:
    seen = [one for one in keyframe.characters if one.description.strip() or one.face]
    if len(seen) < len(keyframe.characters):
        notes.append(f"{len(keyframe.characters) - len(seen)} characters without a word or a face are left out")
    characters = _first("characters", seen, MOST_CHARACTERS, notes)
    described = [(_description(one, notes), _face(one, faces, notes)) for one in characters]
    described.sort(key=lambda pair: pair[1] is None)
    scene = _first(
        "scene elements", _said("scene elements", keyframe.scene_elements, notes), MOST_SCENE_ELEMENTS, notes
    )
    plots = _first("plots", _said("plots", keyframe.plots, notes), MOST_PLOTS, notes)
    sentences = [*(text for text, _ in described), *scene, *plots]
    kinds = [CHARACTER] * len(described) + [SCENE_ELEMENT] * len(scene) + [PLOT] * len(plots)
    if not sentences:
        notes.append("nothing says what is seen, so what stands in the keyframes before alone decides")
    elif not described:
        notes.append("no characters, so nothing says who is seen")
    if sentences and not plots:
        notes.append("no plots, so nothing says what happens, and no subtitle is shown")
    notes.extend(note for text in sentences if (note := _doubt(text, encoder)))
    notes.extend(
        f"too long for {encoder.name}, only its first words are read: {text[:60]!r}...; write shorter sentences"
        for text in encoder.too_long(sentences)
    )
    known = [face for _, face in described if face is not None]
    return FrameScript(
        name,
        encoder.encode(sentences) if sentences else np.zeros((0, encoder.width), np.float32),
        np.array(kinds, np.int8),
        np.stack(known).astype(np.float32) if known else np.zeros((0, face_width), np.float32),
    )


def _first(what: str, items: Sequence[T], most: int, notes: list[str]) -> Sequence[T]:
    if len(items) > most:
        notes.append(f"{len(items)} {what}, of which the first {most} enter: put the most important ones first")
    return items[:most]


def _said(what: str, texts: Sequence[str], notes: list[str]) -> list[str]:
    said = [text for text in texts if text.strip()]
    if len(said) < len(texts):
        notes.append(f"{len(texts) - len(said)} empty {what} are left out")
    return said


def _description(character: Character, notes: list[str]) -> str:
    if character.description.strip():
        return character.description
    notes.append(f"{character.face!r} has no description, {SOMEBODY!r} stands in for it")
    return SOMEBODY


def _face(
    character: Character, faces: Mapping[str, NDArray[np.float32]], notes: list[str]
) -> NDArray[np.float32] | None:
    if character.face in faces:
        return faces[character.face]
    if character.face:
        given = ", ".join(sorted(faces)[:10]) or "none"
        notes.append(f"nobody is called {character.face!r}; words alone describe them. Faces given: {given}")
    else:
        who = textwrap.shorten(character.description, 60, placeholder=" ...")
        notes.append(f"no face for {who!r}, words alone describe them")
    return None


def _doubt(text: str, encoder: SentenceEncoder) -> str:
    """What an encoder that learnt from English captions may not understand; "" when nothing stands out."""
    letters = [mark for mark in text if mark.isalpha()]
    if not letters:
        return f"{text[:60]!r} has no words, {encoder.name} can hardly tell what it means"
    latin = sum(unicodedata.name(mark, "").startswith("LATIN") for mark in letters)
    if latin < len(letters) / 2:
        return f"{text[:60]!r} is not in Latin letters, and {encoder.name} learnt from English: translate it"
    return ""


def _foreign(screenplay: Screenplay, encoder: SentenceEncoder) -> list[str]:
    """A note on a script in Latin letters that hardly has a word which no English text does without."""
    texts = [
        text
        for one in screenplay.keyframes
        for text in (*(character.description for character in one.characters), *one.scene_elements, *one.plots)
    ]
    words = [word for text in texts if not _doubt(text, encoder) for word in re.findall(r"[^\W\d_]+", text.lower())]
    if (
        len(words) < _FEWEST_WORDS
        or sum(bool(_ENGLISH.fullmatch(word)) for word in words) >= len(words) * _ENGLISH_SHARE
    ):
        return []
    return [
        f"this doesn't look like English: {' '.join(words)[:60]!r}...; {encoder.name} learnt from English, and what it "
        "doesn't understand the pictures won't show: translate it, or write whole sentences"
    ]
