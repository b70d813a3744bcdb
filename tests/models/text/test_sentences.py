"""Sentences are split as people read them, in any language; what a text encoder can't read whole is shortened."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.text.sentences import MOST_TOKENS, fitted, split, tokens


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("One. Two! Three? ", ["One.", "Two!", "Three?"]),
        ("", []),
        (" \n ", []),
        ("no full stop", ["no full stop"]),
        ("Dr. Ann Lee met J. R. Jones at 5 p.m. in St. Louis. They left.",
         ["Dr. Ann Lee met J. R. Jones at 5 p.m. in St. Louis.", "They left."]),
        ("It is 5 p.m. The sun sets.", ["It is 5 p.m.", "The sun sets."]),
        ("Cups, plates, etc. stand there, e.g. a jug. One fell.", ["Cups, plates, etc. stand there, e.g. a jug.",
                                                                  "One fell."]),
        ("No. 5 is red. He says no. Then he goes.", ["No. 5 is red.", "He says no.", "Then he goes."]),
        ("It is me and I. She left.", ["It is me and I.", "She left."]),
        ("It costs 3.50 at www.shop.com today. Cheap.", ["It costs 3.50 at www.shop.com today.", "Cheap."]),
        ("He waits... and leaves. She sighs… Then it rains...", ["He waits... and leaves.", "She sighs…",
                                                                 "Then it rains..."]),
        ('"Stop!" he cries. "Why?" She runs.', ['"Stop!" he cries.', '"Why?"', "She runs."]),
        ("He ran (fast.) Then “slowly.” What?! Yes.", ["He ran (fast.)", "Then “slowly.”", "What?!", "Yes."]),
        ("a man stands. he looks left.", ["a man stands.", "he looks left."]),
        ("她走进房间。天很黑！你是谁？「你好。」", ["她走进房间。", "天很黑！", "你是谁？", "「你好。」"]),
        ("男が歩く。雨だ。", ["男が歩く。", "雨だ。"]),
        ("Er kam z.B. nie. Ein Haus?", ["Er kam z.B. nie.", "Ein Haus?"]),
        ("Он стоит. Она идёт!", ["Он стоит.", "Она идёт!"]),
        ("¿Qué pasa? Sr. Gómez ríe. M. Petit part.", ["¿Qué pasa?", "Sr. Gómez ríe.", "M. Petit part."]),
        ("वह घर गया। वह सो गया।", ["वह घर गया।", "वह सो गया।"]),
        ("ماذا؟ نعم.", ["ماذا؟", "نعم."]),
        ("What a day! 🎉🎉 The sun shines. ☀️ Good 👍🏽 one.",
         ["What a day! 🎉🎉", "The sun shines. ☀️", "Good 👍🏽 one."]),
        ("- a man\n- a dog runs. It barks.\n\n1. A cat.\n2) A hat", ["a man", "a dog runs.", "It barks.", "A cat.",
                                                                    "A hat"]),
    ],
)  # fmt: skip
def test_sentences(text: str, sentences: list[str]) -> None:
    assert split(text) == sentences


@given(st.text(alphabet='ab .!?…。"”)\n-1A🎉', max_size=60))
def test_no_letter_is_lost_and_no_sentence_is_empty(text: str) -> None:
    said = split(text)
    assert all(sentence == sentence.strip() != "" for sentence in said)
    letters = [one for one in text if one.isalpha()]
    assert [one for sentence in said for one in sentence if one.isalpha()] == letters


def test_what_fits_stays_as_it_is() -> None:
    for text in ("A man walks.", "走" * 70, "A man walks. " * 40):
        assert tokens(text) <= MOST_TOKENS
        assert fitted(text) == text


def test_a_long_text_loses_its_last_sentences() -> None:
    text = " ".join(f"Sentence number {n} is here." for n in range(100))
    short = fitted(text)
    assert text.startswith(short)
    assert short.endswith(" is here.")
    assert tokens(short) <= MOST_TOKENS < tokens(f"{short} Sentence number 50 is here.")


def test_a_long_sentence_ends_after_a_clause_or_a_word() -> None:
    clauses = fitted("he walks on and on, " * 60)
    assert clauses.endswith("he walks on and on…")
    assert tokens(clauses) <= MOST_TOKENS < tokens(clauses) + 8
    words = fitted("walk " * 400)
    assert words.endswith("walk…")
    assert 240 < tokens(words) <= MOST_TOKENS
    chinese = fitted("他走在街上，" * 100)
    assert chinese.endswith("他走在街上…")
    assert tokens(chinese) <= MOST_TOKENS


@given(st.text(alphabet="abc é走🎉,;.", min_size=1, max_size=80), st.integers(4, 20))
def test_whatever_is_given_fits_afterwards(text: str, most: int) -> None:
    assert tokens(fitted(text, most)) <= max(most, tokens("…"))
