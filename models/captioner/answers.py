"""What a vision-language model said, as a caption: whole sentences, or the reason why it is none."""

import re

from models.sentences import split

REFUSALS = re.compile(
    r"(i['’]m sorry|i am sorry|sorry[,.]|i (can't|can’t|cannot|am unable|'m unable)|as an ai\b)", re.I
)
LONGEST = 2000  # characters


def tidied(text: str, cut: bool) -> str:
    """One line, each sentence once; without its last sentence where the model was stopped inside it."""
    said = split(text)
    if cut and len(said) > 1:
        said = said[:-1]
    return " ".join(dict.fromkeys(said))


def fault(text: str, cut: bool) -> str:
    """Why `text` can't be a caption, or empty."""
    if not any(letter.isalpha() for letter in text):
        return "it is empty" if not text.strip() else f"it has no words: {text.strip()[:40]!r}"
    if len(tidied(text, cut)) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    if REFUSALS.match(text.strip()):
        return f"it describes nothing: {text.strip()[:80]!r}"
    if cut and len(split(text)) < 2:
        return "it was cut off inside its first sentence"
    return ""
