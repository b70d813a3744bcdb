"""Scripts: the paper's format, who wrote them and why, and that nothing is invented."""

import re

import numpy as np
import pytest

from models.captioner import FrameFacts
from models.captioner.describer import Describer
from models.detector import Person
from models.writer import FilmWriterConfig, OwnWords, ScriptFacts, SmolLm2Config, TemplateConfig, build
from models.writer.script import Script, parts, render
from models.writer.smollm2 import invention
from models.writer.template import arrange, sentences
from storage.fingerprint import fingerprint

FRAME = "A close-up of one person on the left. The picture moves. The top is blue. The light is dim."
FACTS = ScriptFacts("f-000001", FRAME, ("A person on the left, close, wears red.",))


@pytest.fixture(scope="module")
def smollm2():
    return build(SmolLm2Config())


def test_the_template_sorts_sentences_and_adds_no_word():
    (script,) = build(TemplateConfig()).write([FACTS])
    assert script.plots == ("A close-up of one person on the left.", "The picture moves.")
    assert script.scene_elements == ("The top is blue.", "The light is dim.")
    assert script.characters == FACTS.character_captions
    assert (script.row_id, script.written_by, script.reason) == ("f-000001", "template", "the template was chosen")


def test_the_format_of_figure_16():
    script = arrange(FACTS, "")
    assert render(script) == (
        "Characters:\n- A person on the left, close, wears red.\n"
        "Scene Elements:\n- The top is blue.\n- The light is dim.\n"
        "Plots:\n- A close-up of one person on the left.\n- The picture moves."
    )
    assert [kind for kind, _ in parts(script)].count("identifier") == 3


def test_sections_without_descriptions_have_no_identifier():
    assert parts(Script("f-000001", (), ("It is red.",), (), "template")) == [
        ("identifier", "Scene Elements:"),
        ("description", "It is red."),
    ]


def test_at_most_fifteen_descriptions():
    many = ScriptFacts("r", " ".join(f"The wall is {i}. {i} people are seen." for i in range(20)), ("A person.",) * 9)
    script = arrange(many, "")
    assert [len(lines) for lines in script.sections()] == [5, 7, 3]
    with pytest.raises(ValueError, match="'r' has 6 entries under 'Characters:', at most 5"):
        Script("r", ("A person.",) * 6, (), (), "template")


def test_sentences_are_split_once_each():
    assert sentences("One. Two! One. ") == ["One.", "Two!"]
    assert sentences("") == []


def test_the_model_joins_the_facts_and_says_so(smollm2):
    (script,) = smollm2.write([FACTS])
    assert (script.written_by, script.reason) == ("llm", "")
    (plot,) = script.plots
    assert "close-up of one person on the left" in plot
    assert "the picture moves" in plot.lower()
    assert script.scene_elements == ("The top is blue.", "The light is dim.")


def test_what_the_model_can_not_do_is_left_to_the_template(smollm2):
    one_fact = ScriptFacts("f-000002", "The picture moves. The top is blue.")
    long = ScriptFacts("f-000003", "A person " + "very " * 60 + "near. The picture moves.")
    none = ScriptFacts("f-000004", "")
    short, too_long, empty = scripts = smollm2.write([one_fact, long, none])
    assert [script.row_id for script in scripts] == ["f-000002", "f-000003", "f-000004"]
    assert (short.written_by, short.reason) == ("template", "fewer than two facts to join")
    assert (too_long.written_by, too_long.reason) == ("template", "facts longer than 48 tokens")
    assert too_long.plots[1] == "The picture moves."
    assert empty.plots == ()


def test_sentences_do_not_depend_on_the_batch(smollm2):
    near = ("A wide shot of two people on the right.", "The picture moves fast.")
    far = ("No people are seen.", "A new shot begins.")
    assert smollm2._generate([near, far]) == smollm2._generate([near]) + smollm2._generate([far])


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("A close-up of one person on the left while the picture moves.", ""),
        ("The picture moves with a close-up of one person on the left.", ""),
        ("A close-up of two people on the left while the picture moves.", "broke up 'a close-up of one person"),
        ("A close-up of one person on the left while the picture moves slowly.", "added ['slowly']"),
        ("A close-up of one person on the left.", "broke up 'the picture moves'"),
        ("A close-up of one person on the left, the picture moves.", "unconnected"),
        ("A close-up of one person on the left and the picture moves and a dog.", "added"),
    ],
)
def test_invention_is_found(sentence, reason):
    found = invention(sentence, ("A close-up of one person on the left.", "The picture moves."))
    assert (reason in found) if reason else found == ""


def test_what_the_describer_says_is_split_as_ever():
    """Rows that describer and template have made stay as they are: their sentences end where they always did."""
    random = np.random.default_rng(0)
    for n in range(40):
        image = random.integers(0, 255, (8, 14, 3), dtype=np.uint8).repeat(8, 0).repeat(8, 1)
        persons = tuple(Person((0.2 * i, 0.1, 0.2 * i + 0.3, 0.9), 0.9) for i in range(n % 4))
        ((frame, *people),) = Describer().caption([FrameFacts("r", image, persons, motion=n, shot_second=n % 3)])
        for caption in (frame, *people):
            assert sentences(caption.text) == re.split(r"(?<=[.!?])\s+", caption.text)
        script = arrange(ScriptFacts("r", frame.text, tuple(one.text for one in people)), "")
        assert script.characters == tuple(one.text for one in people)


def test_what_was_written_is_forgotten_in_the_end(smollm2, monkeypatch):
    monkeypatch.setattr("models.writer.smollm2.MOST_KNOWN", 2)
    for number in range(6):
        (script,) = smollm2.write([ScriptFacts("r", f"The wall is {number}. {number} people are seen.")])
        assert script.row_id == "r"
        assert len(smollm2._written) <= 3


def test_how_many_are_written_together_changes_no_script():
    assert fingerprint(SmolLm2Config(batch=1)) == fingerprint(SmolLm2Config())
    assert fingerprint(SmolLm2Config(longest=8)) != fingerprint(SmolLm2Config())


def test_the_film_writer_takes_the_films_own_words_and_else_the_captions():
    own = OwnWords(("Mara has red hair.",), ("The harbour, at dusk.",), ("Mara waits.", "A close-up of Mara."))
    known, unknown = build(FilmWriterConfig()).write([ScriptFacts("a", FRAME, (), own), ScriptFacts("b", FRAME)])
    assert (known.written_by, known.sections()) == ("film", (own.characters, own.scene_elements, own.plots))
    assert unknown == arrange(ScriptFacts("b", FRAME), "the film's own words are not known, or not asked for here")
