"""Rendering stories: what is asked of them, what is told beforehand, and a queue that renders each once."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from flows.cli import app
from flows.commands import render as render_command
from flows.display.console import Terminal
from flows.display.reporting import listening
from flows.rendering import REPORT, in_words, render
from flows.run import Run
from flows.settings.recipes import resolve
from storage import checkpoints
from storage.errors import ConfigError, FilmError
from storage.root import Storage
from tasks.movies.stories import queue
from tasks.movies.stories import run as stories
from tasks.movies.stories.prepare import Order
from tasks.movies.stories.run import Estimate, Outcome

STORY = "title: {title}\nscenes:\n  - shots: [Rain falls., The sun shines.]\n"


@pytest.fixture
def run(tmp_path: Path) -> Run:
    storage = Storage(str(tmp_path / "out"))
    for name in ("autoencoder", "decoder", "autoregressive"):
        checkpoints.save_final(storage, name, "a", 1, {"config.json": b"{}"})
    return Run(resolve("smoke"), storage)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "stories"
    (place / "later").mkdir(parents=True)
    for name in ("b.yaml", "a.yaml", "later/c.yaml"):
        (place / name).write_text(STORY.format(title=name))
    (place / "bad.yaml").write_text("scenes: 3")
    (place / "notes.txt").write_text("no story")
    return place


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Names of the stories that pools would have made, which say that they are done."""
    names: list[str] = []

    def pools(planned, *_):
        names.extend(Path(one.name).name for one in planned)
        return [Outcome(one.name, one.plan.story.title, "done", movie="x.mp4") for one in planned]

    monkeypatch.setattr(stories, "run", pools)
    with listening(Terminal(Console(quiet=True))):
        yield names


@pytest.mark.parametrize(
    ("text", "wanted"), [("", set()), ("3", {3}), ("12-15,18", {12, 13, 14, 15, 18}), (" 1 , 2-2", {1, 2})]
)
def test_shots_are_named_by_numbers(text, wanted):
    assert render_command.numbers(text, "--only") == wanted


@pytest.mark.parametrize("text", ["a", "3-", "5-2", "1;2", "-1", "1 2", ",", "1,,2", " "])
def test_what_names_no_shots_is_quoted(text):
    with pytest.raises(ConfigError, match="--only"):
        render_command.numbers(text, "--only")


def test_takes_and_seeds_that_say_nothing_are_quoted():
    assert render_command.order("", "2", 7, ["3=1"]) == Order(redo=frozenset({2}), seed=7, take={3: 1})
    with pytest.raises(ConfigError, match=r"--seed 7 is for new takes: say which shots, such as --redo 12-15 --seed 7"):
        render_command.order("", "", 7, [])
    with pytest.raises(ConfigError, match="shot 3 is in both --redo and --take: ask for a new take or for an earlier"):
        render_command.order("", "2-4", None, ["3=1"])
    with pytest.raises(ConfigError, match=r"--take '3': name a shot and one of its takes, such as --take 12=1"):
        render_command.order("", "", None, ["3"])


def test_a_dry_run_tells_what_is_to_be_made_and_writes_nothing(run, folder):
    before = sorted(Path(run.storage.uri).rglob("*"))
    report = render(run, [str(folder / "a.yaml"), str(folder / "bad.yaml")], dry=True)
    assert [one.state for one in report.stories] == ["planned", "failed"]
    assert report.estimate.pieces == report.stories[0].made
    assert report.estimate.pieces["keyframes"] == 2
    assert "not measured" in in_words(report.estimate)
    assert sorted(Path(run.storage.uri).rglob("*")) == before


def test_a_picture_that_can_not_be_used_is_named_by_a_dry_run_and_the_other_stories_are_made(run, folder, made):
    (folder / "quay.jpg").write_text("no picture")
    (folder / "b.yaml").write_text(STORY.format(title="b") + "places: [{name: Quay, pictures: quay.jpg}]\n")
    found = [str(folder / name) for name in ("a.yaml", "b.yaml")]
    for dry, good in ((True, "planned"), (False, "done")):
        report = render(run, found, dry=dry)
        assert [one.state for one in report.stories] == [good, "failed"]
        assert "quay.jpg' is not a picture" in report.stories[1].error
        assert report.estimate.pieces["keyframes"] == 2
    assert made == ["a.yaml"]


def test_the_estimate_tells_time_and_price():
    assert in_words(Estimate({"clips": 3, "movies": 1}, 1.5, 3.0)) == "3 clips, 1 movie; about 1:30:00, for about 3.00"
    assert in_words(Estimate({}, 0.0, None)) == "nothing, all is there"


def test_the_queue_renders_each_story_once_by_name_and_again_when_it_changes(run, folder, made):
    found = queue.sources(str(folder))
    assert [Path(name).name for name in found] == ["a.yaml", "b.yaml", "bad.yaml"]
    first = render(run, found, queued=True)
    assert made == ["a.yaml", "b.yaml"]
    assert [one.state for one in first.stories] == ["done", "done", "failed"]
    assert "bad.yaml, line 1" in first.stories[2].error
    assert json.loads(run.storage.read_bytes(REPORT))["stories"][0]["movie"] == "x.mp4"
    assert render(run, found, queued=True).stories == ()
    assert len(made) == 2
    (folder / "b.yaml").write_text(STORY.format(title="another"))
    render(run, found, queued=True)
    assert made == ["a.yaml", "b.yaml", "b.yaml"]


def test_what_ran_out_of_time_is_rendered_the_next_time(run, folder, made, monkeypatch):
    pools = stories.run
    monkeypatch.setattr(stories, "run", lambda *a: [replace(one, state="unfinished", movie="") for one in pools(*a)])
    render(run, [str(folder / "a.yaml")], queued=True)
    monkeypatch.setattr(stories, "run", pools)
    assert len(render(run, [str(folder / "a.yaml")], queued=True).stories) == 1


def test_a_folder_that_is_not_there_is_named(tmp_path):
    with pytest.raises(FilmError, match=r"stories\.folder='.*gone' can't be read"):
        queue.sources(str(tmp_path / "gone"))


def test_a_storage_without_models_is_left_untouched_and_told_what_to_run(tmp_path, folder):
    storage = tmp_path / "new"
    ran = CliRunner().invoke(app, ["render", str(folder), "--recipe", "smoke", "--storage", str(storage)])
    assert ran.exit_code == 2
    assert "no trained autoencoder model" in ran.stderr
    assert "moviedreamer run studio" in ran.stderr
    assert not storage.exists()


def test_a_place_that_is_no_storage_is_told_and_left_untouched(tmp_path, folder):
    notes = tmp_path / "mine" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    order = ["render", str(folder / "a.yaml"), "--storage", str(notes.parent)]
    assert CliRunner().invoke(app, [*order, "--dry-run"]).exit_code == 0
    ran = CliRunner().invoke(app, order)
    assert ran.exit_code == 2
    assert "add --into" in ran.stderr
    assert list(notes.parent.iterdir()) == [notes]


def test_stories_that_all_fail_leave_nothing_to_be_estimated(tmp_path, folder):
    ran = CliRunner().invoke(app, ["render", str(folder / "bad.yaml"), "--storage", str(tmp_path / "new"), "--dry-run"])
    assert ran.exit_code == 1
    assert "bad.yaml" in ran.stdout
    assert "all is there" not in ran.stdout
