"""What a vision-language model said, as a caption: whole sentences, or the reason why it is none."""

from models import prompts
from models.answers import AnswerError, prose
from models.captioner.captioner import PROMPTS
from models.sentences import split

LONGEST = 2000  # characters


def caption(text: str, cut: bool) -> str:
    """One line, each sentence once; `cut` where the model was stopped.

    Raises:
        AnswerError: as models.answers.prose does, and when it is too long.
    """
    said = prose(text, cut, prompts.read(PROMPTS).values())
    tidied = " ".join(dict.fromkeys(split(said)))
    if len(tidied) > LONGEST:
        raise AnswerError(f"it is longer than {LONGEST} characters")
    return tidied


def fault(text: str, cut: bool) -> str:
    """Why `text` can't be a caption, or empty."""
    try:
        caption(text, cut)
    except AnswerError as error:
        return str(error)
    return ""
