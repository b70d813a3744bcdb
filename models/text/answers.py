"""Extracts the answer from a language model's output, for captions and scripts, from servers and local models.

`prose` and `json_value` remove what a chat puts around an answer. An unusable answer (empty, a refusal, an unclosed
thought, truncated, a copy of the prompt) raises AnswerError, and the caller asks again a few times.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from models.text.chat import AnswerError, plain
from models.text.refusals import is_chat
from models.text.sentences import split
from models.text.unique import unique

VERSION = 5  # of this module, chat and refusals: part of the revision of every backend whose answers it reads

_THINKS = re.compile(  # in plain words
    r"[\s*#]*(?:thoughts?|thinking(?: process)?|reasoning|analysis)[ \t]*(?::|\**[ \t]*\n)", re.I
)
_SAYS = re.compile(
    r"^[ \t*#]*(?:final )?(?:answer|caption|description|response|output)[ \t]*(?::\**|\**[ \t]*$)", re.I | re.M
)

_LANGUAGE = r"(?:json|text|plaintext|txt|markdown|md|python)\b|[\w-]*(?=\n)"
_FENCED = re.compile(rf"(```|~~~|'''|\"\"\")(?:{_LANGUAGE})?(.*?)(?:\1|$)", re.I | re.S)
_RULE = re.compile(r"^[ \t]*[-*_=~#]{3,}[ \t]*$", re.M)
_LABEL = re.compile(
    r"^(?:#*\s*[\"']?(?:the |image |picture |final |(?:assistant|model)'s )?"
    r"(?:answer|caption|description|response|output)[\"']?\s*(?::|\n)\s*)+|^#+\s*",
    re.I,
)
_PREAMBLE = re.compile(
    r"^(?:(?:sure(?: thing)?|certainly|of course|absolutely|okay|ok|yes|got it|understood"
    r"|here you (?:go|are))[,.!:]+\s*(?=\w))*"
    r"(?:i(?:'d be|'m| am) (?:happy|glad) to[^.!\n]*[.!]\s*)?"
    r"(?:(?:here|this|below)\b[^\n:]{0,120}\b(?:captions?|descriptions?|answer|sentences?|image|picture|still|frame)\b"
    r"[^\n:]{0,120}:\s*)?",
    re.I,
)
_FAREWELL = re.compile(
    r"(?:(?<=[.!?\n])|^)\s{0,9}(?:(?:i )?hope th(?:is|at|ese)|(?:please )?let me know|feel free|would you like"
    r"|do you (?:want|need)|if you (?:need|want|have|would)|is there anything|anything else|note(?=:))\b.*$",
    re.I,
)
_ITEM = re.compile(
    r"^[ \t]*(?:\d{1,2}[.)]|[-*•]|(?:caption|description|option|answer)[ \t]+\d{1,2}[ \t]*:)[ \t]+(?=\S)", re.I | re.M
)
_SECOND = re.compile(r"\(?[1a][.)]\s.+?\s\(?[2b][.)]\s")  # on the same line
_COUNTED = re.compile(  # behind the answer
    r"(?<!\s)\s*(?:[\[(](?:\d+ words?|(?i:word count)[^\])]*|end(?: of \w+)?)[\])]|(?<!#)#{2,}|\bEND"
    r"|(?<!\S)/(?:no_)?think)\s*$"
)
_QUOTES = {'"': '"', "“": "”", "'": "'", "`": "`", "«": "»", "*": "*", "_": "_"}
_MARKUP = re.compile(
    r"<[|/｜]|[|｜]>|<[a-z][^<>\n]{0,40}>|&[lg]t;|```|~~~|\[/?INST\]|^\s*[\[{]|\[\[|\]\(|\\boxed\b"
    r"|<(?:think|answer|caption)\b|[{}]|%[sd]\b|\\u[\da-f]{4}|&[a-z]{2,8};|\ufffd|\bhttps?://|\bfile://|\bdata:\w+/"
    r"|(?<!\S)/(?:no_)?think\b|^\s*\w+\(|^\s*\w+ ?= |\|[^|\n]+\|[^|\n]+\||#\w+ #",
    re.I,
)
_NOTHING = {"null", "none", "nan", "n/a", "na", "nil", "undefined", "empty", "unknown", "yes", "no", "ok"}

_DANGLING = re.compile(r"(?:\b(?:an?|the|and|or|while)|:)$", re.I)
_QUOTED = re.compile(r'"[^"\n]*"|“[^”\n]*”')
_OFTEN = 3  # repetitions of a sentence that show that the model repeats itself
_LOOP = 7  # least number of three-word sequences; if fewer than half are distinct, the text repeats itself
_FEWEST = 4  # a sentence with at least this many words of the prompt must be copied from it

_COMMAS = re.compile(r'("(?:\\.|[^"\\])*"?)|,(?=\s*[\]}])', re.S)
_CURLY = str.maketrans(dict.fromkeys("“”„‟", '"'))


def prose(text: str, cut: bool, instructions: Iterable[str]) -> str:
    """The sentences of an answer without the phrases of a chat around them; `instructions` is the model's prompt.

    Raises:
        AnswerError: as `plain`, and if it refuses, repeats its instructions, has code, or has no words.
    """
    said = _without_spoken_thoughts(plain(text, cut))
    blocks = [block for _, block in _FENCED.findall(said)]
    if len(blocks) > 1:
        raise AnswerError(f"it holds {len(blocks)} blocks of code: plain sentences were asked for")
    said = _RULE.sub("", blocks[0] if blocks else said).replace("**", "").strip()
    said = _FAREWELL.sub("", _LABEL.sub("", _PREAMBLE.sub("", said))).strip()
    if (items := max(len(_ITEM.findall(said)), 2 * bool(_SECOND.match(said)))) > 1:
        raise AnswerError(f"it is a list of {items}: one description in plain sentences was asked for")
    said = _COUNTED.sub("", _ITEM.sub("", said))
    if len(said) > 1 and _QUOTES.get(said[0]) == said[-1] and said.count(said[0]) <= 2:
        said = said[1:-1].strip()
    require_own_words(said, instructions)
    return said


def require_own_words(text: str, instructions: Iterable[str]) -> None:
    """Raises AnswerError for a text without words, a refusal, other chat, markup, or a sentence of the instructions."""
    if not any(letter.isalpha() for letter in text):
        raise AnswerError(f"it has no words: {text[:40]!r}" if text.strip() else "it is empty")
    if _MARKUP.search(text):
        raise AnswerError(f"it holds markup; plain sentences were asked for: {text[:80]!r}")
    told = [_words(each) for each in instructions]
    if any(_is_within(_words(sentence), " ".join(told)) for sentence in split(text)) or any(
        _is_within(_words(sentence), _words(text)) for each in instructions for sentence in split(each)
    ):
        raise AnswerError(f"it repeats what was asked: {text[:80]!r}")
    if _DANGLING.search(text):
        raise AnswerError(f"it ends in the middle of a sentence: {text[-80:]!r}")
    words = _words(text).split()
    rows = list(zip(words, words[1:], words[2:], strict=False))
    often = Counter(map(_words, split(text)))
    if (often and max(often.values()) >= _OFTEN) or (len(rows) >= _LOOP and 2 * len(set(rows)) < len(rows)):
        raise AnswerError(f"it says the same again and again: {text[:80]!r}")
    for sentence in split(_QUOTED.sub('""', text)):
        if is_chat(sentence) or sentence.strip(" .!'\"").casefold() in _NOTHING:
            raise AnswerError(f"it describes nothing: {sentence[:80]!r}")


def json_value(text: str, cut: bool) -> Any:
    """The only JSON object in an answer, ignoring prose and fences around it; a list if there is no object.

    Commas before a closing bracket and curly quotes around keys and strings are accepted.

    Raises:
        AnswerError: as `plain`, and if it refuses, has no JSON, more than one object, a key twice, or NaN.
    """
    said = plain(text, cut)
    first: ValueError | None = None
    for form in (said, _without_commas(said), _without_commas(said.translate(_CURLY))):
        try:
            return _one_of(_values(form, "{" if "{" in form else "["))
        except AnswerError:
            raise
        except RecursionError:
            raise AnswerError("it is not JSON: its brackets are nested too deeply") from None
        except ValueError as error:
            first = first or error
    if is_chat(said):
        raise AnswerError(f"it describes nothing: {said[:80]!r}")
    raise AnswerError(f"it is not JSON: {first}")


def _without_spoken_thoughts(text: str) -> str:
    """The text without thoughts in plain words, as in "Thought: ... Answer: ..."."""
    if not _THINKS.match(text):
        return text
    _, *said = _SAYS.split(text)
    if not said:
        raise AnswerError("its thought doesn't end: answer without thinking aloud")
    return said[-1]


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.casefold()))


def _is_within(words: str, others: str) -> bool:
    """Whether some text contains these words in a row; the last word may be truncated."""
    return words.count(" ") + 1 >= _FEWEST and f" {words}" in f" {others}"


def _without_commas(text: str) -> str:
    return _COMMAS.sub(lambda found: found[1] or "", text)


def _values(text: str, opening: str) -> list[Any]:
    """All JSON values in a text that begin with a bracket; if there are none, raises the ValueError of the first."""
    decoder = json.JSONDecoder(parse_constant=_refuse, object_pairs_hook=unique)
    found, at, problem = [], text.find(opening), None
    while at >= 0:
        try:
            value, end = decoder.raw_decode(text, at)
            found.append(value)
        except json.JSONDecodeError as error:
            problem, end = problem or error, at + 1
        at = text.find(opening, end)
    if not found:
        raise problem or ValueError("it holds no object")
    return found


def _one_of(values: list[Any]) -> Any:
    if any(value != values[0] for value in values):
        raise AnswerError(f"it holds {len(values)} JSON objects, one was asked for")
    return values[0]


def _refuse(constant: str) -> None:
    raise AnswerError(f"it is not JSON: {constant} is not a JSON value")
