"""A synopsis as a story: each of its sentences is a plot, word for word, and all else is found by rules.

Lines that begin with # are the title and headings of scenes; `Ada: an old woman in a red coat` describes somebody, and
`Ada: "Good evening."` is said. A new scene begins at a heading, at a paragraph, and where a sentence names another
place. Nothing here depends on a model or on chance: the same text is the same story.
"""

import re
import unicodedata
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from heapq import heapify, heapreplace
from itertools import count

import numpy as np

from drawn.casting import HER_NAMES, HIS_NAMES, draw
from drawn.people import CLOTHS
from drawn.places import KINDS
from drawn.words import FRAMES
from models.sentences import split
from models.writer.choices import Choice, Chooser
from storage.errors import ConfigError
from storage.printable import cut, printable
from storage.stories.names import finder
from storage.stories.reading import LONGEST, LONGEST_NAME
from storage.stories.story import Line, Named, Scene, Shot, Story
from storage.stories.text import normal

SIZES = ("wide shot", "medium shot", "close-up")
"""Of shots, from far to near."""

MOODS = ("calm", "tense", "happy", "sad")
"""Of scenes."""

_LONGEST_NAME = 60
_PLACES = {  # words that tell a kind of place
    "harbour": "harbour harbor quay quayside pier dock docks port jetty lighthouse boat boats ship",
    "forest": "forest wood woods grove trees",
    "street": "street streets alley lane town city market",
    "room": "room library kitchen attic study parlour cottage house hall indoors inn tavern",
    "mountain": "mountain mountains meadow peak peaks hill hills ridge cabin",
    "village": "village hamlet",
    "beach": "beach shore seaside sands coast cove",
    "desert": "desert dunes",
}
_KIND = {word: kind for kind, words in _PLACES.items() for word in words.split()}
_OUTSIDE = re.compile(  # "beside the old house"
    r"\b(?:beside|behind|outside|near|past|around|towards?|from|leaves?|in front of|next to)"
    rf" (?:(?:of|an?|the|his|her|their|its) )+(?:\w+ )?(?:{_PLACES['room'].replace(' ', '|')})\b",
    re.I,
)
_TIMES = {
    "at night": "night midnight",
    "at dawn": "dawn daybreak sunrise",
    "at dusk": "dusk sunset twilight",
    "under a stormy sky": "storm stormy thunder",
    "in the fog": "fog foggy mist",
    "with falling snow": "snow snows snowing",
    "with falling rain": "rain rains raining",
    "in the morning": "morning",
    "in the golden evening": "evening",
}
_CLOSE = re.compile(
    r"\b(?:thinks?|smiles?|cries|cry|weeps?|whispers?|remembers?|looks?|stares?|feels?|sighs?|says?|asks?|tells?|reads?"
    r"|dreams?|laughs?|listens?|frowns?|nods?|wonders?|face|eyes)\b",
    re.I,
)
_MOODS = {
    "tense": "storm afraid fear dark danger threat runs hunt chase shouts breaks knife scream lost attack",
    "happy": "smile smiles laugh laughs dance dances joy happy celebrate sings wedding feast friends",
    "sad": "cries weeps tears alone grave dead dies sad mourns goodbye farewell funeral",
}
_SHE = re.compile(r"\b(?:she|woman|girl|lady|mother|daughter|sister|wife|aunt|queen|widow|grandmother)\b", re.I)
_HE = re.compile(r"\b(?:he|man|boy|gentleman|father|son|brother|husband|uncle|king|grandfather)\b", re.I)
_OLD = re.compile(r"\b(?:old|elderly|aged|grand\w+|grey|white-haired)\b", re.I)
_CLAD = re.compile(r"\b(?:in|wearing|wears) (?:an? |the |his |her |their )?\w+|\bwith\b", re.I)
_COMMON = """
    a an the this that these those there here it its i he she they we you his her their our my your one some all
    both each every no not nobody somebody someone everyone everybody nothing something everything who what
    when where why how which in on at by with from into onto under over after before behind between beside
    through across near inside outside as if but and or so yet then now later soon suddenly finally meanwhile
    once again still even only just perhaps maybe night morning evening noon dawn dusk midnight day today
    tomorrow yesterday spring summer autumn winter rain snow fog wind storm light darkness silence time life
    death love god people children men women man woman boy girl two three four five six seven eight nine ten
    many few several another other others old young new long monday tuesday wednesday thursday friday saturday
    sunday january february march april may june july august september october november december scene act
    chapter title far high low deep slowly quietly together alone mr mrs ms dr sunlight moonlight smoke earth
    mars fire water waves clouds stars years days hours weeks months
"""
_NOT_NAMES = frozenset(_COMMON.split())  # though they may begin a sentence
_MANY_CAPITALS = 0.15  # share of words with a capital from which a language gives them to more than names
_NEAR = FRAMES["close-up"][0]
_TITLE = re.compile(r"(?:#+\s*|title\s*:\s*)(?P<title>.+?)\s*#*", re.I)
_HEADING = re.compile(r"#+\s*(?P<title>.+?)\s*#*")
_COLON = re.compile(r"(?:[-*]\s+)?(?P<name>[^\W\d_][\w'’.-]*(?: [^\W\d_][\w'’.-]*){0,3})\s*:\s+(?P<said>\S.*)")
_QUOTED = re.compile(r"[\"“„«](?P<said>[^\"“”„«»]+)[\"”“»]")
_ENDED = re.compile(r"[.!?…。！？।॥:;][\"'”’»)\]]*$")
_NAME = r"(?:(?:Mr|Mrs|Ms|Dr)\.? )?[A-Z][\w'’-]*(?: (?:[A-Z][\w'’-]*))*"


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
        raise ConfigError("the synopsis has no sentence: write what happens, a sentence a keyframe")
    if keyframes is not None and keyframes < len(sentences):
        raise ConfigError(f"{len(sentences)} sentences need at least as many keyframes, got --keyframes {keyframes}")
    for one in sentences:
        if len(one.text) > LONGEST:
            raise ConfigError(f"a sentence of {len(one.text):,} characters is too long: {printable(one.text, 60)!r}")
    said = [one.text for one in sentences]
    names = list(dict.fromkeys([*described, *_names(said)]))
    _see(sentences, names)
    places, added = _places(sentences, names)
    cast = _cast(names, described, said, added)
    _speak(sentences, names)
    counts = iter(_counts([len(one.text) for one in sentences], keyframes or len(sentences)))
    seen_at = {place.name: place.description for place in places} if not verbatim else {}
    scenes: list[Scene] = []
    unsure: list[int] = []
    number = 0
    for of_scene in _scenes(sentences):
        shots: list[Shot] = []
        for sentence in of_scene:
            sure, size = _size(sentence, not shots)
            made = _shots(sentence, size, next(counts), "" if shots else seen_at.get(sentence.place, ""), verbatim)
            unsure += [] if sure else [number + 1]
            number += len(made)
            shots += made
        texts = " ".join(one.text for one in of_scene)
        scenes.append(Scene(title=of_scene[0].title, place=of_scene[0].place, mood=_mood(texts), shots=tuple(shots)))
    return Written(Story(title=title, cast=cast, places=places, scenes=tuple(scenes)), added, unsure)


def chosen(written: Written, chooser: Chooser) -> tuple[Story, dict[int, str]]:
    """(the story with the sizes of shots that a model chose where no rule decided, comments by numbers of shots)."""
    placed = {one.number: one.shot for one in written.story.shots()}
    asked = [Choice(placed[number].plots[0], "The best camera for this is a", SIZES) for number in written.unsure]
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
    if found := _TITLE.fullmatch(first.split("\n")[0].strip()):
        title = found["title"]
        paragraphs[0] = first.partition("\n")[2]
    elif "\n" not in first and len(first) <= 80 and not _ENDED.search(first) and paragraphs[1:]:
        title = first
        paragraphs = paragraphs[1:]
    described: dict[str, str] = {}
    sentences: list[_Sentence] = []
    for paragraph in paragraphs:
        begins, heading, open_ = True, "", ""
        for raw in [*paragraph.split("\n"), ""]:
            line = normal(raw)
            heads = _HEADING.fullmatch(line)
            told = _COLON.fullmatch(line)
            told = told if told and len(told["name"]) <= _LONGEST_NAME and len(told["said"]) <= LONGEST // 2 else None
            if open_ and (not line or heads or told or _ENDED.search(open_) or re.match(r"[-*] ", line)):
                for sentence in split(open_):
                    sentences.append(_Sentence(normal(sentence), begins, heading))
                    begins, heading = False, ""
                open_ = ""
            if heads:
                heading, begins = cut(heads["title"], LONGEST_NAME), True
            elif told and (quoted := _QUOTED.fullmatch(told["said"])):
                if sentences:
                    sentences[-1].lines.append(Line(speaker=told["name"], text=normal(quoted["said"])))
                described.setdefault(told["name"], "")
            elif told and told["name"][0].isupper() and _describes(told["said"]):
                described[told["name"]] = told["said"]
            else:
                open_ = f"{open_} {line}".strip()
    return cut(normal(title), LONGEST_NAME) or "A story", described, sentences


def _describes(said: str) -> bool:
    """Whether these words say what somebody looks like, rather than what happens."""
    return bool(re.match(r"(?:an?|the|\d+|about|young|old|elderly)\b", said, re.I))


def _names(sentences: Sequence[str]) -> list[str]:
    """People, by their capitals, in a language that keeps capitals for names; [] in others."""
    inside = [word for text in sentences for word in re.findall(r"(?<=[^\s.!?…\"“«'‘(] )[^\W\d_][\w'’-]*", text)]
    if inside and sum(word[0].isupper() for word in inside) > _MANY_CAPITALS * len(inside) + 3:
        return []
    small = {word for text in sentences for word in re.findall(r"\b[a-z][\w'’-]*", text)}
    found: Counter[str] = Counter()
    for text in sentences:
        for match in re.finditer(_NAME, _QUOTED.sub(" ", text)):
            name, before, after = _bare(match[0]), text[: match.start()].rstrip(), text[match.end() :]
            opens = not before or before[-1] in ".!?…:"
            words = name.split()
            if opens and words and words[0].lower() in _NOT_NAMES:
                words = words[1:]
                opens = False
            name = " ".join(words)
            if (
                not words
                or all(word.lower() in _NOT_NAMES or _is_shouted(word) for word in words)
                or len(name) > _LONGEST_NAME
            ):
                continue
            if re.search(r"\b(?:in|at|to|from|near|of|into|onto|towards|the)$", before, re.I) or _is_place(name):
                continue
            if opens and len(words) == 1:
                acts = re.match(
                    r"(?:'s|’s)? (?:[a-z]+s|[a-z]+ed|is|was|has|had|and [A-Z]\w*|goes|does)\b"
                    r"|, (?:an?|the|his|her|their|my|our) ",
                    after,
                )
                if words[0].lower() in small or not (acts or found[name]):
                    continue
            found[name] += 1
    whole = list(found)
    alone = {name for name in whole if " " not in name}
    return [name for name in whole if " " not in name or not alone & set(name.split())]


def _bare(name: str) -> str:
    return re.sub(r"['’]s\b", "", name).rstrip("'’-.")


def _is_shouted(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def _is_place(name: str) -> bool:
    return not re.match(r"(?:Mr|Mrs|Ms|Dr)\b", name) and any(word.lower() in _KIND for word in name.split())


def _see(sentences: Sequence[_Sentence], names: Sequence[str]) -> None:
    """Who is seen in each sentence: whom it names, or whom its pronoun means; "they" are at least two if there are."""
    seen: tuple[str, ...] = ()
    latest: tuple[str, ...] = ()
    find = finder(names)
    for one in sentences:
        named = tuple(find(one.text))
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
        words = re.findall(r"[^\W\d_]+", (_OUTSIDE.sub(" ", text) if here else text).lower())
        kinds = [_KIND[word] for word in words if word in _KIND]
        if kinds and not (here and here == _called(one.text, kinds[0])):
            here = _called(one.text, kinds[0])
            if here not in found:
                when = next((time for time, told in _TIMES.items() if set(told.split()) & set(words)), "")
                found[here] = f"{KINDS[kinds[0]].words}{', ' * bool(when)}{when}."
                added.append(f"{here}: its description was added, since the synopsis doesn't give one")
        one.place = here
    for one in sentences:  # what is before the first place happens there too
        one.place = one.place or next(iter(found), "")
    return tuple(Named(name=name, description=words) for name, words in found.items()), added


def _called(text: str, kind: str) -> str:
    """A place as the sentence calls it, such as Gull Quay, or as its kind is called."""
    for match in re.finditer(_NAME, text):
        if " " in match[0] and _is_place(match[0]):
            return _bare(match[0]).removeprefix("The ")
    return f"the {kind}"


def _cast(
    names: Sequence[str], described: dict[str, str], sentences: Sequence[str], added: list[str]
) -> tuple[Named, ...]:
    people = []
    for number, name in enumerate(names):
        own = described.get(name) or _apposition(name, sentences)
        words = own
        if not _CLAD.search(own):
            look = _look(name, number, own, sentences)
            words = f"{own.rstrip('.')}: {look}" if own else look
            added.append(f"{name}: how they look was added, since the synopsis doesn't say it: {look}")
        people.append(Named(name=name, description=f"{words[:1].upper()}{words[1:].rstrip('.')}."))
    return tuple(people)


def _apposition(name: str, sentences: Sequence[str]) -> str:
    """`an old man` of "Bo, an old man, ..." or "Bo is an old man."."""
    whole = re.escape(name)
    pattern = re.compile(
        rf"\b{whole}(?:, | is | was )(an? [^,.;:!?]+)|\b([Aa]n? [^,.;:!?]+) (?:named|called) {whole}\b"
    )
    return next((found[1] or found[2] for text in sentences if (found := pattern.search(text))), "")


def _look(name: str, number: int, own: str, sentences: Sequence[str]) -> str:
    """A look in the words of the drawn films; the same for the same name."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    woman = _is_woman(name, own, sentences)
    colours = list(CLOTHS)
    looks = (draw(rng, woman) for _ in range(100))
    old = bool(_OLD.search(own))
    look = next(one for one in looks if (one.years == "elderly") == old)
    return replace(look, top=CLOTHS[colours[(5 * number) % len(colours)]]).words


def _is_woman(name: str, own: str, sentences: Sequence[str]) -> bool | None:
    """By the words about somebody, the pronoun that follows, or a known name; None where nothing tells."""
    first = name.split()[0].rstrip(".")
    if first in ("Mr", "Mrs", "Ms"):
        return first != "Mr"
    she, he = len(_SHE.findall(own)), len(_HE.findall(own))
    for place, text in enumerate(sentences):
        if name in text:
            behind = text[text.find(name) :] + " " + " ".join(sentences[place + 1 : place + 2])
            told = [
                (found.start(), sex)
                for sex, found in (("she", _SHE.search(behind)), ("he", _HE.search(behind)))
                if found
            ]
            if told:
                she, he = she + (min(told)[1] == "she"), he + (min(told)[1] == "he")
    if first in HER_NAMES.split() or first in HIS_NAMES.split():
        return first in HER_NAMES.split()
    return None if she == he else she > he


def _speak(sentences: Sequence[_Sentence], names: Sequence[str]) -> None:
    """What somebody says inside of a sentence is heard as well."""
    find = finder(names)
    for one in sentences:
        speakers = find(_QUOTED.sub(" ", one.text))
        quoted = (re.sub(",$", ".", normal(found["said"])) for found in _QUOTED.finditer(one.text))
        heard = [text for text in quoted if any(map(str.isalnum, text))]
        if len(speakers) == 1 and heard:
            one.lines[:0] = [Line(speaker=speakers[0], text=text) for text in heard]
        one.lines[:] = [line for line in one.lines if line.text and (line.speaker in names)]


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


def _size(sentence: _Sentence, first: bool) -> tuple[bool, str]:
    """(whether a rule decides, size)."""
    if first or not sentence.people:
        return True, "wide shot"
    if len(sentence.people) == 1 and (sentence.lines or _CLOSE.search(sentence.text)):
        return True, "close-up"
    return False, "medium shot"


def _shots(sentence: _Sentence, size: str, count: int, place: str, verbatim: bool) -> list[Shot]:
    """As many shots of a sentence as it has keyframes: the sentence first, then its people, then the sentence nearer.

    Args:
        place: what is seen of the place before anybody comes, "" for nothing.
    """
    lines, people = tuple(sentence.lines), sentence.people
    shots = [Shot(characters=people, size=size, plots=(sentence.text,), lines=lines)]
    before = [Shot(size="very wide shot", plots=(place,))] if place and count > 1 else []
    near = [Shot(characters=(name,), size="close-up", plots=(_NEAR.format(w=name),)) for name in people]
    shots += near[: count - 1 - len(before)] if not verbatim else []
    for number in range(1, count - len(before) - len(shots) + 1):
        nearer = SIZES[min(SIZES.index(size) + number, len(SIZES) - 1)]
        shots.append(Shot(characters=people, size=nearer, plots=(sentence.text,)))
    return before + shots


def _mood(text: str) -> str:
    words = Counter(re.findall(r"[a-z]+", text.lower()))
    counted = {mood: sum(words[word] for word in told.split()) for mood, told in _MOODS.items()}
    best = max(counted, key=lambda mood: counted[mood])
    return best if counted[best] else "calm"
