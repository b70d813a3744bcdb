"""The prompt for a keyframe's script, the JSON schema of the answer, and its validation."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from models.server import Message
from models.text import prompts as texts
from models.text.answers import json_value, prose
from models.text.chat import AnswerError
from models.text.sentences import MOST_TOKENS, fitted, split, tokens
from models.writer.script import MOST_CHARACTERS, MOST_PLOTS, MOST_SCENE_ELEMENTS, Script
from models.writer.writer import PROMPTS, ScriptFacts

LONGEST = 300  # characters of a sentence
STEM = 5  # words with the same first letters count as equal: walks, walking
SHORTEST = 3  # letters of a word that counts; shorter ones are function words
MANY_CAPITALS = 0.15  # share of capitalised words above which a language capitalises more than names
SECTIONS = {"scene_elements": MOST_SCENE_ELEMENTS, "plots": MOST_PLOTS}


def schema() -> Mapping[str, Any]:
    """The JSON schema of an answer."""
    sentence = {"type": "string", "minLength": 1, "maxLength": LONGEST}
    lists = {name: {"type": "array", "items": sentence, "maxItems": most} for name, most in SECTIONS.items()}
    return {"type": "object", "properties": lists, "required": list(lists), "additionalProperties": False}


def messages(facts: ScriptFacts, prompts: Mapping[str, str]) -> list[Message]:
    """The chat that asks for the script of one keyframe."""
    task = prompts["task"].format(
        frame=facts.frame_caption.strip(),
        characters="\n".join(f"- {caption}" for caption in facts.character_captions) or "(nobody is seen)",
        most_scene_elements=MOST_SCENE_ELEMENTS,
        most_plots=MOST_PLOTS,
    )
    return [{"role": "system", "content": prompts["system"]}, {"role": "user", "content": task}]


def script(facts: ScriptFacts, text: str, cut: bool, grounded: float) -> Script:
    """The script in an answer; its characters are the captions of the persons (app. C).

    Raises:
        AnswerError: as models.text.answers.json_value; the JSON doesn't match the schema; there are no, too many, too
            long or ungrounded sentences, invented names, a refusal, or sentences of the prompt.
    """
    lists = _lists(text, cut)
    captions = " ".join([facts.frame_caption, *facts.character_captions])
    said: dict[str, tuple[str, ...]] = {}
    for name, most in SECTIONS.items():
        said[name] = _sentences(name, lists[name], most)
        for sentence in said[name]:
            _check(sentence, captions, grounded)
    scene_elements = said["scene_elements"]
    plots = tuple(sentence for sentence in said["plots"] if sentence not in scene_elements)
    if not scene_elements + plots:
        raise AnswerError("both lists are empty")
    characters = tuple(map(fitted, facts.character_captions[:MOST_CHARACTERS]))
    return Script(facts.row_id, characters, scene_elements, plots, written_by="llm")


def _lists(text: str, cut: bool) -> Mapping[str, list[str]]:
    lists = json_value(text, cut)
    if not isinstance(lists, dict) or set(lists) != set(SECTIONS):
        raise AnswerError(f"it is not a JSON object of {' and '.join(SECTIONS)}")
    for name, said in lists.items():
        if not isinstance(said, list) or not all(isinstance(one, str) for one in said):
            raise AnswerError(f"{name} is not a list of sentences")
    return lists


def _sentences(name: str, entries: Sequence[str], most: int) -> tuple[str, ...]:
    """The sentences of all entries, without duplicates; an entry may have several."""
    if any(not any(letter.isalpha() for letter in entry) for entry in entries):
        raise AnswerError(f"{name} has an entry without words")
    instructions = texts.read(PROMPTS).values()
    said = tuple(dict.fromkeys(one for entry in entries for one in split(prose(entry, False, instructions))))
    if len(said) > most:
        raise AnswerError(f"{name} has {len(said)} sentences, at most {most} fit")
    return said


def _check(sentence: str, captions: str, grounded: float) -> None:
    if len(sentence) > LONGEST or (len(sentence.encode()) + 2 > MOST_TOKENS and tokens(sentence) > MOST_TOKENS):
        raise AnswerError(f"a sentence is longer than {LONGEST} characters or {MOST_TOKENS} tokens: {sentence[:60]!r}")
    if names := invented_names(sentence, captions):
        raise AnswerError(f"the descriptions have no {names[0]!r}")
    share = support(sentence, captions)
    if share < grounded:
        raise AnswerError(f"only {share:.0%} of the words of {sentence[:80]!r} stand in the descriptions")


def support(sentence: str, captions: str) -> float:
    """The share of a sentence's words that are in the captions, 0-1; for languages without spaces (Chinese, Japanese,
    Thai) of its pairs of letters. 1 if there is nothing to count."""
    mine, theirs = _stems(sentence), _stems(captions)
    return sum(stem in theirs for stem in mine) / len(mine) if mine else 1.0


def invented_names(sentence: str, captions: str) -> list[str]:
    """Capitalised words inside a sentence that no caption has; [] if the language capitalises other words too."""
    inside = _inside(captions)
    capitals = sum(word[0].isupper() for word in inside)
    if inside and capitals > MANY_CAPITALS * len(inside):
        return []
    known = {word.casefold() for word in _words(captions)}
    said = [word.removesuffix("'s").removesuffix("’s") for word in _inside(sentence)]
    return [word for word in said if word[:1].isupper() and word.casefold() not in known and len(word) > 1]


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_][\w'’-]*", text)


def _inside(text: str) -> list[str]:
    """Words that don't begin a sentence or a quotation."""
    return re.findall(r"(?<=[^\s.!?…\"“«'‘(] )[^\W\d_][\w'’-]*", text)


def _stems(text: str) -> set[str]:
    stems: set[str] = set()
    for word in _words(text):
        if _without_spaces(word):
            stems.update(word[i : i + 2] for i in range(len(word) - 1))
        elif len(word) >= SHORTEST:
            stems.add(word.casefold()[:STEM])
    return stems


def _without_spaces(letters: Iterable[str]) -> bool:
    """Whether there are Thai, Lao, kana or Chinese characters."""
    return any("\u0e00" <= one <= "\u0eff" or "\u3040" <= one <= "\u9fff" for one in letters)
