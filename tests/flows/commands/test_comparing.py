"""`moviedreamer compare`: tables for people, JSON for programs, errors that name the cure."""

import json
from datetime import UTC, datetime

import pytest
from typer.testing import CliRunner

from flows.cli import app
from models.metrics.figure import absent, mean
from tasks.evaluation import report


@pytest.fixture
def paths(tmp_path):
    for number, name in enumerate(("ours", "theirs", "others")):
        samples = {f"{'x' if name == 'others' else 's'}{story}/0": float(story - number) for story in range(6)}
        figures = {"clip_score": mean(list(samples.values()), "CLIP score"), "fid": absent("FID", "no weights of " * 9)}
        made = report.made(name, datetime(2026, 11, 30, tzinfo=UTC), 6, figures, {"clip_score": samples}, {})
        (tmp_path / f"{name}.json").write_text(made.text())
    return {name: str(tmp_path / f"{name}.json") for name in ("ours", "theirs", "others")}


def compare(*arguments):
    return CliRunner().invoke(app, ["compare", *arguments], env={"COLUMNS": "200"})


def test_two_reports_are_compared_in_a_table_and_as_json(paths):
    told = compare(paths["ours"], paths["theirs"])
    assert told.exit_code == 0
    assert all(word in told.stdout for word in ("clip_score", "+1 to +1", "0.031", "theirs"))
    assert "fid: no weights of no weights of" in told.stdout
    assert "none" not in told.stdout
    (pair,) = json.loads(compare(paths["ours"], paths["theirs"], "--json").stdout)
    assert (pair["first"], pair["second"], pair["differences"][0]["n"]) == ("ours", "theirs", 6)


def test_what_cant_be_compared_is_told(paths):
    alone, apart = compare(paths["ours"]), compare(paths["ours"], paths["others"])
    assert (alone.exit_code, apart.exit_code) == (2, 2)
    assert "compare needs two reports or more: name another one" in alone.stderr
    assert "share no samples" in apart.stderr
