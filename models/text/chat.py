"""The model's own turn in the raw output of a chat model: thoughts, role tokens and other turns are removed."""

import re

from models.errors import ModelError

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


def _own_turn(text: str) -> str:
    """The model's own first turn, if it also wrote other turns of the chat."""
    before, *turns = _TURN.split(text)
    own = [before, *(said for role, said in zip(turns[::2], turns[1::2], strict=True) if role.casefold() in _MINE)]
    return next((said for said in own if said.strip()), "")
