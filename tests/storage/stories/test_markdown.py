import pytest

from storage.errors import ConfigError
from storage.stories.reading import parse
from storage.stories.story import Line

STORY = """\
---
title: The light
cast: [Ada, {name: Bo Ash, description: A man.}, {Will: A boy.}]
places: {Old Harbour: A harbour.}
---
Before any heading, Will
waits.

# Old Harbour

> Night falls.

- Ada will come in.
- Bo Ash follows,
  slowly.

> Ada: Where is he?
> Nobody: it answers
> itself.

***

Nothing moves. <!-- a note of mine
- Ada leaves -->

## Elsewhere
An empty road.
"""


def test_headings_are_scenes_paragraphs_and_lists_shots_and_quotations_lines():
    story = parse(STORY.encode(), "story.md")
    assert [(scene.title, scene.place) for scene in story.scenes] == [
        ("", ""),
        ("Old Harbour", "Old Harbour"),
        ("Elsewhere", ""),
    ]
    first, second, third, fourth = (placed.shot for placed in story.shots())
    assert (first.plots, first.characters) == (("Before any heading, Will waits.",), ("Will",))
    assert (second.plots, second.characters) == (
        ("Ada will come in.", "Bo Ash follows, slowly."),
        ("Ada", "Bo Ash"),
    )
    assert second.lines == (
        Line(text="Night falls."),
        Line(speaker="Ada", text="Where is he?"),
        Line(text="Nobody: it answers itself."),
    )
    assert (third.plots, third.characters) == (("Nothing moves.",), ())
    assert fourth.plots == ("An empty road.",)


@pytest.mark.parametrize(
    ("heading", "title"),
    [
        ("# The C#", "The C#"),
        ("# Room # 5 ##", "Room # 5"),
        ("###### 1984 #\t", "1984"),
        ("# a" + " " * 200_000 + "b", "a b"),
    ],
    ids=["sign", "closed", "short", "blanks"],
)
def test_only_signs_that_close_a_heading_are_not_part_of_it(heading, title):
    assert parse(f"---\ntitle: x\n---\n{heading}\n\nRain.\n".encode(), "story.md").scenes[0].title == title


def test_the_first_heading_is_the_title_where_no_yaml_stands_on_top():
    story = parse(b"# The light\n\n## Dawn\n\nThe sun rises.\n", "story.md")
    assert (story.title, story.scenes[0].title, story.scenes[0].shots[0].plots) == (
        "The light",
        "Dawn",
        ("The sun rises.",),
    )


def test_with_scenes_on_top_the_text_below_is_a_note():
    story = parse(b"---\ntitle: x\nscenes: [{shots: [a]}]\n---\n# My notes\n- b\n", "story.md")
    assert [shot.plots for shot in story.scenes[0].shots] == [("a",)]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("---\ntitle: x\n", "line 1: the YAML on top doesn't end"),
        ("---\ntitle: x\n---\n", "line 4: it has no scenes"),
        ("---\nwords\n---\nText.", "line 2: the YAML on top has no fields"),
        ("---\ntitle: x\ncast: [Ada]\n---\n\n# Dawn\n", "line 6: this scene has no shots"),
        ("Text.", "`title` is missing"),
        ("---\ntitle: x\nhue: red\n---\nText.", "line 3: found 'hue'"),
    ],
)
def test_faults_have_the_lines_of_the_file(text, said):
    with pytest.raises(ConfigError) as told:
        parse(text.encode(), "story.md")
    assert said in str(told.value)
