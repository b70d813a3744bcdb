"""Small files in the layouts of other benchmarks, made up here."""

import json
from pathlib import Path

import pytest

from storage.stories.reading import read
from storage.stories.story import Story
from storage.stories.writing import yaml_text


def story_of(path: Path, content: object) -> Story:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8-sig")
    return read(path)


def vistory_shot(setting: str, seen: list[str], plot: str) -> dict[str, object]:
    return {
        "index": 1,
        "Setting Description": {"en": setting, "ch": "x"},
        "Plot Correspondence": {"en": plot, "ch": "x"},
        "Characters Appearing": {"en": seen, "ch": []},
        "Static Shot Description": {"en": "They stand still.", "ch": "x"},
        "Shot Perspective Design": {"en": "Close-up", "ch": "x"},
    }


def test_vistorybench_is_read_with_its_pictures(tmp_path: Path):
    image = tmp_path / "07" / "image" / "Mia"
    image.mkdir(parents=True)
    for name in ("2.jpg", "1.jpg", "notes.txt"):
        (image / name).write_bytes(b"x")
    story = story_of(
        tmp_path / "07" / "story.json",
        {
            "Story_type": {"en": "Tale"},
            "Shots": [
                vistory_shot("A mill by a river.", ["Mia"], "Mia waits."),
                vistory_shot("A mill by a river.", ["Mia", "Nobody"], "Mia leaves."),
                vistory_shot("A road.", [], "It is empty."),
            ],
            "Characters": {"Mia": {"name_en": "Mia", "prompt_en": "A girl in green.", "tag": "realistic_human"}},
        },
    )
    assert story.title == "07"
    assert [(one.name, one.description, one.pictures) for one in story.cast] == [
        ("Mia", "A girl in green.", ("image/Mia/1.jpg", "image/Mia/2.jpg"))
    ]
    mill, road = story.scenes
    assert (mill.place, road.place) == ("A mill by a river", "A road")
    assert [(shot.characters, shot.plots, shot.size) for shot in mill.shots] == [
        (("Mia",), ("Mia waits. They stand still.",), "Close-up"),
        (("Mia",), ("Mia leaves. They stand still.",), "Close-up"),
    ]


@pytest.mark.parametrize("false", [False, "False"])
def test_storymem_goes_on_from_the_last_frame_where_it_does_not_cut(tmp_path: Path, false):
    scenes = [
        {"scene_num": 1, "video_prompts": ["A fox wakes.", "It runs."], "cut": [false, false]},
        {"scene_num": 2, "video_prompts": ["Snow falls.", "A fox sleeps."], "cut": [True]},
    ]
    story = story_of(tmp_path / "fox.json", {"story_name": "Fox", "story_overview": "A day.", "scenes": scenes})
    assert story.title == "Fox"
    assert [(placed.shot.plots[0], placed.shot.cut, placed.shot.seconds) for placed in story.shots()] == [
        ("A fox wakes.", True, 5),
        ("It runs.", False, 5),
        ("Snow falls.", True, 5),
        ("A fox sleeps.", True, 5),
    ]


def test_msvbench_is_read_with_its_people_places_and_cameras(tmp_path: Path):
    (tmp_path / "characters" / "01" / "Old_Tom").mkdir(parents=True)
    (tmp_path / "characters" / "01" / "Old_Tom" / "img.jpg").write_bytes(b"x")
    clip = {"id": 1, "characters": ["1"], "description": "Tom sits.", "shot_distance": "Long Shot"}
    story = story_of(
        tmp_path / "01.json",
        {
            "characters": [{"id": 1, "name": "Old Tom", "short": "a man", "description": "He is bald."}],
            "environments": [{"id": 1, "description": "A quay."}],
            "script": [{"scene": 1, "environment": 1, "clips": [{**clip, "camera_angle": "Low Angle Shot"}]}],
        },
    )
    assert [(one.name, one.description, one.pictures) for one in story.cast] == [
        ("Old Tom", "a man He is bald.", ("characters/01/Old_Tom/img.jpg",))
    ]
    assert [(one.name, one.description) for one in story.places] == [("Place 1", "A quay.")]
    (scene,) = story.scenes
    assert scene.place == "Place 1"
    assert scene.shots[0].characters == ("Old Tom",)
    assert (scene.shots[0].plots, scene.shots[0].size) == (("Tom sits.",), "Long Shot, Low Angle Shot")


def test_an_import_is_written_as_a_story_of_our_own(tmp_path: Path):
    story = story_of(tmp_path / "fox.json", {"scenes": [{"video_prompts": ["A: fox #1", "No"], "cut": []}]})
    (tmp_path / "fox.yaml").write_text(yaml_text(story), encoding="utf-8")
    assert read(tmp_path / "fox.yaml") == story


def test_a_character_whose_name_is_a_path_finds_no_pictures_elsewhere(tmp_path: Path):
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "1.jpg").write_bytes(b"x")
    for name in ("../../secret", "/secret", str(tmp_path / "secret"), ".."):
        who = {name: {"name_en": "Mia", "prompt_en": "x"}}
        content = {"Shots": [vistory_shot("A mill.", [name], "a")], "Characters": who}
        assert story_of(tmp_path / "07" / "story.json", content).cast[0].pictures == ()
