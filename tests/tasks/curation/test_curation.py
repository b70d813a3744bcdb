"""All stages of the curation on a drawn film, against its truth; and how their rows are joined."""

import json
from typing import Any

import numpy as np
import pytest

from models.autoregressive.script_tokens import CHARACTER, PLOT, SCENE_ELEMENT
from models.face import DlibConfig, QualityConfig
from models.sentence import MiniLmConfig, build
from storage.tables.rejects import REASONS
from storage.tables.schemas import character_id, row_id
from storage.tables.tables import Tables
from tasks import rows
from tasks.curation.faces import STAGE, owners
from tasks.curation.features import _note, describe, mirrored
from tasks.made import Made
from tests.tasks.conftest import DRAWN, Curated


def table(curated: Curated, name: str) -> list[dict[str, Any]]:
    return Tables(curated.storage).read(name, curated.work[name]).to_pylist()


def truth(curated: Curated) -> dict[str, Any]:
    told: dict[str, Any] = json.loads(curated.storage.read_bytes(DRAWN.rel.replace(".mp4", ".truth.json")))
    return told


def test_every_keyframe_has_one_row_in_each_table_of_keyframes(curated: Curated) -> None:
    wanted = [row_id(curated.film_id, second) for second in range(DRAWN.seconds)]
    for name in ("keyframes", "scripts", "features"):
        assert [row["row_id"] for row in table(curated, name)] == wanted
    frames = [row for row in table(curated, "captions") if row["subject"] == "frame"]
    assert [row["row_id"] for row in frames] == wanted


def test_shots_are_those_of_the_truth(curated: Curated) -> None:
    assert [row["shot"] for row in table(curated, "keyframes")] == [
        second["shot"] for second in truth(curated)["timeline"]
    ]


def test_people_are_found_where_the_truth_has_large_faces(curated: Curated) -> None:
    found = rows.grouped(table(curated, "characters"))
    seen = missed = 0
    for second in truth(curated)["timeline"]:
        boxes = found.get(row_id(curated.film_id, second["second"]), [])
        for person in second["appearances"]:
            x0, y0, x1, y1 = person["face"]
            middle = ((x0 + x1) / 2, (y0 + y1) / 2)
            inside = any(b["x0"] < middle[0] < b["x1"] and b["y0"] < middle[1] < b["y1"] for b in boxes)
            seen, missed = seen + inside, missed + (not inside and person["face_pixels"] > 48)
    assert seen > 3
    assert missed <= seen / 4


def test_each_person_has_a_caption_and_each_character_sentence_is_theirs(curated: Curated) -> None:
    captions = {row["subject"]: row["text"] for row in table(curated, "captions")}
    persons = rows.grouped(table(curated, "characters"))
    assert {subject for subject in captions if subject != "frame"} == {
        row["character_id"] for some in persons.values() for row in some
    }
    for script in table(curated, "scripts"):
        mine = persons.get(script["row_id"], [])
        assert script["characters"] == [captions[row["character_id"]] for row in mine]
        assert script["written_by"] == "template"
        assert all(text in script["text"] for text in script["plots"])


def test_faces_belong_to_persons_and_show_who_the_truth_says(curated: Curated) -> None:
    faces = table(curated, "faces")
    assert len({face["face_id"] for face in faces}) == len(faces)
    names: dict[int, set[str]] = {}
    for face in faces:
        assert face["character_id"].startswith(face["row_id"])
        assert np.frombuffer(face["embedding"], np.float32).shape == (128,)
        people = truth(curated)["timeline"][int(face["row_id"][-6:])]["appearances"]
        middle = (face["x0"] + face["x1"]) / 2
        nearest = min(people, key=lambda person: abs((person["face"][0] + person["face"][2]) / 2 - middle))
        if face["character"] >= 0:
            names.setdefault(face["character"], set()).add(nearest["character"])
    assert names
    assert all(len(who) == 1 for who in names.values()), names


def test_features_are_the_sentences_and_faces_of_the_tables(curated: Curated) -> None:
    scripts = {row["row_id"]: row for row in table(curated, "scripts")}
    faces = rows.grouped(table(curated, "faces"))
    for row in table(curated, "features"):
        script, kinds = scripts[row["row_id"]], row["sentence_kinds"]
        assert kinds.count(CHARACTER) == len(script["characters"])
        assert kinds.count(SCENE_ELEMENT) == len(script["scene_elements"])
        assert kinds.count(PLOT) == len(script["plots"])
        assert kinds == sorted(kinds)
        vectors = np.frombuffer(row["sentences"], np.float16).reshape(len(kinds), 384)
        assert np.linalg.norm(vectors.astype(np.float32), axis=1) == pytest.approx(1, abs=0.01)
        mine = sorted(face["character"] for face in faces.get(row["row_id"], []))
        assert sorted(row["face_characters"]) == mine[:5]


def test_model_rows_say_who_made_them(curated: Curated) -> None:
    for name in ("characters", "captions", "scripts", "faces"):
        for row in table(curated, name):
            assert row["backend"]
            assert row["revision"]
            assert row["licence"]


def test_a_face_goes_to_the_person_whose_head_it_is() -> None:
    left, right = (0.1, 0.1, 0.6, 1.0), (0.4, 0.1, 0.9, 1.0)
    on_left, on_right = (0.30, 0.15, 0.40, 0.30), (0.60, 0.15, 0.70, 0.30)
    assert owners([on_right, on_left], [left, right]) == [1, 0]
    assert owners([on_left], [right, left]) == [1]
    assert owners([(0.92, 0.1, 0.98, 0.2)], [left, right]) == [None]  # outside both boxes
    between = (0.45, 0.15, 0.55, 0.30)
    assert owners([between, on_left, on_right], [left, right]) == [None, 0, 1]  # a person has one face
    assert owners([], [left]) == []


def face(i: int, size: float, owner: str) -> dict[str, Any]:
    return {"face_id": f"f{i}", "character_id": owner, "x0": 0.0, "y0": 0.0, "x1": size, "y1": size}


def test_the_largest_face_comes_first_and_with_it_the_sentence_of_its_character() -> None:
    p = [character_id("r", i) for i in range(3)]
    script = {"characters": ["first", "second", "third"], "scene_elements": ["a place"], "plots": ["a plot"]}
    made = describe("r", script, [face(0, 0.1, p[0]), face(1, 0.3, p[2]), face(2, 0.5, "")])
    assert made.sentences == ["third", "first", "second", "a place", "a plot"]
    assert made.kinds == [CHARACTER, CHARACTER, CHARACTER, SCENE_ELEMENT, PLOT]
    assert [one["face_id"] for one in made.faces] == ["f1", "f0"]  # nobody's face would go with "second"
    alone = describe(
        "r", {"characters": ["first"], "scene_elements": [], "plots": []}, [face(0, 0.1, p[0]), face(1, 1, "")]
    )
    assert [one["face_id"] for one in alone.faces] == ["f0", "f1"]


def test_at_most_fifteen_sentences_and_five_faces_are_kept() -> None:
    script = {"characters": ["c"] * 5, "scene_elements": ["s"] * 9, "plots": ["p"] * 4}
    faces = [face(i, 0.1 * (i + 1), character_id("r", i)) for i in range(5)] + [face(5, 1, "")] * 2
    made = describe("r", script, faces)
    assert len(made.sentences) == len(made.kinds) == 15
    assert [one["face_id"] for one in made.faces] == ["f4", "f3", "f2", "f1", "f0"]


@pytest.mark.parametrize("answers", [["a"], ["a", "b", "b"], ["a", "c"], ["a", "b", "c"]])
def test_answers_that_are_lost_doubled_or_strange_are_refused(answers: list[str]) -> None:
    assert rows.by_row(["b", "a"], str, ["a", "b"]) == {"a": "a", "b": "b"}
    with pytest.raises(ValueError, match="answers"):
        rows.by_row(answers, str, ["a", "b"])


def test_faces_that_are_not_good_enough_keep_their_row_with_the_reason_and_stay_out_of_the_bank(
    curated: Curated,
) -> None:
    tall = [face for face in table(curated, "faces") if face["rejected"] == ""]
    limit = float(np.median([(face["y1"] - face["y0"]) * DRAWN.height for face in tall]))
    config = DlibConfig(quality=QualityConfig(smallest=limit))
    *_, made = STAGE.make(config, curated.storage, curated.work)(curated.film_id)
    assert isinstance(made, Made)
    found = made.tables["faces"].to_pylist()
    assert [face["face_id"] for face in found] == [face["face_id"] for face in table(curated, "faces")]
    small = [face for face in found if face["rejected"]]
    assert {face["rejected"] for face in small} == {"small"}
    assert 0 < len(small) < len(found)
    assert {face["character"] for face in small} == {-1}
    assert all(len(face["embedding"]) == 4 * config.width for face in small)


def test_sentences_that_are_cut_are_told_and_others_are_not() -> None:
    model = build(MiniLmConfig())
    long = "word " * 300
    note = _note(model, "film", ["A short one.", long])
    assert note is not None
    assert note.reason == "long_sentences"
    assert "1 of the 2 sentences of film film, such as 'word word" in note.detail
    assert _note(model, "film", ["A short one."]) is None
    assert note.reason in REASONS


def test_a_mirrored_sentence_exchanges_the_sides_and_nothing_else() -> None:
    said = "The top is brown on the left and bright on the right. Left of it stands one person."
    assert mirrored(said) == "The top is brown on the right and bright on the left. Right of it stands one person."
    assert mirrored(mirrored(said)) == said
    assert mirrored("The light is bright.") == "The light is bright."
