"""What comes from outside is shown escaped and cut: one place that every line, page and subtitle uses."""

import json

import pytest

from storage.movies.subtitles import srt
from storage.printable import LINE, NAME, is_utf8, json_text, printable, printable_lines

EVIL = "\x1b[2J\x1b]0;owned\x07\r\n\x9b31m\x7f\u202egnp\u2028\u2066\0\udce9\ufeff" + "A" * 60_000
"""A title that clears the screen, sets the window's title, turns the line around, is not UTF-8, and does not end."""


def is_safe(text: str, breaks: str = "") -> bool:
    return is_utf8(text) and all(letter.isprintable() or letter in breaks for letter in text)


def test_control_characters_are_escaped_and_long_texts_cut() -> None:
    assert is_safe(printable(EVIL))
    assert printable(EVIL).startswith(r"\x1b[2J\x1b]0;owned\x07\r\n\x9b31m\x7f\u202egnp\u2028\u2066\x00\xe9\ufeffAAA")
    assert printable("A" * NAME) == "A" * NAME
    assert printable("A" * 60_000) == "A" * (NAME - 1) + "…"
    assert printable(printable(EVIL)[:100]) == printable(EVIL)[:100]


@pytest.mark.parametrize(
    "mark", ["\u200b", "\u200e", "\u200f", "\u061c", "\u2060", "\u206f", "\u180e", "\xad", "\u3164", "\uffa0"]
)
def test_marks_that_nobody_sees_are_shown(mark: str) -> None:
    assert printable(f"a{mark}b") == f"a{mark.encode('unicode_escape').decode()}b"


@pytest.mark.parametrize(
    "title", ["Amélie", "千と千尋の神隠し", "👩‍👩‍👧", "متروبوليس", "a\u00a0b", "C:\\films [1] <b>"]
)
def test_letters_of_all_languages_stay(title: str) -> None:
    assert printable(title) == title
    assert title in json_text({"title": title}) or "\\" in title


def test_lines_keep_their_breaks() -> None:
    text = printable_lines(f"first\n  second \x1b{EVIL}")
    assert is_safe(text, "\n")
    assert text.startswith("first\n  second \\x1b")


def test_json_says_all_and_shows_no_control_character() -> None:
    text = json_text({"title": EVIL})
    assert is_safe(text, "\n")
    assert json.loads(text) == {"title": EVIL}


def test_subtitles_are_lines_of_words() -> None:
    text = srt([(0, 1, f"one\n{EVIL}\x85two"), (1, 2, "-->\x1b")])
    assert is_safe(text.replace("\u200b", ""), "\n")
    assert len(text) < 2 * LINE
    assert text.startswith("1\n00:00:00,000 --> 00:00:01,000\none\n\\\u200bx1b[2J")
