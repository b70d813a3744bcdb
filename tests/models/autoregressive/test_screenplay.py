"""What users may write, what becomes of it, what they are told; and back from the sequence to the script."""

import zlib

import numpy as np
import pytest

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.generate import GenerationConfig, Request, generate
from models.autoregressive.screenplay import Character, Keyframe, Screenplay, encode, read
from models.autoregressive.script_tokens import CHARACTER
from models.backbone import LlamaTinyBackbone

C, F, L, D = 12, 6, 2, 4


class Hashed:
    """A sentence encoder whose vectors depend on the sentence alone; it reads five words."""

    name, revision, licence, width = "hashed", "0", "none", C

    def encode(self, sentences):
        assert all(sentence.strip() for sentence in sentences)
        seeds = [zlib.crc32(sentence.encode()) for sentence in sentences]
        return np.stack([np.random.default_rng(seed).standard_normal(C).astype(np.float32) for seed in seeds])

    def too_long(self, sentences):
        return [sentence for sentence in sentences if len(sentence.split()) > 5]


FACES = {name: np.random.default_rng(i).standard_normal(F).astype(np.float32) for i, name in enumerate(("Ann", "Bob"))}

NOBODY = "keyframe 1: no characters, so the script doesn't say who is seen"
NO_PLOT = "keyframe 1: no plots, so the script doesn't say what happens, and there is no subtitle"


def one(**parts):
    scripts, notes = encode(Screenplay(keyframes=(Keyframe(**parts),)), Hashed(), FACES, F)
    return scripts[0], notes


def people(count: int, face: str = "Ann") -> tuple[Character, ...]:
    return tuple(Character(description=f"He is person {i}.", face=face) for i in range(count))


def test_a_whole_script_has_no_notes():
    script, notes = one(characters=people(2), scene_elements=("Rain.",), plots=("They wait.",))
    assert notes == []
    assert script.kinds.tolist() == [0, 0, 1, 2]
    assert np.array_equal(script.faces, np.stack([FACES["Ann"]] * 2))


def test_no_characters_and_no_plots_are_scripts_too():
    script, notes = one(scene_elements=("Rain.",))
    assert notes == [NOBODY, NO_PLOT]
    assert script.kinds.tolist() == [1]
    assert script.faces.shape == (0, F)


def test_an_empty_keyframe_is_told():
    script, notes = one()
    assert script.sentences.shape == (0, C)
    assert notes == ["keyframe 1: the script is empty, so this keyframe follows from the earlier ones alone"]
    blank, said = one(plots=("", "  "), scene_elements=("Rain.",))
    assert len(blank.sentences) == 1
    assert said == ["keyframe 1: 2 empty plots are left out", NOBODY, NO_PLOT]


def test_of_forty_characters_the_first_five_enter():
    script, notes = one(characters=people(40), plots=("They wait.",))
    assert (script.kinds == CHARACTER).sum() == len(script.faces) == 5
    assert np.array_equal(script.sentences[0], Hashed().encode(["He is person 0."])[0])
    assert notes == ["keyframe 1: 40 characters, but only the first 5 are used: put the most important ones first"]


def test_too_many_scene_elements_and_plots():
    script, notes = one(scene_elements=("Rain.",) * 9, plots=("They wait.",) * 9)
    assert len(script.sentences) == 7 + 3
    assert [note.split(",")[0] for note in notes[:2]] == ["keyframe 1: 9 scene elements", "keyframe 1: 9 plots"]


def test_what_is_too_long_is_told():
    script, notes = one(plots=("one two three four five six",))
    assert len(script.sentences) == 1
    assert notes[1].startswith("keyframe 1: too long for hashed, only its first words are read: 'one two")


@pytest.mark.parametrize("text", ["Женщина в зелёном.", "一个穿绿衣服的女人。", "امرأة في الأخضر"])
def test_other_scripts_are_encoded_and_told(text):
    script, notes = one(plots=(text,))
    assert len(script.sentences) == 1
    assert notes[0] == NOBODY
    assert "translate it" in notes[1]
    assert text in notes[1]


def test_emoji_without_words_are_encoded_and_told():
    script, notes = one(plots=("🌧️🏃",))
    assert len(script.sentences) == 1
    assert "'🌧️🏃' has no words" in notes[1]
    assert one(plots=("A man runs 🏃",))[1] == [NOBODY]


def test_unknown_characters_and_missing_faces_are_told_by_words_behind_those_with_a_face():
    nobody, unknown = Character(description="A guard."), Character(description="A cook.", face="Eve")
    script, notes = one(characters=(nobody, unknown, *people(1, "Bob")))
    assert np.array_equal(script.sentences, Hashed().encode(["He is person 0.", "A guard.", "A cook."]))
    assert np.array_equal(script.faces, FACES["Bob"][None])
    assert notes == [
        "keyframe 1: no face for 'A guard.': only the description is used",
        "keyframe 1: no face is called 'Eve': only the description is used. Given faces: Ann, Bob",
        NO_PLOT,
    ]


def test_a_face_without_words_gets_some():
    script, notes = one(characters=(Character(face="Ann"), Character()))
    assert np.array_equal(script.sentences, Hashed().encode(["A person."]))
    assert len(script.faces) == 1
    assert notes == [
        "keyframe 1: 1 characters without a description or a face are left out",
        "keyframe 1: 'Ann' has no description: 'A person.' is used",
        NO_PLOT,
    ]


def test_what_holds_for_many_keyframes_is_told_once():
    guard = Keyframe(characters=(Character(description="A guard."),), plots=("They wait.",))
    empty = Keyframe(scene_elements=("Rain.",))
    story = Screenplay(keyframes=(guard, guard, guard, empty, guard, empty, Keyframe()))
    assert encode(story, Hashed(), FACES, F)[1] == [
        "keyframes 1-3, 5: no face for 'A guard.': only the description is used",
        "keyframes 4, 6: no characters, so the script doesn't say who is seen",
        "keyframes 4, 6: no plots, so the script doesn't say what happens, and there is no subtitle",
        "keyframe 7: the script is empty, so this keyframe follows from the earlier ones alone",
    ]


@pytest.mark.parametrize(
    ("text", "foreign"),
    [
        ("Eine Frau geht langsam durch den Regen nach Hause.", True),
        ("blorp fnord quux zap wibble wobble gloop snark", True),
        ("Frau, Regen.", False),
        ("A woman walks slowly home through the rain at night.", False),
        ("Женщина медленно идёт домой под сильным дождём ночью одна.", False),  # which has a note of its own
    ],
)
def test_another_language_in_latin_letters_is_told_once(text, foreign):
    notes = encode(Screenplay(keyframes=(Keyframe(plots=(text,)),) * 3), Hashed(), FACES, F)[1]
    assert sum("doesn't look like English" in note for note in notes) == foreign


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "this is not JSON"),
        ("{}", "keyframes: field required"),
        ('{"keyframes": []}', "keyframes: tuple should have at least 1 item"),
        ('{"keyframes": [{"plot": "x"}]}', r"keyframes\.0\.plot: extra inputs are not permitted, got 'x'"),
        ('{"keyframes": [{"plots": [7]}]}', r"keyframes\.0\.plots\.0: input should be a valid string, got 7"),
        (
            r'{"keyframes": [{}, {"plots": ["Rain \ud83d"]}]}',
            r"keyframe 2, .*plots\.0: '\\ud83d' is a lone surrogate: remove it, got 'Rain \\ud83d'",
        ),
        (
            r'{"keyframes": [{"scene_elements": ["Rain\u0007"]}]}',
            r"keyframe 1, .*'\\x07' is a control character: remove it, got 'Rain\\x07'",
        ),
        (r'{"keyframes": [{"characters": [{"face": "a\u0000"}]}]}', r"keyframe 1, .*face: '\\x00' is a control"),
        (r'{"keyframes": [{"\ud83d": 1}]}', r"keyframe 1, .*unicode string, got '\\ud83d'"),
        ("[" * 100_000, r"brackets are nested too deeply: '\[\["),
        ('{"keyframes": ' + "[" * 900 + "]" * 900 + "}", r"keyframe 1, keyframes\.0: "),
        ('{"keyframes": [{"plots": ["a"], "plots": ["b"]}]}', "'plots' appears twice in .*: join the two"),
        ('{"keyframes": [{"characters": [{"face": "a", "face": null}]}]}', "'face' appears twice in .*: join the two"),
        ('{"keyframes": [], "keyframes": [{}]}', "'keyframes' appears twice in .*: join the two"),
    ],
)
def test_what_is_no_script_is_refused(text, says):
    with pytest.raises(ValueError, match=says):
        read(text)


def test_a_byte_order_mark_and_line_breaks_are_no_harm():
    assert read('\ufeff{"keyframes": [{"plots": ["A\\n\\tman."]}]}').keyframes[0].plots == ("A\n\tman.",)


def model(layout: str) -> AutoregressiveModel:
    config = AutoregressiveConfig(
        backbone=LlamaTinyBackbone(hidden=16, layers=1), layout=layout, width=D, sentence_width=C, face_width=F
    )
    return AutoregressiveModel.create(config).eval()


def test_whatever_was_written_a_movie_comes_out():
    odd = (
        Keyframe(),
        Keyframe(characters=people(40)),
        Keyframe(plots=("🌧️",)),
        Keyframe(scene_elements=("word " * 400,)),
    )
    scripts, notes = encode(Screenplay(keyframes=odd), Hashed(), FACES, F)
    assert len(notes) == 6
    (tokens_TLD,) = generate(model("paper"), [Request(scripts)], GenerationConfig(window=3, keep=1))
    assert tokens_TLD.shape == (4, L, D)
    assert tokens_TLD.isfinite().all()
