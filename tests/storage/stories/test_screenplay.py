import json

import pytest

from storage.errors import ConfigError
from storage.stories.reading import parse
from storage.stories.story import Story


def story_of(*keyframes: dict[str, object]) -> Story:
    return parse(json.dumps({"keyframes": keyframes}).encode(), "the light.json")


ADA = {"description": "A woman in a red coat.", "face": "ada.jpg"}
BO = {"description": "A man."}
HARBOUR = ["A harbour.", "Boats are moored."]


def test_a_script_of_one_entry_a_keyframe_becomes_scenes_shots_and_a_cast():
    story = story_of(
        {"characters": [ADA], "scene_elements": HARBOUR, "plots": ["She walks.", "It rains."]},
        {"characters": [ADA], "scene_elements": HARBOUR, "plots": ["She stops."]},
        {"characters": [ADA, BO], "scene_elements": HARBOUR, "plots": ["They meet."]},
        {"characters": [], "scene_elements": ["A room."]},
        {"characters": [], "scene_elements": ["A room."]},
    )
    assert story.title == "the light"
    assert [(one.name, one.description, one.pictures) for one in story.cast] == [
        ("A woman in a red coat", "A woman in a red coat.", ("ada.jpg",)),
        ("A man", "A man.", ()),
    ]
    assert [one.description for one in story.places] == ["A harbour.", "A room."]
    assert [one.description for one in story.props] == ["Boats are moored."]
    harbour, room = story.scenes
    assert [(shot.plots, len(shot.characters), shot.props, shot.cut) for shot in harbour.shots] == [
        (("She walks. It rains.", "She stops."), 1, ("Boats are moored",), True),
        (("They meet.",), 2, ("Boats are moored",), False),
    ]
    assert (room.place, len(room.shots)) == ("A room", 2)  # keyframes without plots keep their number


def test_two_people_of_one_description_get_two_names():
    story = story_of({"characters": [BO, {**BO, "face": "bo.jpg"}], "plots": ["They meet."]})
    assert story.scenes[0].shots[0].characters == ("A man", "A man (2)")


@pytest.mark.parametrize(
    ("keyframe", "said"),
    [
        ({"plots": ["a"], "plot": "b"}, "found 'plot', expected characters, plots, scene_elements"),
        ({"characters": [{"description": "x", "face": "a1b2/0"}]}, "is a face of a film"),
        ({"characters": [{"description": "x", "face": "../ada.jpg"}]}, "leaves the story's folder"),
    ],
)
def test_what_a_story_cannot_say_is_told(keyframe, said):
    with pytest.raises(ConfigError) as told:
        story_of({"plots": ["a"], "scene_elements": ["b"]}, keyframe)
    assert said in str(told.value)
