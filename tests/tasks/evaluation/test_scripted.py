"""Results beside their story: a degradation moves the metrics that it should; what doesn't fit is told."""

import numpy as np
import pytest

from models.captioner.colours import NAMES
from models.metrics import script
from models.metrics.characters import OF_IDENTITY
from models.metrics.keyframes import Keyframes, words
from models.metrics.networks import KeyframeMetricsConfig
from storage.root import Storage
from storage.stories.reading import parse
from tasks.evaluation import scripted
from tasks.evaluation.stage import Looks

SHOTS = 8
STORY = parse(
    b"""title: a
cast: [{name: Ann}, {name: Bob}]
scenes:
  - shots:
"""
    + b"".join(
        f"      - {{characters: [Ann, Bob], size: '{size}', plot: They meet.}}\n".encode()
        for size in ("wide shot", "close-up") * (SHOTS // 2)
    ),
    "a.yaml",
)
WHO = {"Ann": [1.0, 0.0, 0.0, 0.0], "Bob": [0.0, 1.0, 0.0, 0.0]}
TALL = (0.05, 0.3)  # faces in a wide shot and in a close-up


def face(name, shot, colour="red", taller=1.0, angle=0.35):
    turned = np.array(WHO[name]) * np.cos(angle) + np.array([0, 0, (-1) ** shot, 0]) * np.sin(angle)
    return turned, taller * TALL[shot % 2], colour


def shown():
    return [[face("Ann", shot), face("Bob", shot, "blue", 1.2)] for shot in range(SHOTS)]


def keyframes(story, pictures):
    every = [one for faces in pictures for one in faces]
    arrays = {
        "counts": np.array([len(faces) for faces in pictures], np.float32),
        "boxes": np.array([[0, 0, 0.1, tall] for _, tall, _ in every], np.float32).reshape(-1, 4),
        "faces": np.array([vector for vector, _, _ in every], np.float32).reshape(-1, 4),
        "clothes": np.array([NAMES.index(colour) for _, _, colour in every], np.float32),
    }
    vectors = {"faces": arrays, "style": {"style": np.ones((len(pictures), 2))}}
    return Keyframes(story, [f"{story}/{n}" for n in range(1, len(pictures) + 1)], lambda one: vectors.get(one, {}))


REFERENCES = {("a", name): keyframes(f"a/{name}", [[face(name, 0)], [face(name, 0, angle=-0.35)]]) for name in WHO}


@pytest.fixture
def looks(tmp_path):
    return looks_of_one(tmp_path)


def everything(looks, pictures, clips=None, stories=None):
    results = [(keyframes("a", pictures), clips or [1] * len(pictures))]
    return scripted.measured(looks, results, {"a": STORY} if stories is None else stories, REFERENCES, 0.8)


def measured(looks, pictures, clips=None, stories=None):
    found, _ = everything(looks, pictures, clips, stories)
    return {name: found.figures[name] for name in words(looks.config, "faces")}


def test_cids_takes_the_mean_of_several_embedders_and_the_other_metrics_the_first(tmp_path):
    config = KeyframeMetricsConfig.model_validate({"identity": [{"kind": "efficientnet_lite0"}]})
    looks = Looks(config, Storage(str(tmp_path)), ("faces", "identity"))
    assert list(looks.models) == ["faces", "identity.0"]

    def told(one, sees):
        """The same, with a second embedder that sees `sees` of each person's vector."""
        faces = one.load("faces")
        others = {"counts": faces["counts"], "0": faces["faces"] @ sees}
        return Keyframes(one.story, one.ids, lambda module: others if module == "identity" else one.load(module))

    def found(sees):
        references = {key: told(one, sees) for key, one in REFERENCES.items()}
        results = [(told(keyframes("a", shown()), sees), [1] * SHOTS)]
        return scripted.measured(looks, results, {"a": STORY}, references, 0.8)[0]

    alone, alike, blind = measured(looks_of_one(tmp_path), shown()), found(np.eye(4)), found(np.ones((4, 4)))
    for name, figure in alone.items():
        assert alike.figures[name].value == pytest.approx(figure.value, abs=1e-6)
    ones = blind.samples["cids_cross"]["a/Ann"]
    assert ones == pytest.approx((alone["cids_cross"].value + 1) / 2, abs=1e-6)
    assert blind.samples["lt_script"] == alike.samples["lt_script"]
    looks.gone["identity"] = "Fetch it"
    lost = found(np.eye(4))
    assert {name for name, one in lost.figures.items() if one.reason == "Fetch it"} == set(OF_IDENTITY)
    assert not lost.samples.keys() & set(OF_IDENTITY)
    assert lost.figures["clothes"].value == alone["clothes"].value


def looks_of_one(folder):
    return Looks(KeyframeMetricsConfig(), Storage(str(folder)), ("faces",))


def exchanged(pictures):
    return [[face("Ann", t), face("Ann", t, "blue", 1.2)] if t % 2 else faces for t, faces in enumerate(pictures)]


CASES = [
    (lambda pictures: [[*faces, (np.array([0, 0, 0, 1.0]), 0.01, "red")] for faces in pictures], {"occm"}),
    (lambda pictures: [[(np.array(WHO[n]), *one[1:]) for n, one in zip(WHO, f, strict=True)] for f in pictures], set()),
    (
        lambda pictures: [[(face(n, 0)[0], *one[1:]) for n, one in zip(WHO, f, strict=True)] for f in pictures],
        {"copy_paste"},
    ),
    (exchanged, {"cids_cross", "cids_self", "lt_script"}),
    (lambda pictures: [[(v, TALL[1 - t % 2] * tall / TALL[t % 2], c) for v, tall, c in f]
                       for t, f in enumerate(pictures)], {"shot_size"}),
    (lambda pictures: [[(v, tall, "green" if t % 2 else c) for v, tall, c in f] for t, f in enumerate(pictures)],
     {"clothes"}),
    (lambda pictures: [[(v, tall * (1 + 0.3 * (t % 2) * n), c) for n, (v, tall, c) in enumerate(f)]
                       for t, f in enumerate(pictures)], {"relative_size"}),
]  # fmt: skip


@pytest.mark.parametrize(
    ("degrade", "moved"),
    CASES,
    ids=["one too many", "turned", "pasted", "exchanged", "other sizes", "other clothes", "grown"],
)
def test_a_degradation_moves_its_metrics_and_only_these(looks, degrade, moved):
    before, after = measured(looks, shown()), measured(looks, degrade(shown()))
    least = {"occm": 5, "cids_self": 0.2}
    by = {name: abs(after[name].value - before[name].value) for name in before}
    assert {name for name, distance in by.items() if distance > least.get(name, 0.1)} == moved, by


def test_what_does_not_fit_has_reasons(looks):
    every = words(looks.config, "faces")
    for pictures, clips, stories, said in (
        (shown()[:3], None, None, "'a': 3 files don't match the 8 shots and 8 plots of the story"),
        (shown(), None, {"b": STORY}, "the story 'b' has no results; there is no story file for 'a'"),
    ):
        found = measured(looks, pictures, clips, stories)
        assert {name: figure.reason for name, figure in found.items()} == dict.fromkeys(every, said)
    nobody = measured(looks, [[]] * SHOTS)
    assert (nobody["lt_script"].value, nobody["cids_cross"].value, nobody["occm"].value < 50) == (0, 0, True)
    assert all(figure.value is not None or figure.reason for figure in nobody.values())


def test_samples_have_names_by_which_two_reports_are_paired(looks):
    found, notes = everything(looks, shown())
    names = {metric: list(samples) for metric, samples in found.samples.items()}
    shots = [f"a/{shot}" for shot in range(1, SHOTS + 1)]
    assert names["occm"] == names["shot_size"] == names["csd_cross"] == shots
    assert names["cids_cross"] == names["cids_self"] == names["copy_paste"] == names["clothes"] == ["a/Ann", "a/Bob"]
    assert names["relative_size"] == ["a"]
    assert sorted(names["lt_script"]) == sorted(f"{shot}.{who}" for shot in shots for who in WHO)
    assert notes == []
    others = {("a", "Bob"): keyframes("a/Bob", [[]])}
    results = [(keyframes("a", shown()), [1] * SHOTS)]
    for given, lost in (({}, "'Ann', 'Bob'"), (REFERENCES | others, "'Bob'")):
        _, notes = scripted.measured(looks, results, {"a": STORY}, given, 0.8)
        assert notes == [f"'a': {lost} can't be recognised: no photograph shows the face"]
    for metric, samples in found.samples.items():
        assert found.figures[metric].value == pytest.approx(np.mean(list(samples.values())))


def filmed(moves):
    arrays = {"camera": {"moves": np.array(moves)}, "faces": keyframes("a", [[]] * len(moves)).load("faces")}
    return Keyframes("a", [f"a/{n}" for n in range(1, len(moves) + 1)], lambda module: arrays.get(module, {}))


def test_the_camera_moves_as_the_script_says_or_not(looks):
    said = ("wide, pan left", "push in", "static close-up", "medium")
    told = parse(b"title: a\nscenes:\n  - shots:\n" + b"".join(
        f"      - {{size: '{size}', plot: Rain.}}\n".encode() for size in said), "a.yaml")  # fmt: skip
    moves = [(-0.2, 0.02, 0.1), (0.01, 0, 0.2), (0.01, 0.2, 0), (0.5, 0, 0)]
    for results, expected in (
        ([(filmed(moves), [1] * 4)], {"a/1": 1, "a/2": 1, "a/3": 0}),
        ([(filmed(moves[:2]), [1] * 2)], None),
    ):
        found, _ = scripted.measured(looks, results, {"a": told}, {}, 0.8)
        assert found.samples.get("camera") == expected
    assert found.figures["camera"].reason == "the script names no camera move of a shot that is a video of its own"


def test_the_camera_looks_from_where_the_script_says_or_not(looks, monkeypatch):
    said = ("close-up, low angle", "high-angle shot", "wide shot", "Eye-level, medium", "Bird's-eye view")
    told = parse(b"title: a\nscenes:\n  - shots:\n" + b"".join(
        f'      - {{size: "{size}", plot: Rain.}}\n'.encode() for size in said), "a.yaml")  # fmt: skip
    seen = np.eye(4, dtype=np.float32)[[0, 3, 1, 1, 0]]
    arrays = {"clip": {"pictures": seen}, "faces": keyframes("a", [[]] * 5).load("faces")}
    movie = Keyframes("a", [f"a/{n}" for n in range(1, 6)], lambda module: arrays.get(module, {}))

    def angle(story):
        return scripted.measured(looks, [(movie, [1] * 5)], {"a": story}, {}, 0.8)[0]

    class Exact:
        def __init__(self, config):
            pass

        def read(self, words):
            return np.eye(4, dtype=np.float32)

    monkeypatch.setattr(scripted, "JointSpace", Exact)
    assert angle(told).samples["camera_angle"] == pytest.approx({"a/1": 1, "a/2": 2 / 3, "a/4": 1, "a/5": 0})
    silent = parse(b"title: a\nscenes: [{shots: [{plot: 1}, {plot: 2}, {plot: 3}, {plot: 4}, {plot: 5}]}]\n", "a.yaml")
    assert angle(silent).figures["camera_angle"].reason == "the script names no camera angle"
    looks.gone["clip"] = "Fetch it"
    assert angle(told).figures["camera_angle"].reason == "Fetch it"


def test_moves_are_read_from_the_script():
    named = [
        "slow pan to the right",
        "Camera tilts up",
        "Dolly out",
        "zooms in on her",
        "locked off",
        "wide",
        "a right",
    ]
    assert [script.move_named(words) for words in named] == [
        "pan right", "tilt up", "zoom out", "zoom in", "still", None, None,
    ]  # fmt: skip


def test_the_middle_picture_stands_for_a_clip_or_for_several_plots():
    assert scripted.picked(STORY, [3] * SHOTS) == [1, 4, 7, 10, 13, 16, 19, 22]
    two = parse(b"title: t\nscenes: [{shots: [{plots: [a, b, c]}, {plots: [d]}]}]\n", "t.yaml")
    assert scripted.picked(two, [1, 1, 1, 1]) == [1, 3]
    assert "4 files" not in scripted.picked(two, [5, 1])


def test_sizes_are_read_from_the_script():
    named = ["A wide shot", "extreme close-up", "Close-Up, from below", "medium long shot", "Medium shot", "quiet", ""]
    assert [script.size_named(words) for words in named] == [0, 4, 3, 1, 2, None, None]
    boxes = [np.array([[0, 0.1, 0.2, 0.1 + tall]]) for tall in (0.05, 0.1, 0.2, 0.4, 0.6)]
    assert [script.size_seen(one) for one in boxes] == [0, 1, 2, 3, 4]
    assert script.size_seen(np.zeros((0, 4))) is None


def test_relative_size_is_msvbenchs_formula():
    found = script.relative_sizes({("s", "a", "b"): [1.0, 1.1], ("s", "a", "c"): [2.0, 1.0], ("s", "b", "c"): [1.0]})
    assert found == pytest.approx({"s": 1 - (0.1 + 1) / 2})
    assert script.relative_sizes({("s", "a", "b"): [1.0, 3.0]}) == {"s": 0}


def test_the_word_error_rate_equals_torchmetrics():
    from torchmetrics.text import WordErrorRate

    pairs = [("the lamp is lit again", "the lamp was lit"), ("", "a storm comes"), ("we go home", "we go home")]
    for heard, told in pairs:
        assert script.word_error_rate(heard, told) == pytest.approx(float(WordErrorRate()([heard], [told])), abs=1e-6)
    assert script.narration({"a": "x", "b": "x"}, {"a": "", "b": "x y"}) == {"b": 0.5}


def test_narration_is_compared_with_the_lines_of_the_script(looks):
    told = parse(b"title: a\nscenes: [{shots: [{plot: Rain., narration: The lamp is lit.}]}]\n", "a.yaml")
    letters = np.frombuffer(b"the lamp was lit\n", np.uint8).astype(np.float32)
    empty = keyframes("a", [[]])
    movie = Keyframes("a", ["a/1"], lambda one: {"words": letters} if one == "speech" else empty.load(one))

    def narration(movie, stories):
        return scripted.measured(looks, [(movie, [1])], stories, {}, 0.8)[0].figures["narration"]

    assert narration(movie, {"a": told}).value == 0.25
    assert narration(empty, {"a": told}).reason == "no video has a story"
    silent = parse(b"title: a\nscenes: [{shots: [{plot: Rain.}]}]\n", "a.yaml")
    assert narration(movie, {"a": silent}).reason == "no script has words that are spoken"
    looks.gone["speech"] = "Fetch it"
    assert narration(movie, {"a": told}).reason == "Fetch it"
