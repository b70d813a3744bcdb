"""What benchmarks/soak.py makes of its samples."""

from pathlib import Path

import pytest


@pytest.fixture
def soak(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import soak

    return soak


def test_growth_is_told_after_the_first_quarter_in_which_caches_fill(soak) -> None:
    assert soak.growth([1, 1, 9, 9, 9, 9, 9, 9]) == 1.0
    assert soak.growth([1, 1, 10, 10, 11, 11, 12, 12]) == 1.2
    assert soak.growth([1, 2, 3]) == 1.0


def test_minutes_of_all_installations_count_and_growth_is_told_of_the_longest(soak) -> None:
    samples = [{"began": began, "minutes": minute} for began, minute in [(1, 2.0), (1, 4.0), (7, 3.0)]]
    assert soak.minutes(samples) == 7.0
    assert soak.minutes([]) == 0.0
    assert soak.longest(samples) == samples[:2]
