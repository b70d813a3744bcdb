"""What the pools make: the same bits however the pieces are given to them."""

import io
import json

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

from storage.errors import ConfigError
from storage.stories.story import Named
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tasks.movies.stories import places, work
from tasks.movies.stories.gate import Gate, GateConfig, Judgement, Look, again
from tasks.movies.stories.plan import STAGES, Past
from tasks.movies.stories.planner import plan
from tests.storage.finished import finish
from tests.tasks.movies.stories import small
from tests.tasks.movies.stories.small import SETTINGS, edited, story
from tests.tasks.small_story import FILM, small_story


def make(storage, planned, batch=1, files=None):
    """All pieces in this process, as many together as their needs allow, without one that is there."""
    makes = {
        "scripts": lambda: work.scripts(planned.settings, files or {}, storage),
        "tokens": lambda: work.tokens(planned.settings, storage),
        "keyframes": lambda: work.keyframes(planned.settings, storage),
        "enlarged": lambda: work.enlarged(planned.settings, storage),
        "clips": lambda: work.clips(planned.settings, storage),
        "movies": lambda: work.movies(files or {}, storage),
        "pages": lambda: work.pages(files or {}, storage),
    }
    for stage in STAGES:
        left = {piece.name: piece for piece in planned.pieces() if piece.stage == stage}
        left = {name: piece for name, piece in left.items() if not storage.exists(rel(planned, name))}
        if left:
            does = makes[stage]()
        while left:
            some = [piece for piece in left.values() if not set(piece.needs) & set(left)][:batch]
            does(some)
            for piece in some:
                del left[piece.name]


def rel(planned, name):
    own = {"movies": places.movie_place(planned), "pages": places.page_place(planned)}
    return own.get(name[0]) or places.place(name)


def bits(storage, planned):
    return {piece.name: storage.read_bytes(rel(planned, piece.name)) for piece in planned.pieces()}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    storage = small.storage(tmp_path_factory.mktemp("whole"))
    planned = plan(story(), SETTINGS, {})
    make(storage, planned)
    return storage, planned


@pytest.mark.parametrize("batch", [3, 8])
def test_tokens_and_pictures_are_the_same_bits_however_many_are_made_together(tmp_path, whole, batch):
    storage = small.storage(tmp_path)
    planned = plan(story(), SETTINGS, {})
    make(storage, planned, batch)
    assert bits(storage, planned) == bits(*whole)


def test_what_an_edit_makes_anew_is_what_a_fresh_run_makes(tmp_path, whole):
    storage, _ = whole
    changed = plan(edited(story(), 1, plots=("Anna waits.", "Anna does thing 0.1.")), SETTINGS, {})
    make(storage, changed)
    fresh = small.storage(tmp_path)
    make(fresh, changed)
    assert bits(storage, changed) == bits(fresh, changed)


def test_every_keyframe_is_another_picture(whole):
    storage, planned = whole
    drawn = {storage.read_bytes(places.place(("keyframes", one.keyframe))) for one in planned.keyframes()}
    assert len(drawn) == 6


def test_a_cast_member_is_told_by_a_face_and_a_picture_without_one_is_named(tmp_path):
    storage = small.storage(tmp_path / "out")
    file = tmp_path / "ben.png"
    Image.fromarray(np.zeros((64, 64, 3), np.uint8)).save(file)
    one = story().model_copy(update={"cast": (Named(name="Anna", pictures=("ben.png",)),)})
    with pytest.raises(ConfigError, match=r"no face is found in '.*ben\.png': give 'Anna' a picture"):
        make(storage, plan(one, SETTINGS, {"ben.png": "aa"}), files={"aa": str(file)})
    file.write_text("no picture")
    with pytest.raises(ConfigError, match=r"ben\.png' is not a picture"):
        make(storage, plan(one, SETTINGS, {"ben.png": "aa"}), files={"aa": str(file)})


def test_a_place_with_a_picture_is_a_reference(tmp_path):
    storage = small.storage(tmp_path / "out")
    file = tmp_path / "kitchen.png"
    Image.effect_noise((80, 60), 90).convert("RGB").save(file)
    one = story(lines=1, scenes=1)
    shown = one.model_copy(update={"places": (Named(name="kitchen", pictures=("kitchen.png",)),)})
    made = {}
    for name, each, pictures in (("without", one, {}), ("with", shown, {"kitchen.png": "aa"})):
        planned = plan(each, SETTINGS, pictures)
        make(storage, planned, files={"aa": str(file)})
        made[name] = storage.read_bytes(places.place(("tokens", planned.shots[0].keyframes[0].tokens)))
    assert made["with"] != made["without"]


def test_a_keyframe_is_drawn_again_until_it_passes_and_the_best_is_kept(tmp_path):
    from dataclasses import replace

    storage = small.storage(tmp_path)
    gate = GateConfig(tries=3, sharpness=1e9)
    settings = replace(SETTINGS, stories=SETTINGS.stories.model_copy(update={"gate": gate}))
    planned = plan(story(lines=1, scenes=1), settings, {})
    make(storage, planned)
    key = planned.shots[0].keyframes[0].keyframe
    judged = places.judgement(storage, key)
    assert len(judged.tries) == 3
    assert judged.tries[judged.kept - 1].sharpness == max(one.sharpness for one in judged.tries)
    assert len({one.sharpness for one in judged.tries}) > 1
    assert all("sharpness" in one.faults[0] for one in judged.tries)
    picture = np.asarray(Image.open(io.BytesIO(storage.read_bytes(places.place(("keyframes", key))))))
    kept = judged.tries[judged.kept - 1]
    seen = Gate(gate, settings.face).look(picture, np.zeros((0, 128), np.float32), 0)
    assert abs(seen.sharpness - kept.sharpness) < 1
    assert json.loads(judged.model_dump_json())["kept"] == judged.kept


@pytest.mark.parametrize(
    ("tries", "more"),
    [
        ([((0.9,), 0)], True),
        ([((0.9,), 0), ((0.8,), 0)], True),
        ([((0.9,), 0), ((0.9,), 0)], False),
        ([((None, 0.7), 0), ((0.8, 0.7), 0)], True),
        ([((None,), 0), ((None,), 0)], False),
        ([((0.9,), 0), ((0.8,), 0), ((0.85,), 0)], False),
        ([((0.9,), 0), ((0.9,), 100)], True),
        ([((), 100), ((), 100)], True),
        ([((0.5,), 0)], False),
    ],
    ids=["a first", "a nearer", "an equal", "one that shows a face", "another without one", "one farther than the best",
         "a blurred", "a second blurred", "one that passes"],
)  # fmt: skip
def test_after_a_try_a_keyframe_is_drawn_again_where_that_may_help(tries, more):
    """Each try as the distances of the cast's faces and the least sharpness."""

    def look(faces, sharpness):
        strangers = sum((far or 2) > 0.6 for far in faces)
        faults = [f"{strangers} faces of the cast are not recognised"] if strangers else []
        faults += [f"sharpness 9.0 is below {sharpness}"] if sharpness > 9 else []
        return Look(light=100, spread=50, sharpness=9, faces=faces, strangers=strangers, faults=tuple(faults))

    assert again([look(*one) for one in tries]) == more


def test_black_flat_and_blurred_frames_are_told_apart():
    gate, nobody = Gate(GateConfig(), SETTINGS.face), np.zeros((0, 128), np.float32)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    ramp = np.repeat(np.arange(0, 256, 4, dtype=np.uint8)[:, None], 64, 1)
    pictures = {
        "light": noise // 32,
        "spread": np.full((64, 64, 3), 120, np.uint8),
        "sharpness": np.stack([ramp] * 3, -1),
    }
    assert gate.look(noise, nobody, 0).faults == ()
    for what, picture in pictures.items():
        assert any(what in fault for fault in gate.look(picture, nobody, 0).faults)


def test_the_try_with_the_fewest_faults_is_kept_then_the_likest_faces():
    plain = {"light": 100, "spread": 50, "sharpness": 9}
    tries = [
        Look(**plain, faces=(0.9, None), faults=("x",)),
        Look(**plain, faces=(0.5, 0.4)),
        Look(**plain, faces=(0.5, 0.3)),
        Look(**plain, faces=(0.5, 0.3)),
    ]
    assert Judgement.of(tries).kept == 3


def test_a_story_goes_on_from_the_last_keyframes_of_a_film(tmp_path):
    storage = small.storage(tmp_path)
    snapshot = small_story(storage)
    row_ids = [f"{FILM}-{second:06d}" for second in range(12)]
    shown = torch.randn(12, 2, 16, generator=torch.Generator().manual_seed(3)).numpy()
    rows = [
        {"row_id": row_id, "film_id": FILM, "fingerprint": "f00d", "second": second, "count": 2, "width": 16,
         "tokens": shown[second].tobytes(), "tokens_flipped": shown[second].tobytes()}
        for second, row_id in enumerate(row_ids)
    ]  # fmt: skip
    tables = Tables(storage)
    tables.commit("tokens", FILM, "f00d", pa.Table.from_pylist(rows, schema=SCHEMAS["tokens"]))
    finish(tables, "tokens", FILM, "f00d", 12)
    one = story(lines=2, scenes=2)
    plans = [
        plan(one, SETTINGS, {}, past=past)
        for past in (None, *(Past(snapshot.id, FILM, tuple(row_ids[-count:]), "f00d") for count in (3, 2)))
    ]
    made = []
    for planned in plans:
        make(storage, planned)
        made.append([storage.read_bytes(places.place(("tokens", one.tokens))) for one in planned.keyframes()])
    assert len({first for first, _ in made}) == 3
    assert len({second for _, second in made}) == 1  # another scene
