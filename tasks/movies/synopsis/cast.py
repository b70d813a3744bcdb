"""Who is in a synopsis, and what they look like: by capitals, pronouns, appositions and titles of address."""

import re
import zlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from drawn.casting import HER_NAMES, HIS_NAMES, draw
from drawn.people import CLOTHS
from storage.stories.story import Named
from tasks.movies.synopsis.words import CLAD, HE, KIND, LONGEST_PERSON, MANY_CAPITALS, NAME, NOT_NAMES, OLD, QUOTED, SHE


def names_in(sentences: Sequence[str]) -> list[str]:
    """People, by their capitals, in a language that keeps capitals for names; [] in others."""
    inside = [word for text in sentences for word in re.findall(r"(?<=[^\s.!?…\"“«'‘(] )[^\W\d_][\w'’-]*", text)]
    if inside and sum(word[0].isupper() for word in inside) > MANY_CAPITALS * len(inside) + 3:
        return []
    small = {word for text in sentences for word in re.findall(r"\b[a-z][\w'’-]*", text)}
    found: Counter[str] = Counter()
    for text in sentences:
        for match in re.finditer(NAME, QUOTED.sub(" ", text)):
            name, before, after = bare(match[0]), text[: match.start()].rstrip(), text[match.end() :]
            opens = not before or before[-1] in ".!?…:"
            words = name.split()
            if opens and words and words[0].lower() in NOT_NAMES:
                words = words[1:]
                opens = False
            name = " ".join(words)
            if (
                not words
                or all(word.lower() in NOT_NAMES or _is_shouted(word) for word in words)
                or len(name) > LONGEST_PERSON
            ):
                continue
            if re.search(r"\b(?:in|at|to|from|near|of|into|onto|towards|the)$", before, re.I) or is_place(name):
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


def bare(name: str) -> str:
    """A name without its possessive and what ends a sentence."""
    return re.sub(r"['’]s\b", "", name).rstrip("'’-.")


def _is_shouted(word: str) -> bool:
    return len(word) > 1 and word.isupper()


def is_place(name: str) -> bool:
    """Whether a name with capitals is a place's, such as Gull Quay."""
    return not re.match(r"(?:Mr|Mrs|Ms|Dr)\b", name) and any(word.lower() in KIND for word in name.split())


def cast_of(
    names: Sequence[str], described: dict[str, str], sentences: Sequence[str], added: list[str]
) -> tuple[Named, ...]:
    """The people with their looks. A look that the synopsis doesn't give is added, and `added` says so."""
    people = []
    for number, name in enumerate(names):
        own = described.get(name) or _apposition(name, sentences)
        words = own
        if not CLAD.search(own):
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
    old = bool(OLD.search(own))
    look = next(one for one in looks if (one.years == "elderly") == old)
    return replace(look, top=CLOTHS[colours[(5 * number) % len(colours)]]).words


def _is_woman(name: str, own: str, sentences: Sequence[str]) -> bool | None:
    """By the words about somebody, the pronoun that follows, or a known name; None where nothing tells."""
    first = name.split()[0].rstrip(".")
    if first in ("Mr", "Mrs", "Ms"):
        return first != "Mr"
    she, he = len(SHE.findall(own)), len(HE.findall(own))
    for place, text in enumerate(sentences):
        if name in text:
            behind = text[text.find(name) :] + " " + " ".join(sentences[place + 1 : place + 2])
            told = [
                (found.start(), sex) for sex, found in (("she", SHE.search(behind)), ("he", HE.search(behind))) if found
            ]
            if told:
                she, he = she + (min(told)[1] == "she"), he + (min(told)[1] == "he")
    if first in HER_NAMES.split() or first in HIS_NAMES.split():
        return first in HER_NAMES.split()
    return None if she == he else she > he
