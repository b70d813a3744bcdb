"""The benchmark of the queue, with a small batch and without a server."""

from pathlib import Path

import pytest


@pytest.mark.slow
def test_a_killed_batch_makes_the_same_movies_and_next_to_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import night

    night.write_stories(tmp_path / "stories", 2)
    assert night.rendering(tmp_path, tmp_path / "out", tmp_path / "out.log").wait() == 1  # three are bad
    found = night.killed(tmp_path, kills=2)
    assert (found["movies"], found["reports"], found["kills"], found["different"]) == (2, 3, 2, 0)
    assert found["begun_twice"] <= night.IN_FLIGHT * found["kills"]
