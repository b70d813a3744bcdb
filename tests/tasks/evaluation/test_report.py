from datetime import UTC, datetime

import pytest

from models.metrics.figure import Figure, absent, mean
from storage.errors import ConfigError
from tasks.evaluation import report
from tasks.evaluation.report import Model

NOW = datetime(2026, 11, 30, 9, 30, tzinfo=UTC)


def small():
    figures = {"clip_score": mean([20.0, 30.0], "CLIP score"), "fid": absent("FID", "no weights")}
    models = {"clip": Model(id="openai/clip-vit-large-patch14", revision="32bd6428", licence="MIT")}
    return report.made("ours", NOW, 2, figures, {"clip_score": {"a/0": 20.0, "a/1": 30.0}}, models, [0])


def test_a_report_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "report.json"
    path.write_text(small().text())
    again = report.read(path)
    assert again == small().model_copy(update={"seconds": again.seconds})
    assert again.figures["fid"].reason == "no weights"
    assert again.commit


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (('"format": 1', '"format": 2'), "no report of format 1: format: Input should be 1"),
        (('"a/0": 20.0', '"a/0": NaN'), r"samples\.clip_score\.a/0: Input should be a finite number"),
        (('"n": 2', '"n": -2'), "n: Input should be greater than or equal to 0"),
        (("{", ""), "the file: Invalid JSON"),
    ],
)
def test_what_is_no_report_is_told(tmp_path, change, said):
    path = tmp_path / "report.json"
    path.write_text(small().text().replace(*change, 1))
    with pytest.raises(ConfigError, match=said):
        report.read(path)
    with pytest.raises(ConfigError, match=r"other\.json' can't be read"):
        report.read(tmp_path / "other.json")


def test_no_figure_is_nan():
    with pytest.raises(ValueError, match="finite"):
        Figure(value=float("nan"), n=1, what="CLIP score")
