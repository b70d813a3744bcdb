from datetime import UTC, datetime

import numpy as np
import pytest

from models.metrics.figure import absent, mean
from storage.errors import ConfigError
from tasks.evaluation import report
from tasks.evaluation.comparison import compare, other_networks

STORIES, FRAMES = 8, 5
NAMES = [f"story-{story}/{frame}" for story in range(STORIES) for frame in range(FRAMES)]


def named(name, samples):
    figures = {metric: mean(list(values.values()), metric) for metric, values in samples.items()}
    figures["fid"] = absent("FID", "no weights")
    return report.made(name, datetime(2026, 11, 30, tzinfo=UTC), len(NAMES), figures, samples, {})


def noise(seed, scale=1.0):
    return np.random.default_rng(seed).normal(scale=scale, size=len(NAMES))


@pytest.fixture
def pair():
    base = noise(0)
    mine = {"better": base + 1 + noise(1, 0.1), "same": base, "luck": noise(2)}
    theirs = {"better": base, "same": base, "luck": noise(3)}
    keyed = [{m: dict(zip(NAMES, v.tolist(), strict=True)) for m, v in some.items()} for some in (mine, theirs)]
    return named("ours", keyed[0]), named("theirs", keyed[1])


def test_a_real_difference_is_told_from_chance(pair):
    found = {one.metric: one for one in compare(*pair)}
    better, luck = found["better"], found["luck"]
    assert better.interval
    assert better.interval[0] > 0.8
    assert better.p == pytest.approx(2 / 2**STORIES)  # all signs alike, either way
    assert better.p_holm == pytest.approx(3 * better.p)
    assert luck.interval
    assert luck.interval[0] < 0 < luck.interval[1]
    assert luck.p_holm is not None
    assert luck.p_holm > 0.05
    assert found["same"].difference == 0
    assert found["same"].p_holm == 1


def test_what_has_no_samples_says_why(pair):
    fid = next(one for one in compare(*pair) if one.metric == "fid")
    assert (fid.n, fid.p, fid.reason) == (0, None, "no weights")


def test_networks_that_differ_are_named(pair):
    def by(one, **networks):
        models = {module: report.Model(id=id, revision=f"{id} 1", licence="MIT") for module, id in networks.items()}
        return one.model_copy(update={"models": models})

    first, second = pair
    assert other_networks(by(first, faces="dlib"), by(second, faces="dlib")) == []
    first, second = by(first, faces="dlib", clip="l14"), by(second, faces="dlib", clip="b32", **{"identity.0": "farl"})
    assert other_networks(first, second) == [
        "clip is l14 (l14 1) in 'ours', b32 (b32 1) in 'theirs': don't compare its metrics",
        "identity.0 is missing in 'ours', farl (farl 1) in 'theirs': don't compare its metrics",
    ]


def test_only_samples_of_both_are_compared(pair):
    first, second = pair
    some = {metric: dict(list(values.items())[:10]) for metric, values in second.samples.items()}
    found = compare(first, second.model_copy(update={"samples": some}))
    assert {one.n for one in found if one.n} == {10}
    assert {one.stories for one in found if one.n} == {2}


def test_one_story_is_compared_keyframe_by_keyframe(pair):
    alone = [
        one.model_copy(
            update={
                "samples": {m: {n: v for n, v in s.items() if n.startswith("story-0/")} for m, s in one.samples.items()}
            }
        )
        for one in pair
    ]
    better = next(one for one in compare(*alone) if one.metric == "better")
    assert (better.n, better.stories) == (FRAMES, FRAMES)
    assert better.p == pytest.approx(2 / 2**FRAMES)


def test_reports_of_other_stories_are_refused(pair):
    first, second = pair
    other = {m: {f"other-{name}": v for name, v in values.items()} for m, values in second.samples.items()}
    with pytest.raises(ConfigError, match=r"'ours' and 'theirs' share no samples.*'story-0/0'.*'other-story-0/0'"):
        compare(first, second.model_copy(update={"samples": other}))
