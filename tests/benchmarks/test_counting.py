"""The judge of how many people a generated picture shows."""

from pathlib import Path

import pytest

from drawn.worlds import EVALUATION


def test_people_of_a_drawn_film_are_counted_at_any_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from counting import SEEDS, Counter, shots

    assert not set(SEEDS) & set(EVALUATION)
    pictures, people = shots(11)
    counter = Counter.trained()
    assert set(people) == {0, 1, 2, 3}
    assert (counter.count(pictures) == people).mean() > 0.9
    assert (counter.count(pictures.repeat(2, axis=1).repeat(2, axis=2)) == people).mean() > 0.9
