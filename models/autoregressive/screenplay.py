"""Reads a user's own script and encodes it for the autoregressive model, keyframe by keyframe.

Nothing is dropped silently: whatever can't be used as it is written is reported in a note, which names the keyframes
and what to do. A file that is not a script raises ValueError.
"""

import json
import re
import textwrap
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Annotated, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from models.autoregressive.script_tokens import CHARACTER, PLOT, SCENE_ELEMENT, FrameScript
from models.sentence import SentenceEncoder
from models.text.unique import unique
from models.writer.script import MOST_CHARACTERS, MOST_PLOTS, MOST_SCENE_ELEMENTS

SOMEBODY = "A person."
_ENGLISH = re.compile("an?|the|in|on|of|with|and|is|are|to|at|by|from|for|as|its?|s?he|they|his|her|their")
_FEWEST_WORDS = 8  # fewer words don't show a language
_ENGLISH_SHARE = 1 / 8  # smallest share of words that are in `_ENGLISH`
T = TypeVar("T")


def _readable(text: object) -> object:
    for mark in text if isinstance(text, str) else "":
        if unicodedata.category(mark) in {"Cc", "Cs"} and mark not in "\t\n\r":
            what = "a control character" if unicodedata.category(mark) == "Cc" else "a lone surrogate"
            raise ValueError(f"{mark!r} is {what}: remove it")
    return text


Text = Annotated[str, BeforeValidator(_readable)]
"""Text without control characters and lone surrogates."""


class Character(BaseModel):
    """A person in a keyframe; `face` is the name of a face that is given with the script, or ""."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    description: Text = ""
    face: Text = ""


class Keyframe(BaseModel):
    """What one keyframe shows. Each sentence takes one slot, whatever its length."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    characters: tuple[Character, ...] = ()
    scene_elements: tuple[Text, ...] = ()
    plots: tuple[Text, ...] = ()


class Screenplay(BaseModel):
    """A whole movie. Its JSON is {"keyframes": [{"characters": [{"description": ..., "face": ...}], ...}, ...]}."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    keyframes: tuple[Keyframe, ...] = Field(min_length=1)


def read(text: str) -> Screenplay:
    """The screenplay of a JSON text, which may start with a byte order mark.

    Raises:
        ValueError: quotes the fault and says where it is.
    """
    try:
        return Screenplay.model_validate(json.loads(text.removeprefix("\ufeff"), object_pairs_hook=unique))
    except json.JSONDecodeError as error:
        raise ValueError(f"this is not JSON: {error}") from error
    except RecursionError:
        raise ValueError(f"its brackets are nested too deeply: {text[:40]!r}...") from None
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"])) or "the script"
        if len(wrong["loc"]) > 1:
            place = f"keyframe {int(wrong['loc'][1]) + 1}, {place}"
        said = wrong["msg"].removeprefix("Value error, ")
        raise ValueError(f"{place}: {said[:1].lower()}{said[1:]}, got {wrong['input']!r:.80}") from error


def encode(
    screenplay: Screenplay, encoder: SentenceEncoder, faces: Mapping[str, NDArray[np.float32]], face_width: int
) -> tuple[list[FrameScript], list[str]]:
    """(a script for each keyframe, notes for the user).

    Of each keyframe, the first five characters, seven scene elements and three plots are used. Characters with a face
    come first, because the i-th face belongs to the i-th description.

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
        notes.append(f"{len(keyframe.characters) - len(seen)} characters without a description or a face are left out")
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
        notes.append("the script is empty, so this keyframe follows from the earlier ones alone")
    elif not described:
        notes.append("no characters, so the script doesn't say who is seen")
    if sentences and not plots:
        notes.append("no plots, so the script doesn't say what happens, and there is no subtitle")
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
        notes.append(f"{len(items)} {what}, but only the first {most} are used: put the most important ones first")
    return items[:most]


def _said(what: str, texts: Sequence[str], notes: list[str]) -> list[str]:
    said = [text for text in texts if text.strip()]
    if len(said) < len(texts):
        notes.append(f"{len(texts) - len(said)} empty {what} are left out")
    return said


def _description(character: Character, notes: list[str]) -> str:
    if character.description.strip():
        return character.description
    notes.append(f"{character.face!r} has no description: {SOMEBODY!r} is used")
    return SOMEBODY


def _face(
    character: Character, faces: Mapping[str, NDArray[np.float32]], notes: list[str]
) -> NDArray[np.float32] | None:
    if character.face in faces:
        return faces[character.face]
    if character.face:
        given = ", ".join(sorted(faces)[:10]) or "none"
        notes.append(f"no face is called {character.face!r}: only the description is used. Given faces: {given}")
    else:
        who = textwrap.shorten(character.description, 60, placeholder=" ...")
        notes.append(f"no face for {who!r}: only the description is used")
    return None


def _doubt(text: str, encoder: SentenceEncoder) -> str:
    """Why an encoder that learnt from English captions may not understand a text; "" if it should."""
    letters = [mark for mark in text if mark.isalpha()]
    if not letters:
        return f"{text[:60]!r} has no words, so {encoder.name} can't understand it"
    latin = sum(unicodedata.name(mark, "").startswith("LATIN") for mark in letters)
    if latin < len(letters) / 2:
        return f"{text[:60]!r} is not in Latin letters, and {encoder.name} learnt from English: translate it"
    return ""


def _foreign(screenplay: Screenplay, encoder: SentenceEncoder) -> list[str]:
    """A note on a script in Latin letters with hardly any of the most frequent English words."""
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
        f"this doesn't look like English: {' '.join(words)[:60]!r}...; {encoder.name} learnt from English, and "
        "pictures won't show what it doesn't understand: translate the script, or write whole sentences"
    ]
