"""A synopsis as a story: each of its sentences is a plot, word for word, and all else is found by rules.

The narrator speaks each sentence, unless somebody in it does. Lines that begin with # are the title and headings of
scenes; `Ada: an old woman in a red coat` describes somebody, and `Ada: "Good evening."` is said. A new scene begins at
a heading, at a paragraph, and where a sentence names another place. Nothing here depends on a model or on chance: the
same text is the same story.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from heapq import heapify, heapreplace
from itertools import count

from drawn.places import KINDS
from models.text.sentences import split
from models.writer.choices import Choice, Chooser
from storage.errors import ConfigError
from storage.printable import cut, printable
from storage.stories.names import finder
from storage.stories.story import Line, Named, Scene, Shot, Story
from storage.stories.text import normal
from storage.stories.values import LONGEST, LONGEST_NAME
from tasks.movies.synopsis.cast import bare, cast_of, is_place, names_in
from tasks.movies.synopsis.words import (
    CLOSE,
    COLON,
    ENDED,
    ENGLISH,
    ENOUGH,
    FEW_ENGLISH,
    HEADING,
    KIND,
    LONGEST_PERSON,
    MOOD_WORDS,
    NAME,
    NEAR,
    OUTSIDE,
    QUOTED,
    TIMES,
    TITLE,
)

SIZES = ("wide shot", "medium shot", "close-up")
"""Of shots, from far to near."""
FAR = ("wide shot", "very wide shot")
"""Of shots without people; nearer ones show some."""
FOREIGN = (
    "the text doesn't look English: its sentences are kept word for word, but people, places and scenes are found by "
    "English rules and may be missing or wrong. Check them, and describe each person in English on a line of its own, "
    "such as `Anna: an old woman in a red coat`"
)


@dataclass
class Written:
    """A story and what in it the synopsis doesn't say.

    Attributes:
        added: sentences about what was added.
        unsure: numbers of the shots whose size no rule decided.
    """

    story: Story
    added: list[str]
    unsure: list[int]


@dataclass
class _Sentence:
    text: str
    begins: bool  # a paragraph
    title: str = ""  # heading above it
    lines: list[Line] = field(default_factory=list)
    people: tuple[str, ...] = ()
    place: str = ""


def story_of(text: str, title: str, keyframes: int | None = None, verbatim: bool = False) -> Written:
    """The story of a synopsis.

    Args:
        title: where the text has none.
        keyframes: of the whole movie, at least one a sentence; None: one a sentence.
        verbatim: all plots are sentences of the synopsis, also those of keyframes beyond one a sentence, which
            otherwise show the people.

    Raises:
        ConfigError: a synopsis without a sentence, and fewer keyframes than it has.
    """
    text = unicodedata.normalize("NFC", text)
    title, described, sentences = _parsed(text, title)
    if not sentences:
        raise ConfigError("the synopsis has no sentence: write what happens, one sentence per keyframe")
    if keyframes is not None and keyframes < len(sentences):
        raise ConfigError(f"{len(sentences)} sentences need at least as many keyframes, got --keyframes {keyframes}")
    for one in sentences:
        if len(one.text) > LONGEST:
            raise ConfigError(f"a sentence of {len(one.text):,} characters is too long: {printable(one.text, 60)!r}")
    said = [one.text for one in sentences]
    every = list(dict.fromkeys([*described, *names_in(said)]))
    people = {name: _whole(name, every) if not described.get(name) else name for name in every}
    names = list(dict.fromkeys(people.values()))
    _see(sentences, people)
    places, added = _places(sentences, every)
    cast = cast_of(names, described, said, added)
    if _is_foreign(said):
        added.insert(0, FOREIGN)
    _speak(sentences, people)
    counts = iter(_counts([len(one.text) for one in sentences], keyframes or len(sentences)))
    seen_at = {place.name: place.description for place in places} if not verbatim else {}
    scenes: list[Scene] = []
    unsure: list[int] = []
    number = 0
    known: set[str] = set()  # places that were seen
    for of_scene in _scenes(sentences):
        shots: list[Shot] = []
        for sentence in of_scene:
            frames = next(counts)
            empty = seen_at.get(sentence.place, "") if frames > 1 and not shots else ""
            sure, size = _size(sentence, establishing=not (shots or empty or sentence.place in known))
            known.add(sentence.place)
            made = _shots(sentence, size, frames, empty, verbatim)
            unsure += [] if sure else [number + 1]
            number += len(made)
            shots += made
        texts = " ".join(one.text for one in of_scene)
        scenes.append(Scene(title=of_scene[0].title, place=of_scene[0].place, mood=_mood(texts), shots=tuple(shots)))
    return Written(Story(title=title, cast=cast, places=places, scenes=tuple(scenes)), added, unsure)


def chosen(written: Written, chooser: Chooser) -> tuple[Story, dict[int, str]]:
    """(the story with the sizes of shots that a model chose where no rule decided, comments by numbers of shots).

    A model chooses among the nearer sizes: rules find the shots that show a new place, and only those are wide.
    """
    placed = {one.number: one.shot for one in written.story.shots()}
    asked = [Choice(placed[number].plots[0], "The best camera for this is a", SIZES[1:]) for number in written.unsure]
    sizes = {number: size for number, size in zip(written.unsure, chooser.choose(asked), strict=True) if size}
    numbers = count(1)
    scenes = []
    for scene in written.story.scenes:
        pairs = [(next(numbers), shot) for shot in scene.shots]
        shots = tuple(shot.model_copy(update={"size": sizes.get(number, shot.size)}) for number, shot in pairs)
        scenes.append(scene.model_copy(update={"shots": shots}))
    heads = {number: f"{size}: chosen by {printable(chooser.name)}" for number, size in sizes.items()}
    return written.story.model_copy(update={"scenes": tuple(scenes)}), heads


def _parsed(text: str, title: str) -> tuple[str, dict[str, str], list[_Sentence]]:
    """(title, descriptions by name, sentences)."""
    paragraphs = [part for part in re.split(r"\n[ \t]*\n", text) if part.strip()]
    first = paragraphs[0].strip() if paragraphs else ""
    if found := TITLE.fullmatch(first.split("\n")[0].strip()):
        title = found["title"]
        paragraphs[0] = first.partition("\n")[2]
    elif (
        "\n" not in first
        and len(first) <= 80
        and not ENDED.search(first)
        and paragraphs[1:]
        and not _is_person(COLON.fullmatch(first))
    ):
        title = first
        paragraphs = paragraphs[1:]
    described: dict[str, str] = {}
    sentences: list[_Sentence] = []
    heading = ""
    for paragraph in paragraphs:
        begins, open_ = True, ""
        for raw in [*paragraph.split("\n"), ""]:
            line = normal(raw)
            heads = HEADING.fullmatch(line)
            told = COLON.fullmatch(line)
            told = told if told and len(told["name"]) <= LONGEST_PERSON and len(told["said"]) <= LONGEST // 2 else None
            if open_ and (not line or heads or told or ENDED.search(open_) or re.match(r"[-*] ", line)):
                for sentence in split(open_):
                    sentences.append(_Sentence(normal(sentence), begins, heading))
                    begins, heading = False, ""
                open_ = ""
            if heads:
                heading, begins = cut(heads["title"], LONGEST_NAME), True
            elif told and (quoted := QUOTED.fullmatch(told["said"])):
                if sentences:
                    sentences[-1].lines.append(Line(speaker=told["name"], text=normal(quoted["said"])))
                described.setdefault(told["name"], "")
            elif told and _is_person(told):
                described[told["name"]] = told["said"]
            else:
                open_ = f"{open_} {line}".strip()
    return cut(normal(title), LONGEST_NAME) or "A story", described, sentences


def _is_foreign(sentences: Sequence[str]) -> bool:
    """Whether most letters aren't Latin, or hardly any of enough words are frequent English ones."""
    letters = [letter for text in sentences for letter in text if letter.isalpha()]
    words = [word.lower() for text in sentences for word in re.findall(r"[^\W\d_]+", text)]
    if 2 * sum(letter > "\u024f" for letter in letters) > len(letters):
        return True
    return len(words) >= ENOUGH and sum(word in ENGLISH for word in words) < FEW_ENGLISH * len(words)


def _is_person(told: re.Match[str] | None) -> bool:
    """Whether a line with a colon says what somebody looks like, rather than what happens."""
    article = re.compile(r"(?:an?|the|\d+|about|young|old|elderly)\b", re.I)
    return bool(told and not told["name"][0].islower() and article.match(told["said"]))


def _whole(name: str, names: Sequence[str]) -> str:
    """The only other name that a name is a part of, as Tom is of Old Tom; else the name itself."""
    others = [other for other in names if other != name and f" {name} " in f" {other} "]
    return others[0] if len(others) == 1 else name


def _named(people: Mapping[str, str]) -> Callable[[str], tuple[str, ...]]:
    """A function that finds who is named in a text, by any of their names."""
    find = finder(people)
    return lambda text: tuple(dict.fromkeys(people[name] for name in find(text)))


def _see(sentences: Sequence[_Sentence], people: Mapping[str, str]) -> None:
    """Who is seen in each sentence: whom it names, or whom its pronoun means; "they" are at least two if there are."""
    seen: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()
    find = _named(people)
    for one in sentences:
        named = find(one.text)
        latest = (*named, *(name for name in latest if name not in named))
        if not named and re.search(r"\b(?:they|them|their|both)\b", one.text, re.I):
            named = seen if len(seen) > 1 else latest[:2]
        elif not named and re.search(r"\b(?:she|he|her|him|his)\b", one.text, re.I):
            named = seen[:1]
        one.people = named[:5]
        seen = named or seen


def _places(sentences: Sequence[_Sentence], names: Sequence[str]) -> tuple[tuple[Named, ...], list[str]]:
    """The places, each sentence's name of its own set, and what was added."""
    found: dict[str, str] = {}
    added, here = [], ""
    for one in sentences:
        text = one.text
        for name in names:  # a Mrs. Hill is no hill
            text = text.replace(name, " ")
        words = re.findall(r"[^\W\d_]+", (OUTSIDE.sub(" ", text) if here else text).lower())
        kinds = [KIND[word] for word in words if word in KIND]
        if kinds and not (here and here == _called(one.text, kinds[0])):
            here = _called(one.text, kinds[0])
            if here not in found:
                when = next((time for time, told in TIMES.items() if set(told.split()) & set(words)), "")
                found[here] = f"{KINDS[kinds[0]].words}{', ' * bool(when)}{when}."
                added.append(f"{here}: its description was added, since the synopsis doesn't give one")
        one.place = here
    for one in sentences:  # what is before the first place happens there too
        one.place = one.place or next(iter(found), "")
    return tuple(Named(name=name, description=words) for name, words in found.items()), added


def _called(text: str, kind: str) -> str:
    """A place as the sentence calls it, such as Gull Quay, or as its kind is called."""
    for match in re.finditer(NAME, text):
        if " " in match[0] and is_place(match[0]):
            return bare(match[0]).removeprefix("The ")
    return f"the {kind}"


def _speak(sentences: Sequence[_Sentence], people: Mapping[str, str]) -> None:
    """What somebody says inside of a sentence is heard as well."""
    find = _named(people)
    for one in sentences:
        speakers = find(QUOTED.sub(" ", one.text)) or one.people
        quoted = (re.sub(",$", ".", normal(found["said"])) for found in QUOTED.finditer(one.text))
        heard = [text for text in quoted if any(map(str.isalnum, text))]
        if len(speakers) == 1 and heard:
            one.lines[:0] = [Line(speaker=speakers[0], text=text) for text in heard]
        one.lines[:] = [
            line.model_copy(update={"speaker": people[line.speaker]})
            for line in one.lines
            if line.text and line.speaker in people
        ]


def _scenes(sentences: Sequence[_Sentence]) -> list[list[_Sentence]]:
    """Paragraphs, unless all are single sentences, cut where the place changes and at headings."""
    alone = all(one.begins for one in sentences)
    scenes: list[list[_Sentence]] = []
    for one in sentences:
        new = one.title or (one.begins and not alone) or one.place != scenes[-1][-1].place if scenes else True
        if new:
            scenes.append([])
        scenes[-1].append(one)
    return scenes


def _counts(lengths: Sequence[int], keyframes: int) -> list[int]:
    """How many keyframes each sentence has: the longer the more, at least one."""
    counts = [1] * len(lengths)
    longest: list[tuple[float, int]] = [(-length, i) for i, length in enumerate(lengths)]  # a keyframe's share
    heapify(longest)
    for _ in range(keyframes - len(lengths)):
        _, i = longest[0]
        counts[i] += 1
        heapreplace(longest, (-lengths[i] / counts[i], i))
    return counts


def _size(sentence: _Sentence, establishing: bool) -> tuple[bool, str]:
    """(whether a rule decides, size); `establishing`: it is the first that shows its place."""
    if not sentence.people:
        return True, "wide shot"
    if len(sentence.people) == 1 and (sentence.lines or CLOSE.search(sentence.text)):
        return True, "close-up"
    return (True, "wide shot") if establishing else (False, "medium shot")


def _shots(sentence: _Sentence, size: str, count: int, empty: str, verbatim: bool) -> list[Shot]:
    """As many shots of a sentence as it has keyframes: the sentence first, then its people, then the sentence nearer.

    A sentence without people stays far. The narrator speaks the sentence, unless somebody in it does.

    Args:
        empty: what is seen of the place before anybody comes, "" for nothing.
    """
    lines, people = tuple(sentence.lines) or (Line(text=sentence.text),), sentence.people
    shots = [Shot(characters=people, size=size, plots=(sentence.text,), lines=lines)]
    before = [Shot(size="very wide shot", plots=(empty,))] if empty else []
    near = [Shot(characters=(name,), size="close-up", plots=(NEAR.format(w=name),)) for name in people]
    shots += near[: count - 1 - len(before)] if not verbatim else []
    for number in range(1, count - len(before) - len(shots) + 1):
        nearer = SIZES[min(SIZES.index(size) + number, len(SIZES) - 1)] if people else FAR[number % 2]
        shots.append(Shot(characters=people, size=nearer, plots=(sentence.text,)))
    return before + shots


def _mood(text: str) -> str:
    words = Counter(re.findall(r"[a-z]+", text.lower()))
    counted = {mood: sum(words[word] for word in told.split()) for mood, told in MOOD_WORDS.items()}
    best = max(counted, key=lambda mood: counted[mood])
    return best if counted[best] else "calm"
