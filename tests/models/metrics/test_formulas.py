"""Definitions against their reference libraries, published formulas and worked examples; bad input."""

import math

import numpy as np
import pytest
import torch

from models.metrics import characters, consistency, figure, pictures, sound
from models.metrics.characters import Cast


def features(n, width=8, seed=0):
    return np.random.default_rng(seed).normal(size=(n, width)).astype(np.float32)


@pytest.mark.parametrize(("n", "m", "width"), [(40, 30, 6), (12, 9, 30), (50, 7, 20)])
def test_the_frechet_distance_equals_pytorch_fids(n, m, width):
    from pytorch_fid.fid_score import calculate_frechet_distance

    left, right = features(n, width), features(m, width, seed=1) + 0.5
    wide = left.astype(np.float64), right.astype(np.float64)
    theirs = calculate_frechet_distance(*(given for rows in wide for given in (rows.mean(0), np.cov(rows.T))))
    ours = pictures.frechet(left, right, "2048")
    assert ours.value == pytest.approx(theirs, abs=1e-4)
    same = pictures.frechet(left, left, "2048", resamples=9)
    assert same.value == pytest.approx(0, abs=1e-6)
    assert same.interval[0] >= 0


def test_the_frechet_distance_equals_torchmetrics():
    from torchmetrics.image.fid import _compute_fid

    left, right = (torch.from_numpy(features(40, 6, seed)).double() for seed in (0, 1))
    theirs = _compute_fid(left.mean(0), left.T.cov(), right.mean(0), right.T.cov())
    assert pictures.frechet_distance(left.numpy(), right.numpy()) == pytest.approx(float(theirs), abs=1e-4)


def test_only_the_last_pooling_layer_is_called_fid():
    assert pictures.frechet_name("2048") == "fid"
    assert pictures.frechet_name("64") == "fid_layer_64"
    assert pictures.frechet_name("efficientnet_lite0") == "frechet_efficientnet_lite0"


@pytest.mark.parametrize("splits", [1, 3])
def test_the_inception_score_equals_torchmetrics(splits, monkeypatch):
    from torchmetrics.image.inception import InceptionScore

    class Given(torch.nn.Module):
        def forward(self, rows):
            return rows

    logits = 3 * features(30, 10)
    metric = InceptionScore(feature=Given(), splits=splits)
    metric.features.append(torch.from_numpy(logits))
    monkeypatch.setattr(torch, "randperm", lambda n: torch.from_numpy(np.random.default_rng(0).permutation(n)))
    ours = pictures.inception_score(logits, splits=splits, resamples=20)
    assert ours.value == pytest.approx(float(metric.compute()[0]), abs=1e-4)
    assert ours.interval is not None


def test_pictures_that_come_in_parts_give_the_same_values():
    left, right = features(60, 5), features(40, 5, seed=1) + 0.5
    moments = [pictures.Moments.of(np.array_split(rows, 7)) for rows in (left, right)]
    many = pictures.frechet_of_many(*moments, "2048")
    assert many.value == pytest.approx(pictures.frechet(left, right, "2048").value, rel=1e-9)
    assert (many.n, many.reason) == (60, "no interval: 60 and 40 pictures are too many to resample")
    assert "0 generated and 40 real" in pictures.frechet_of_many(pictures.Moments.of([]), moments[1], "2048").reason
    logits = 3 * features(30, 10)
    many = pictures.inception_score_of_many(np.array_split(logits, 4), 30, splits=3)
    assert many.value == pytest.approx(pictures.inception_score(logits, splits=3).value, rel=1e-9)


def test_adjacent_keyframes_are_one_step_of_time_apart():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], dtype=np.float32)
    shown = {"Ann": np.ones(4, dtype=bool)}
    times = np.array([0, 1, 2, 5])
    found = consistency.short_term(vectors, shown, "adjacent", times)
    assert (found.value, found.n) == (0.5, 2)
    assert consistency.short_term(vectors, shown, "adjacent").n == consistency.short_term(vectors, shown).n == 3


def test_presence_needs_one_face_within_the_threshold():
    faces = [np.zeros((0, 2), np.float32), np.array([[0.5, 0]], np.float32), np.array([[3, 0], [0.1, 0]], np.float32)]
    assert consistency.presence(faces, np.zeros(2, np.float32), 0.5).tolist() == [False, False, True]


def test_lt_reproduces_the_papers_example():
    original = np.isin(np.arange(1, 8), [1, 2, 3, 4, 5])
    generated = np.isin(np.arange(1, 8), [1, 2, 3, 6])
    found = consistency.long_term({"Rose": original}, {"Rose": generated})
    assert (found.value, found.n) == (3 / 5, 5)
    other = consistency.long_term({"Rose": original}, {"Rose": generated}, reading="section_4_2")
    assert other.value == pytest.approx(4 / 7)


def test_st_takes_selected_keyframes_and_as_a_switch_only_adjacent_ones():
    rows = np.array([[1, 0], [0, 1], [1, 1], [1, 1]], np.float32)
    shown = {"Jack": np.array([True, False, True, True])}
    assert consistency.short_term(rows, shown).value == pytest.approx((math.sqrt(0.5) + 1) / 2)
    assert consistency.short_term(rows, shown, reading="adjacent").value == pytest.approx(1)


def test_occm_is_the_published_formula():
    found = characters.occm([2, 3, 0, 1], [2, 2, 0, 0])
    assert found.value == pytest.approx((100 + 100 * math.exp(-1 / (2 + 1e-6)) + 100 + 0) / 4, abs=1e-4)


def test_characters_are_matched_so_that_the_sum_is_largest():
    assert characters.assigned(np.array([[0.9, 0.8], [0.7, 0.1]])) == [(0, 1), (1, 0)]


def test_a_concatenation_of_embedders_has_the_mean_of_their_cosines():
    one, two = (features(5, 4), features(5, 4, seed=1)), (features(5, 7, seed=2), features(5, 7, seed=3))
    both = pictures.cosine(characters.ensemble([one[0], two[0]]), characters.ensemble([one[1], two[1]]))
    apart = (pictures.cosine(*one) + pictures.cosine(*two)) / 2
    np.testing.assert_allclose(both, apart, atol=1e-6)


def test_cids_and_copy_paste_by_hand():
    ann, bob = np.array([[1.0, 0, 0], [0.8, 0.6, 0]]), np.array([[0, 0, 1.0]])
    crops = [np.stack([ann[0], bob[0]]), ann[1:], np.zeros((0, 3))]
    cast = Cast(crops, [["Bob", "Ann"], ["Ann"], ["Ann"]], {"Ann": ann, "Bob": bob, "Cid": bob})
    found = characters.identities({"one": cast})
    assert found["cids_cross"].value == pytest.approx((np.mean([1, 0.8, 0.8, 1]) + 1) / 2)
    assert found["cids_self"].value == pytest.approx((0.8 + 1) / 2)
    assert found["copy_paste"].value == pytest.approx(0)
    assert found["copy_paste"].n == 1


def test_style_is_the_mean_cosine_of_pairs():
    rows = features(4)
    alike = pictures.unit(rows) @ pictures.unit(rows).T
    assert pictures.style_self(rows).value == pytest.approx(alike[np.triu_indices(4, 1)].mean())
    assert pictures.style_cross(rows[:1], rows[1:]).value == pytest.approx(alike[0, 1:].mean())


def test_drift_is_the_slope_of_the_cosine_with_the_first_keyframe():
    angles = np.arccos(np.concatenate([[1], 0.9 - 0.002 * np.arange(20)]))
    movie = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    assert consistency.drift([movie]).value == pytest.approx(-0.2)


def test_the_lag_is_how_much_later_the_sound_is():
    picture = np.zeros(200)
    picture[[20, 70, 150]] = 1
    assert sound.lag(np.roll(picture, 5), picture, rate=10) == pytest.approx(0.5)
    assert sound.lag(np.roll(picture, -3), picture, rate=10) == pytest.approx(-0.3)


def test_the_interval_of_a_mean_is_scipys_and_stories_are_resampled_whole():
    from scipy.stats import bootstrap

    values = features(30)[:, 0].astype(float)
    theirs = bootstrap((values,), np.mean, n_resamples=1000, method="percentile", rng=0).confidence_interval
    assert figure.mean(values, "it").interval == pytest.approx((theirs.low, theirs.high))
    alike = np.repeat(values[:3], 10)
    stories = [str(i // 10) for i in range(30)]
    narrow, wide = figure.mean(alike, "it").interval, figure.mean(alike, "it", stories).interval
    assert wide[1] - wide[0] > 1.5 * (narrow[1] - narrow[0])


def test_every_metric_without_input_says_why():
    none, one, two = np.zeros((0, 8)), features(1), features(2)
    moments, broken = pictures.Moments.of([features(9)]), pictures.Moments.of([features(9) * np.nan])
    nobody = Cast([none], [[]], {})
    found = [
        pictures.clip_score(none, none), pictures.clip_score(one, two), pictures.clip_sim(two, one),
        pictures.aesthetic_score(none[:, 0]), pictures.frechet(one, two, "2048"), pictures.frechet(two, none, "2048"),
        pictures.inception_score(two), pictures.inception_score(none), pictures.style_cross(two, none),
        pictures.style_self(one), characters.occm([], []), characters.occm([1], [1, 2]),
        *characters.identities({"a": nobody}).values(), *characters.identities({}).values(),
        consistency.long_term({}, {}), consistency.long_term({"A": np.array([False])}, {"A": np.array([True])}),
        consistency.long_term({"A": np.array([True])}, {"A": np.array([True, True])}),
        consistency.long_term({"A": np.array([True])}, {}), consistency.short_term(one, {"A": np.array([True])}),
        consistency.short_term(none, {}), consistency.short_term(two, {"A": np.array([True])}),
        consistency.drift([]), consistency.drift([two]), sound.sound_step([], 10),
        sound.sound_step([(np.zeros(5), np.arange(5.0))], 10), sound.sound_step([(np.zeros(5), np.zeros(4))], 10),
        sound.loudness_gap([], -16), figure.mean([1, float("nan")], "it"), pictures.clip_sim(two * np.nan, two),
        sound.sound_step([(np.array([0, np.nan, 1]), np.array([0, 1.0, 0]))], 10),
        consistency.short_term(two, {"A": np.ones(2, bool)}, "adjacent", np.arange(3)),
        pictures.clip_score(two, features(2, 9)), pictures.style_cross(two, features(2, 9)),
        pictures.frechet(two, features(2, 9), "2048"), pictures.frechet_of_many(broken, moments, "2048"),
        pictures.frechet_of_many(moments, pictures.Moments.of([features(9, 3)]), "2048"),
        pictures.inception_score_of_many([features(9) * np.nan], 9, 3),
        pictures.inception_score_of_many([two], 2, 10), pictures.inception_score(features(9) * np.inf, 3),
    ]  # fmt: skip
    assert [one for one in found if one.value is not None or one.n or not one.reason] == []
    assert pictures.clip_score(one, two).reason == "1 keyframes and 2 plots don't match"


def test_one_sample_has_a_value_and_no_interval():
    found = pictures.clip_sim(features(1), features(1))
    assert (found.value, found.interval) == (pytest.approx(1), None)
    assert found.reason == "no interval: one sample"


def test_a_character_who_is_never_detected_counts_as_zero():
    cast = Cast([np.zeros((0, 3))], [["Ann"]], {"Ann": np.eye(3)[:1]})
    found = characters.identities({"one": cast})
    assert (found["cids_cross"].value, found["cids_self"].value) == (0, 0)
    assert "two reference pictures" in found["copy_paste"].reason


def test_a_character_without_a_reference_is_named():
    with pytest.raises(ValueError, match="'Bob' has no reference picture"):
        Cast([np.eye(3)], [["Bob"]], {"Ann": np.eye(3)})
    with pytest.raises(ValueError, match="2 shots were looked at, 1 are in the script"):
        Cast([np.eye(3)] * 2, [[]], {})
    with pytest.raises(ValueError, match="identity vectors have 2 and 3 numbers"):
        Cast([np.eye(2)], [["Ann"]], {"Ann": np.eye(3)})
    with pytest.raises(ValueError, match="numbers that are not finite"):
        Cast([np.eye(3) * np.nan], [["Ann"]], {"Ann": np.eye(3)})


def test_a_metric_without_a_value_has_no_samples():
    samples = {"good": {"a/1": 1.0, "b/1": 2.0}, "broken": {"a/1": 1.0, "b/1": float("nan")}, "none": {}}
    for found in (
        figure.means_by_story(dict.fromkeys(samples, "it"), samples, {}),
        figure.means_by_sample(dict.fromkeys(samples, "it"), samples),
    ):
        assert set(found.samples) == {"good"}
        assert found.figures["broken"].reason == "1 of 2 numbers are not finite"


@pytest.mark.parametrize("rows", [np.ones((12, 8)), np.zeros((12, 8))], ids=["identical", "zeros"])
def test_pictures_that_are_all_alike_have_values(rows):
    found = {
        "fid": pictures.frechet(rows, rows, "2048", 20), "inception_score": pictures.inception_score(rows, 4, 20),
        "clip_sim": pictures.clip_sim(rows[:-1], rows[1:]), "csd_self": pictures.style_self(rows),
        "drift": consistency.drift([rows]), "st": consistency.short_term(rows, {"A": np.ones(12, bool)}),
    }  # fmt: skip
    assert (found["fid"].interval, found["inception_score"].interval) == ((0, 0), (1, 1))
    alike = float(rows.any())
    expected = {"fid": 0, "inception_score": 1, "clip_sim": alike, "csd_self": alike, "drift": 0, "st": alike}
    assert {name: one.value for name, one in found.items()} == pytest.approx(expected)


def test_the_cosines_equal_torchs():
    from torch.nn.functional import cosine_similarity

    left, right = features(5), features(5, seed=1)
    theirs = cosine_similarity(torch.from_numpy(left), torch.from_numpy(right)).mean()
    assert pictures.clip_sim(left, right).value == pytest.approx(float(theirs), abs=1e-6)
    shown = {"Jack": np.ones(5, bool)}
    theirs = cosine_similarity(torch.from_numpy(left[:-1]), torch.from_numpy(left[1:])).mean()
    assert consistency.short_term(left, shown).value == pytest.approx(float(theirs), abs=1e-6)


def test_a_figure_is_written_without_what_it_lacks():
    assert figure.Figure(value=1.0, n=2, what="it").model_dump() == {"value": 1.0, "n": 2, "what": "it"}
    assert figure.absent("it", "no faces").model_dump() == {"value": None, "n": 0, "what": "it", "reason": "no faces"}
