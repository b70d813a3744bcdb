"""Turns a vision-language model's answer into a caption, or says why it is unusable."""

from models.captioner.captioner import PROMPTS
from models.text import prompts
from models.text.answers import prose
from models.text.chat import AnswerError
from models.text.sentences import split

LONGEST = 2000  # characters


def caption(text: str, cut: bool) -> str:
    """The caption as one line without repeated sentences; `cut`: whether the model was stopped.

    Raises:
        AnswerError: as models.text.answers.prose, and if it is too long.
    """
    said = prose(text, cut, prompts.read(PROMPTS).values())
    tidied = " ".join(dict.fromkeys(split(said)))
    if " " not in tidied and tidied.isascii():
        raise AnswerError(f"it is no sentence: {tidied[:80]!r}")
    if len(tidied) > LONGEST:
        raise AnswerError(f"it is longer than {LONGEST} characters")
    return tidied


def fault(text: str, cut: bool) -> str:
    """Why `text` can't be a caption, "" if it can."""
    try:
        caption(text, cut)
    except AnswerError as error:
        return str(error)
    return ""
