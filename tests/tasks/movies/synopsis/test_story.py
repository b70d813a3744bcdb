"""A synopsis as a story: its sentences are the plots, and the rest follows from them."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.writer.choices import Choice
from storage.errors import ConfigError
from storage.stories.reading import parse
from storage.stories.story import Line, Story
from storage.stories.text import decoded
from storage.stories.writing import yaml_text
from tasks.movies.synopsis.story import chosen, story_of

LIGHT = """\
The last light

Ada, an old woman in a blue coat, keeps the lighthouse at the harbour.
Every evening she looks at the sea and waits.
Bo arrives on a boat in the storm. He is
a young man with a black beard.
"The light is broken," Ada says.

Mira finds the key in the forest.
In the village, Mira, Ada and Bo light the lantern together.
They dance.
Rain falls.
"""
SENTENCES = [
    "Ada, an old woman in a blue coat, keeps the lighthouse at the harbour.",
    "Every evening she looks at the sea and waits.",
    "Bo arrives on a boat in the storm.",
    "He is a young man with a black beard.",
    '"The light is broken," Ada says.',
    "Mira finds the key in the forest.",
    "In the village, Mira, Ada and Bo light the lantern together.",
    "They dance.",
    "Rain falls.",
]


def plots(story: Story) -> list[str]:
    return [plot for placed in story.shots() for plot in placed.shot.plots]


def heard(story: Story) -> list[Line]:
    return [line for placed in story.shots() for line in placed.shot.lines]


def seen(story: Story) -> dict[str, tuple[str, ...]]:
    return {placed.shot.plots[0]: placed.shot.characters for placed in story.shots()}


def test_each_sentence_is_a_plot_word_for_word_in_order():
    story = story_of(LIGHT, "x").story
    assert story.title == "The last light"
    assert plots(story) == SENTENCES


def test_people_are_found_by_their_names_and_pronouns():
    story = story_of(LIGHT, "x").story
    assert [one.name for one in story.cast] == ["Ada", "Bo", "Mira"]
    assert story.cast[0].description == "An old woman in a blue coat."
    by_plot = seen(story)
    assert by_plot["Every evening she looks at the sea and waits."] == ("Ada",)
    assert by_plot["He is a young man with a black beard."] == ("Bo",)
    assert by_plot["They dance."] == ("Mira", "Ada", "Bo")
    assert by_plot["Rain falls."] == ()


def test_a_part_of_a_name_is_the_same_person_and_who_is_described_apart_is_another():
    story = story_of(
        "Old Tom: a man with a white beard\nAnn Lee: a woman\nAnn: a girl\n\nOld Tom rows.\nDr. Lind waves at Tom.\n"
        'Tom: "Hello."\nLind smiles.\nAnn sings.\n',
        "x",
    ).story
    assert [one.name for one in story.cast] == ["Old Tom", "Ann Lee", "Ann", "Lind"]
    assert list(seen(story).values()) == [("Old Tom",), ("Lind", "Old Tom"), ("Lind",), ("Ann",)]
    assert [line.speaker for line in heard(story) if line.speaker] == ["Old Tom"]


def test_they_are_at_least_two_of_whom_was_named_last():
    by_plot = seen(story_of("Ada and Bo walk. Bo holds a lantern. They go on. Mira comes. They talk.", "x").story)
    assert by_plot["They go on."] == ("Bo", "Ada")
    assert by_plot["They talk."] == ("Mira", "Bo")


@pytest.mark.parametrize("words", ["beside a house", "behind the old house", "outside of his house", "from the room"])
def test_who_is_outside_of_a_house_is_not_in_its_room(words):
    story = story_of(f"Bo walks through the village. Bo waits {words} and looks around. He smiles.", "x").story
    assert [place.name for place in story.places] == ["the village"]


def test_a_look_that_the_synopsis_does_not_give_is_added_told_and_the_same_each_time():
    first, second = story_of(LIGHT, "x"), story_of(LIGHT, "x")
    assert first == second
    mira = first.story.cast[2].description
    assert mira.startswith(("A young", "A middle-aged"))
    assert any(told.startswith("Mira: how they look was added") for told in first.added)
    assert len({one.description for one in first.story.cast}) == 3


def test_scenes_begin_at_paragraphs_headings_and_other_places():
    story = story_of(LIGHT, "x").story
    assert [(scene.place, len(scene.shots)) for scene in story.scenes] == [
        ("the harbour", 5),
        ("the forest", 1),
        ("the village", 3),
    ]
    headed = story_of("# A day\n\n## Dawn\n\nThe sun rises.\n## Dusk\nThe sun sets.", "x").story
    assert headed.title == "A day"
    assert [(scene.title, scene.shots[0].plots) for scene in headed.scenes] == [
        ("Dawn", ("The sun rises.",)),
        ("Dusk", ("The sun sets.",)),
    ]


def test_what_somebody_says_is_heard_and_the_narrator_speaks_every_other_sentence_once():
    lines = heard(story_of(LIGHT, "x", keyframes=20).story)
    told = [("Ada", "The light is broken.") if "broken" in one else ("", one) for one in SENTENCES]
    assert [(line.speaker, line.text) for line in lines] == told
    text = "Ada: a woman in red.\nBo: a man in green.\nAda meets Bo.\nBo: “Good evening.”"
    story = story_of(text, "x").story
    assert [one.description for one in story.cast] == ["A woman in red.", "A man in green."]
    assert plots(story) == ["Ada meets Bo."]
    assert [line.text for line in story.scenes[0].shots[0].lines] == ["Good evening."]


@pytest.mark.parametrize(("who", "speaker"), [("he says", "Bo"), ("says Ada", "Ada"), ("they both say", "")])
def test_a_pronoun_speaks_for_the_person_that_it_means(who, speaker):
    *_, line = heard(story_of(f"Ada sleeps. Bo meets Ada. Bo laughs. “Good evening,” {who}.", "x").story)
    assert (line.speaker, bool(line.speaker)) == (speaker, line.text == "Good evening.")


def test_more_keyframes_repeat_sentences_or_show_people_and_never_change_a_sentence():
    verbatim = story_of(LIGHT, "x", keyframes=20, verbatim=True).story
    assert len(plots(verbatim)) == 20
    assert list(dict.fromkeys(plots(verbatim))) == SENTENCES
    free = plots(story_of(LIGHT, "x", keyframes=20).story)
    assert len(free) == 20
    assert [plot for plot in dict.fromkeys(free) if plot in SENTENCES] == SENTENCES
    assert "A close-up of Ada." in free
    assert free[0].startswith("A harbour with a lighthouse")
    rain = [placed.shot.size for placed in story_of("Rain falls.", "x", keyframes=3).story.shots()]
    assert rain == ["wide shot", "very wide shot", "wide shot"]


def test_a_place_that_was_shown_empty_needs_no_wide_shot_of_people():
    for keyframes, sizes in ((1, ["wide shot"]), (2, ["very wide shot", "medium shot"])):
        story = story_of("Ada walks along the beach.", "x", keyframes=keyframes).story
        assert [placed.shot.size for placed in story.shots()] == sizes


@pytest.mark.parametrize(("text", "keyframes"), [("", None), ("\n \n", None), ("# Title only\n", None), (LIGHT, 3)])
def test_no_sentence_and_too_few_keyframes_are_told(text, keyframes):
    with pytest.raises(ConfigError, match="sentence"):
        story_of(text, "x", keyframes)


class Always:
    name = "a model\nof mine"

    def __init__(self, *answers: str) -> None:
        self.asked: list[Choice] = []
        self._answers = answers

    def choose(self, choices: Sequence[Choice]) -> list[str]:
        self.asked += choices
        return [self._answers[i % len(self._answers)] for i in range(len(choices))]


def test_a_model_chooses_only_sizes_that_no_rule_decides_and_is_named_above_them():
    written = story_of(LIGHT, "x")
    model = Always("close-up", "")
    story, heads = chosen(written, model)
    assert plots(story) == SENTENCES
    assert [one.text for one in model.asked] == [plots(story)[number - 1] for number in written.unsure]
    assert list(heads) == written.unsure[::2]
    changed = [
        placed.number
        for placed, before in zip(story.shots(), written.story.shots(), strict=True)
        if placed.shot != before.shot
    ]
    assert changed == written.unsure[::2]
    text = yaml_text(story, heads, "top")
    assert "  # close-up: chosen by a model\\nof mine\n" in text
    assert parse(text.encode(), "story.yaml") == story


@pytest.mark.parametrize(
    "text",
    [
        "艾达在海边等待。船来了。\n\n她笑了。",
        "Der alte Mann geht in den Wald. Das Kind wartet am Hafen. Die Frau sieht den Mann und das Kind an der Mühle.",
        "No: “yes”\nOn. Null ~ = : 12:30 #5 *x &y !z\n- a\n- b: c",
        "A \x7f".replace("\x7f", "\u00a0") + "lone sentence without an end",
        "Will will wait. Will you? " * 300,
    ],
)
def test_any_text_becomes_a_story_that_reads_back(text):
    written = story_of(text, "x", verbatim=True)
    assert parse(yaml_text(written.story).encode(), "story.yaml") == written.story
    assert not [one for one in written.story.cast if one.name in ("Der", "Das", "Mann")]


@settings(max_examples=40, deadline=None, derandomize=True)
@given(st.lists(st.sampled_from([*LIGHT.splitlines(), "# ", "Ada: ", "“", "x" * 300]) | st.text(max_size=30)))
def test_any_lines_become_a_story_that_reads_back_or_are_refused(lines):
    try:
        text = decoded("\n".join(lines).encode("utf-8", "surrogatepass"), "synopsis.txt")
        story = story_of(text, "x").story
    except ConfigError:
        return
    assert parse(yaml_text(story).encode(), "story.yaml") == story


@pytest.mark.parametrize(
    "text",
    [
        "Der Hafen liegt im Nebel. Anna wartet am Kai auf ihren Bruder, z. B. bei Regen. Karl sieht das Licht.",
        "Le port est dans la brume. Marie attend son frère. Le vieux pêcheur Jean voit la lumière au loin.",
        "El puerto está en la niebla. María espera a su hermano. Juan ve la luz del faro.",
        "港口笼罩在雾中。小明在码头等他的弟弟。他看见了灯光。",
        "Гавань в тумане. Анна ждёт брата. Старый рыбак видит свет.",
    ],
)
def test_a_text_in_another_language_keeps_its_sentences_and_is_told_what_is_uncertain(text: str):
    written = story_of(text, "x", verbatim=True)
    assert "".join(plots(written.story)).replace(" ", "") == text.replace(" ", "")
    assert len(plots(written.story)) == 3
    assert written.added[0].startswith("the text doesn't look English")


def test_a_person_of_any_script_is_described_on_a_line_of_its_own():
    story = story_of("小明: a young man in a red coat\n\n港口笼罩在雾中。小明在码头等他的弟弟。", "x").story
    assert [one.name for one in story.cast] == ["小明"]


def test_an_english_text_is_not_called_foreign():
    assert not any("English" in line for line in story_of(LIGHT, "x").added)
