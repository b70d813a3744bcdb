"""The queue of stories: a batch that misses a threshold fails, and its artifact links the page that says why."""

from datetime import UTC, datetime
from html import unescape
from types import SimpleNamespace

import pytest

from flows import stories
from models.metrics.figure import absent, mean
from storage.root import Storage
from tasks.evaluation import report
from tasks.movies.stories import accept
from tasks.stage import StageError

FIGURES = {"occm": mean([40.0, 60.0], "OCCM", ["a", "b"]), "narration": absent("words", "no recogniser")}


@pytest.fixture
def judged(tmp_path, monkeypatch):
    """What becomes of a batch with some thresholds, and its artifacts."""
    shown = []
    monkeypatch.setattr(stories, "show_markdown", lambda *one: shown.append(one))
    found = report.made("movies", datetime(2026, 12, 1, tzinfo=UTC), 2, FIGURES, {}, {}, notes=["'a' is short"])

    def judge(config):
        monkeypatch.setattr(
            stories, "measured", lambda *_: (found, accept.faults(config, found)) if config.given else (None, [])
        )
        return stories.judged.fn(SimpleNamespace(storage=Storage(str(tmp_path))), [], None)

    return judge, shown, tmp_path / "stories" / "quality.html"


def test_a_missed_threshold_fails_the_batch_and_its_page_is_linked(judged):
    judge, shown, page = judged
    with pytest.raises(StageError, match="occm is 50, expected at least 60; narration has no value: no recogniser"):
        judge(accept.AcceptConfig(least={"occm": 60, "narration": 0.5}))
    ((key, text, _),) = shown
    assert key == "quality"
    assert "stories/quality.html" in text
    assert "occm is 50" in text
    told = unescape(page.read_text())
    assert "occm is 50, expected at least 60" in told
    assert "'a' is short" in told


def test_a_batch_that_meets_its_thresholds_returns_its_page_and_without_any_nothing_is_measured(judged):
    judge, shown, page = judged
    (url,) = judge(accept.AcceptConfig(least={"occm": 45}))
    assert url.endswith("stories/quality.html")
    assert page.is_file()
    assert judge(accept.AcceptConfig()) == ()
    assert len(shown) == 1
