"""The sentence encoder: unit vectors that depend on the sentence alone."""

import numpy as np
import pytest

from models.sentence import MiniLmConfig, build
from models.sentence.minilm import phrases


@pytest.fixture(scope="module")
def encoder():
    return build(MiniLmConfig())


def test_vectors_are_unit_length_and_in_order(encoder):
    vectors = encoder.encode(["The top is blue.", "A man rides a horse.", "The top is blue."])
    assert vectors.shape == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_other_sentences_beside_it_do_not_change_a_vector(encoder):
    text = "The light is dim."
    alone = build(MiniLmConfig()).encode([text])
    beside = encoder.encode([text, "The top is blue on the left, red in the centre and black on the right."])
    np.testing.assert_array_equal(alone[0], beside[0])


def test_meaning_is_nearer_than_nonsense(encoder):
    a, b, c = encoder.encode(["A man rides a horse.", "Someone rides a pony.", "The stock market fell."])
    assert a @ b > 0.25 > 0.1 > a @ c


@pytest.mark.parametrize(
    ("sentence", "expected"),
    [
        ("Ann, a woman with black hair, in a red coat.", ["Ann", "a woman", "black hair", "a red coat"]),
        ("Silas: pale skin, round glasses.", ["Silas", "pale skin", "round glasses"]),
        ("On the left Elio, on the right Idris.", ["On the left Elio", "on the right Idris"]),
        ("She wears 2.5 in a row", ["She", "2.5", "a row"]),
        ("In the rain.", ["In the rain"]),
        ("and", ["and"]),
        ("...", ["..."]),
        ("她走进房间。", ["她走进房间。"]),
    ],
)
def test_a_sentence_is_cut_into_its_phrases(sentence, expected):
    assert phrases(sentence) == expected


def test_what_goes_with_what_can_be_told(encoder):
    said = "A woman with {} hair and a {} belt, in a {} dress."
    mine, same, exchanged = encoder.encode(
        [said.format("black", "red", "blue"), "In a blue dress with a red belt, a woman with black hair.",
         said.format("blue", "black", "red")]
    )  # fmt: skip
    assert mine @ same > 0.9 > mine @ exchanged + 0.1


def test_nothing_and_empty_sentences(encoder):
    assert encoder.encode([]).shape == (0, 384)
    with pytest.raises(ValueError, match="sentence 1 of 2 is empty"):
        encoder.encode(["A.", " "])
