"""File names from titles: legal, readable, and no two of them the same on any file system."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage.movies.names import MOST_BYTES, file_names


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("The Letter", "The Letter"),
        ("1984", "1984"),
        ("Who's there? — “Ann/Ben”: <b>", "Who's there- — “Ann-Ben”- -b"),
        ("../../etc/passwd", "etc-passwd"),
        ("-rf *", "rf"),
        ("CON", "CON_"),
        ("nul.mp4", "nul.mp4_"),
        (" . ", "movie"),
        ("", "movie"),
        ("a\x00b\n\x1b[2J\u202ec", "a b [2J c"),
        ("Ame\u0301lie", "Am\u00e9lie"),
        ("七人の侍", "七人の侍"),
        ("100%03d", "100-03d"),
    ],
)
def test_a_title_stays_readable_and_becomes_legal(title, name):
    assert file_names([title]) == [name]


def test_equal_titles_get_numbers_whatever_their_case_or_accents():
    titles = ["Amélie", "AMÉLIE", "Ame\u0301lie", "Amélie (2)", "Ａmélie", "Straße", "STRASSE"]
    assert file_names(titles) == [
        *("Amélie", "AMÉLIE (2)", "Amélie (3)", "Amélie (2) (2)", "Ａmélie (4)", "Straße", "STRASSE (2)"),
    ]


def test_long_titles_are_cut_between_characters():
    (name,) = file_names(["é" * 200])
    assert name == "é" * (MOST_BYTES // 2)
    (name,) = file_names(["x" * (MOST_BYTES - 3) + "e\u0323\u0301" * 4])
    assert name == "x" * (MOST_BYTES - 3)  # the accent above would be lost
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    (name,) = file_names([family * 40])
    assert name == family * (MOST_BYTES // len(family.encode()))
    both = file_names(["A" * 60_000] * 2)
    assert [len(one.encode()) for one in both] == [MOST_BYTES, MOST_BYTES]
    assert both[1].endswith("A (2)")


@given(st.lists(st.text(), max_size=8))
def test_names_are_legal_and_differ(titles):
    names = file_names(titles + titles[:1])
    assert len({unicodedata.normalize("NFD", name.casefold()) for name in names}) == len(names)
    for name in names:
        assert 0 < len(name.encode()) <= MOST_BYTES
        assert not set(name) & set('/\\:*?"<>|\x00\n\t')
        assert name[0] not in " .-"
        assert name[-1] not in " ."


def test_thousands_of_equal_titles_are_named_quickly():
    assert file_names(["The End"] * 5000)[-1] == "The End (5000)"
