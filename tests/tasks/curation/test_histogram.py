"""Counts in numbers that people like."""

import re

import numpy as np
import pytest

from tasks.curation.histogram import Histogram


def test_small_whole_numbers_have_a_bar_each():
    one = Histogram.of("Persons", "persons", [0, 0, 1, 3, 3, 3])
    assert (one.edges, one.counts) == ((0, 1, 2, 3, 4), (2, 1, 0, 3))
    assert (one.n, one.mean, one.median) == (6, pytest.approx(1.667), 2)
    assert one.svg().count("<rect") == 4
    assert "<title>3 or more: 3</title>" in one.svg()


@pytest.mark.parametrize("scale", [1e-3, 0.7, 13.0, 1e6])
def test_nothing_is_lost_whatever_the_scale(scale):
    values = np.random.default_rng(0).gamma(2.0, scale, 1000)
    one = Histogram.of("x", "y", values)
    assert sum(one.counts) == one.n == 1000
    assert 4 <= len(one.counts) <= 16
    step = one.edges[1]
    assert float(f"{step:.1e}"[:3]) in (1.0, 2.0, 2.5, 5.0)
    for bar, count in enumerate(one.counts[:-1]):
        assert count == ((values >= one.edges[bar]) & (values < one.edges[bar + 1])).sum()
    heights = [float(height) for height in re.findall(r'height="([\d.]+)" rx', one.svg())]
    assert max(heights) < 92


def test_nothing_and_always_the_same():
    assert Histogram.of("x", "y", []).counts == ()
    assert Histogram.of("x", "y", [7, 7, 7]).counts[-1] == 3
    assert Histogram.of("x", "y", [0.0, 0.0]).counts == (2,)
