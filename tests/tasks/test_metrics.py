"""Our figures among those of Ray."""

import sys
from types import SimpleNamespace

import pytest

from tasks import metrics
from tasks.cluster import dashboard


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> dict[tuple[str, str], float]:
    """(metric, stage) -> what was set last, of a Ray that is connected."""
    found: dict[tuple[str, str], float] = {}

    def gauge(name: str) -> SimpleNamespace:
        assert name in metrics.GAUGES
        return SimpleNamespace(set=lambda value, tags: found.update({(name, tags["stage"]): value}))

    monkeypatch.setattr(metrics, "_gauge", gauge)
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace(is_initialized=lambda: True))
    return found


def test_a_stage_says_what_is_done_and_what_waits(said: dict[tuple[str, str], float]) -> None:
    with metrics.staged("captions") as say:
        say(3, 10)
    assert said == {("moviedreamer_stage_done", "captions"): 3, ("moviedreamer_stage_waiting", "captions"): 7}


def test_a_ray_that_is_still_being_imported_hears_nothing(
    said: dict[tuple[str, str], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", SimpleNamespace())
    with metrics.staged("captions") as say:
        say(3, 10)
    assert said == {}
    assert dashboard() == ""


def test_a_stage_says_it_again_since_ray_forgets(
    said: dict[tuple[str, str], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(metrics, "_EVERY", 0.001)
    with metrics.staged("captions") as say:
        say(3, 10)
        said.clear()
        while len(said) < 2:
            pass
    assert said["moviedreamer_stage_waiting", "captions"] == 7


def test_a_worker_s_share_of_work_leaves_waiting_out(
    said: dict[tuple[str, str], float], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter([0.0, 6.0, 8.0, 8.0, 10.0])  # waited 6 s, worked 2 s, did not wait, worked 2 s
    monkeypatch.setattr(metrics.time, "monotonic", lambda: next(clock))
    busy = metrics.Busy("faces")
    busy.waited()
    busy.worked()
    assert said["moviedreamer_worker_busy", "faces"] == 0.25
    busy.waited()
    busy.worked()
    assert said["moviedreamer_worker_busy", "faces"] == 0.4


def test_without_a_ray_nothing_is_said(said: dict[tuple[str, str], float], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "ray")
    with metrics.staged("captions") as say:
        say(3, 10)
    assert said == {}
