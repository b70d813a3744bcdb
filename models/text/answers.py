"""Extracts the answer from a language model's output, for captions and scripts, from servers and local models.

Thoughts, role tokens, other turns of the chat and fences are removed. An unusable answer (empty, a refusal, an unclosed
thought, truncated, a copy of the prompt) raises AnswerError, and the caller asks again a few times.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from typing import Any

from models.errors import ModelError
from models.text.sentences import split
from models.text.unique import unique

VERSION = 5  # of this module: part of the revision of every backend whose answers it reads

_LONGEST = 50_000  # characters; longer than any requested answer
_SPACES = re.compile(r"[\x0b-\x0d\x1c-\x1f\x85]")
_UNSEEN = re.compile(  # and halves of characters
    r"\x1b\[[\d;]*[A-Za-z]|[\x00-\x08\x0e-\x1b\x7f-\x9f\u200b\u202a-\u202e\u2060\u2066-\u2069\ud800-\udfff\ufeff]"
)

_BYTES = re.compile(r"(?:<0x[0-9A-Fa-f]{2}>)+")  # tokens of single bytes

_THOUGHT = (
    r"(?:[<\[◁＜]\|?{}(?:\w+:)?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|analysis|inner_monologue)"
    r"\|?[>\]▷＞]|<\|{}_(?:of_thought|thinking)\|>)"
)
_OPEN, _CLOSE = re.compile(_THOUGHT.format("", "(?:begin|start)"), re.I), re.compile(_THOUGHT.format("/", "end"), re.I)
_INNERMOST = re.compile(f"{_OPEN.pattern}(?:(?!{_OPEN.pattern}).)*?{_CLOSE.pattern}", re.I | re.S)
_NESTED = 4  # depth of nested thoughts
_CHANNEL = re.compile(  # gpt-oss thinks in channels; without special tokens their names are part of the text
    r"<\|channel\|>(?:analysis|commentary)(?:(?!<\|channel\|>).)*<\|(?:end|call)\|>"
    r"|<\|channel>thought(?:(?!<\|channel>).)*<channel\|>|^\s*(?:analysis(?=[A-Z]).*)?assistantfinal",
    re.S,
)
_ANSWER = re.compile(r"<(answer|final|response|output|caption)>(.*?)(?:</\1>|$)", re.I | re.S)

_THINKS = re.compile(  # in plain words
    r"[\s*#]*(?:thoughts?|thinking(?: process)?|reasoning|analysis)[ \t]*(?::|\**[ \t]*\n)", re.I
)
_SAYS = re.compile(
    r"^[ \t*#]*(?:final )?(?:answer|caption|description|response|output)[ \t]*(?::\**|\**[ \t]*$)", re.I | re.M
)

_ROLES = "assistant|user|system|human|model|tool|ai|bot|助手|用户"
_END = (
    r"<\|(?:im_end|eot_id|eom_id|endoftext|end_of_text|end|return|eos)\|>|<｜end▁of▁sentence｜>"
    r"|<end_of_turn>|<turn\|>|</s>|<eos>"
)
_CHAT = (
    (re.compile(rf"^(?:\s|{_END})+"), ""),
    (re.compile(_END), "\nsystem:\n"),
    (
        re.compile(
            r"(?<=[.!?…\"”’)])[ \t]+(?=(?:USER|HUMAN|SYSTEM|ASSISTANT):)|(?<!#)#{2,}(?=[ \t]*(?:Human|User|Assistant):)"
        ),
        "\n",
    ),
    (re.compile(r"\[/INST\]"), "\nassistant:\n"),
    (re.compile(r"\[INST\]"), "\nuser:\n"),
    (re.compile(rf"<[|｜]({_ROLES})[|｜]>", re.I), r"\n\1:\n"),
    (
        re.compile(rf"<(?:\|im_start\||\|start_header_id\||\|start\||start_of_turn|\|turn)>\s*({_ROLES})\b", re.I),
        r"\n\1:\n",
    ),
    (re.compile(r"<(?:\|im_start\||\|start_header_id\||\|start\||start_of_turn|\|turn)>"), "\nassistant:\n"),
    (re.compile(r"<\|channel\|>\s*\w+"), ""),
    (
        re.compile(
            r"<[|｜][^|｜<>\n]{1,40}[|｜]>|</?(?:s|bos|pad|unk|image|image_placeholder|img|video)>|<think ?/>"
            r"|【\d[^】]*】"
        ),
        "",
    ),
    (re.compile(r"^\s*assistant\s*\n", re.I), "assistant:\n"),
)
_TURN = re.compile(rf"(?:^|\n)[ \t*#]*(?:GPT4 correct )?({_ROLES})[ \t]*[:：]\**", re.I)
_MINE = {"assistant", "model", "ai", "bot", "助手"}

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

_CHAT_WORDS = re.compile(  # a sentence of a caption is in the third person
    r"""[(*_]*(?:(?:unfortunately|regrettably|however|but|oh|well|okay|ok|alright|so|now|first|hello|hi
        |(?:please\ )?note)[,.:!]*\s+)*
    (?:it\ (?:seems|appears|looks)\ (?:like\ |that\ )?)?
    (?: (?:i(?!\.)|we|my|our|you|your|let\ (?:me|us)|let's|sorry|apologies|unable|please|thanks|thank\ you)(?![-\w])
    | (?:hm+|wait)[,.!…] | thinking: | (?:could|can|would)\ you\b
    | as\ an?\ (?:ai\b|artificial|(?:large\ |vision[-\ ])?language\ model)
    | (?:the\ )?user\ (?:wants|asks|asked|is\ asking|has|gave|provided)\b
    | (?:the|this)\ (?:assistant|model|ai|system)
        \ (?:can't|cannot|can\ not|does\ not|doesn't|is\ (?:unable|not\ able))\b
    | (?:there\ is\ )?(?:no|the)\ (?:image|picture)\ (?:was|is|has|did)(?:n't|\ not|\ been)?
        \ (?:provided|attached|uploaded|shared|load|available)
    | (?:there\ is\ )?no\ (?:image|picture)(?:[.,!]|$|\ (?:was|is|has|provided|attached)\b)
    | (?:image|picture|caption|description|answer)\ (?:is\ )?
        (?:unavailable|missing|not\ (?:available|found|provided|shown|supported))\b
    | (?:this|that|the)\ (?:image|picture|still|frame)\ (?:cannot|can't|could\ not)\ be
        \ (?:described|identified|viewed|processed|analy[sz]ed|captioned|loaded|displayed)
    | it\ is\ (?:not\ possible|impossible)\ (?:for\ me\ )?to\ (?:describe|identify|view|process|analy|caption)
    | this\ (?:request|prompt|conversation)\b
    | (?:content|response|output)\ (?:was\ |has\ been\ )?(?:filtered|blocked|removed)\b
    | (?:(?:runtime|internal|server|api|http)\ ?)?error(?::|\ \d{3}\b) | traceback\b
    | (?:[45]\d\d\ )?(?:bad\ gateway|internal\ server\ error|service\ unavailable|too\ many\ requests)\b
    | (?:rate\ limit|upstream\ connect|request\ timed|timeout\ (?:while|error)|cuda\ |segmentation\ fault|loading\.)
    | (?:the\ )?model\ is\ (?:loading|overloaded|busy|unavailable)\b
    | (?:not\ able|not\ applicable|can(?:'t|not|\ not)|no\ can\ do|unsupported|n/a)(?![-\w])
    | there(?:\ is|'s)\ (?:nothing\ to\ (?:describe|see|say)|no\ (?:image|picture|photo)\ here)\b
    | (?:the|this)\ (?:image|picture|photo)\ (?:failed|is\ (?:blank|missing|corrupt\w*))\b
    | (?:the|that)\ request\ (?:can|could|was|violates|is\ (?:not|against))
    | (?:this|the)\ content\ (?:may|might|can|violates|is\ not)\b
    | it\ is\ against\b | describing\ (?:real\ )?people\b | (?:as\ (?:requested|asked)|in\ this\ (?:response|answer))\b
    | (?:the\ )?(?:final\ )?(?:answer|caption|description)\ (?:is|should|must|would)\b
    | (?:here|this|below)\ is\ (?:a|an|the|my)\ (?:\w+\ )?(?:caption|description|answer)\b
    | (?:what\ an?\ \w+|great|good|nice|lovely|interesting)\ (?:question|picture|photo|image)\b
    | (?:no|empty)\ (?:output|response|answer|caption|description)
        (?:(?![\ \w])|\ (?:is\ |was\ )?(?:available|provided|given|possible|found)\b)
    | (?:the\ )?(?:caption|description|answer)\ (?:goes|comes)\ here\b | content\ policy\b | bad\ request\b
    | an?\ (?:\w+\ )?(?:description|caption)\ (?:of|for)\ (?:the|this)\ (?:image|picture|photo|still|frame)[.!]?$
    | (?:tool|function)\ call\ ?:
    | (?:question|q|a|action(?:\ input)?|observation|step\ \d+|score|rating|confidence|word\ count|one\ sentence
        |(?:option|caption|answer)\ \#?\w)\ ?:
    | [ab1-9]\)\  )""",
    re.I | re.X,
)
_IN_OTHER_LANGUAGES = (
    *("es tut mir leid", "ich kann leider", "ich kann das", "ich kann diese", "ich sehe kein", "leider kann ich"),
    *("désolé", "je suis désolé", "je ne peux pas", "je ne vois", "lo siento", "no puedo", "no veo", "mi dispiace"),
    *("ich bin nicht in der lage", "ik zie geen", "nu pot", "画像が見え"),
    *("non posso", "non riesco", "non vedo", "desculpe", "não posso", "não consigo", "het spijt me", "ik kan"),
    *("tyvärr", "jag kan tyvärr", "beklager", "jeg kan ikke", "przepraszam", "nie mogę", "üzgünüm", "maaf", "xin lỗi"),
    *("извините", "к сожалению", "я не могу", "抱歉", "很抱歉", "非常抱歉", "我很抱歉", "我非常抱歉", "对不起"),
    *(
        "je suis dans l'impossibilité",
        "leider ist es",
        "no es posible",
        "non è possibile",
        "não é possível",
        "画像を表示",
    ),
    *("이미지를 볼 수", "изображение не"),
    *("無法", "我無法", "无法", "我无法", "我不能", "申し訳", "すみません", "죄송", "मुझे खेद", "عذر", "آسف"),
)
_AN_AI = re.compile(
    r"\b(?:AI|KI|IA)[- ](?:mod|assist|language)\w*|\b(?:en tant qu'|como |als )(?:IA|KI|AI)\b"
    r"|\b(?:sprachmodell|modèle de langage|modelo de lengua\w*|modello linguistico|языковая модель)"
    r"|人工智能|語言模型|语言模型",
    re.I,
)
_DANGLING = re.compile(r"(?:\b(?:an?|the|and|or|while)|:)$", re.I)
_QUOTED = re.compile(r'"[^"\n]*"|“[^”\n]*”')
_OFTEN = 3  # repetitions of a sentence that show that the model repeats itself
_LOOP = 7  # three-word sequences; with so many, a text of which fewer than half are distinct repeats itself
_FEWEST = 4  # a sentence with at least this many words of the prompt must be copied from it

_COMMAS = re.compile(r'("(?:\\.|[^"\\])*"?)|,(?=\s*[\]}])', re.S)
_CURLY = str.maketrans(dict.fromkeys("“”„‟", '"'))


class AnswerError(ModelError, ValueError):
    """An unusable answer. The message is sent to the model and, if no better answer comes, stored in the row."""


def plain(text: str, cut: bool) -> str:
    """An answer without thoughts, role tokens and other turns of the chat; `cut`: whether the model was stopped.

    Raises:
        AnswerError: it is far too long, a thought doesn't end, the answer was truncated, or nothing is left.
    """
    if cut:
        raise AnswerError("it was cut off because it is too long")
    if len(text) > _LONGEST:
        raise AnswerError(f"it is longer than {_LONGEST} characters")
    said = _without_thoughts(_UNSEEN.sub("", _SPACES.sub(" ", _BYTES.sub(_decoded, text).replace("\r\n", "\n"))))
    for pattern, instead in _CHAT:
        said = pattern.sub(instead, said)
    said = _own_turn(said).strip()
    if not said:
        raise AnswerError("it is empty")
    return said


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
        if _is_chat(sentence) or sentence.strip(" .!'\"").casefold() in _NOTHING:
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
    if _is_chat(said):
        raise AnswerError(f"it describes nothing: {said[:80]!r}")
    raise AnswerError(f"it is not JSON: {first}")


def _is_chat(sentence: str) -> bool:
    """Whether a sentence addresses the user or is about the model: a refusal, a question, thinking aloud."""
    said = sentence.replace("’", "'")
    return bool(_CHAT_WORDS.match(said) or _AN_AI.search(said)) or said.lstrip("¡¿(*_ ").casefold().startswith(
        _IN_OTHER_LANGUAGES
    )


def _decoded(tokens: re.Match[str]) -> str:
    return bytes.fromhex(tokens[0].replace("<0x", "").replace(">", "")).decode(errors="ignore")


def _without_thoughts(text: str) -> str:
    text = _CHANNEL.sub("", text)
    for _ in range(_NESTED):
        text = _INNERMOST.sub("", text)
    *_, text = _CLOSE.split(text)  # many chats begin inside a thought, so only its end is in the text
    if _OPEN.search(text) or re.search(r"<\|channel\|?>(?:analysis|commentary|thought)", text):
        raise AnswerError("its thought doesn't end: answer without thinking aloud")
    answers = _ANSWER.findall(text)
    return str(answers[-1][1]) if answers else text


def _without_spoken_thoughts(text: str) -> str:
    """The text without thoughts in plain words, as in "Thought: ... Answer: ..."."""
    if not _THINKS.match(text):
        return text
    _, *said = _SAYS.split(text)
    if not said:
        raise AnswerError("its thought doesn't end: answer without thinking aloud")
    return said[-1]


def _own_turn(text: str) -> str:
    """The model's own first turn, if it also wrote other turns of the chat."""
    before, *turns = _TURN.split(text)
    own = [before, *(said for role, said in zip(turns[::2], turns[1::2], strict=True) if role.casefold() in _MINE)]
    return next((said for said in own if said.strip()), "")


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
