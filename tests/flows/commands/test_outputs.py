"""A file at a path that a user names is replaced only if the same command wrote it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from flows.commands import evaluation
from storage.errors import ConfigError
from tasks.evaluation.report import Report


def report(name: str) -> Report:
    return Report(name=name, moment=datetime.now(UTC), seconds=1, commit="c", command="evaluate", n=0, figures={})


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(["status", "--storage", "STORAGE", "--html", "FILE"], id="status"),
        pytest.param(["evaluate", "RESULTS", "--storage", "STORAGE", "-o", "FILE"], id="evaluate"),
        pytest.param(["write", "SYNOPSIS", "-o", "FILE"], id="write"),
        pytest.param(["export", "film", "--storage", "STORAGE", "-o", "FILE"], id="export"),
    ],
)
def test_a_strangers_file_is_left_and_named(
    command: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    places = {name: str(tmp_path / name.lower()) for name in ("STORAGE", "RESULTS", "FILE", "SYNOPSIS")}
    (tmp_path / "storage").mkdir()
    (tmp_path / "results").mkdir()
    (tmp_path / "synopsis").write_text("Ann walks to the lighthouse.")
    mine = tmp_path / "file"
    mine.write_text("my diary")
    said = CliRunner().invoke(app, [places.get(part, part) for part in command])
    assert said.exit_code != 0
    assert mine.read_text() == "my diary"
    if command[0] != "export":  # which looks for the film first
        assert "file' already exists: remove it, or give another name with" in said.output.replace("\n", "")


def test_an_own_page_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "storage").mkdir()
    command = ["status", "--storage", str(tmp_path / "storage"), "--html", str(tmp_path / "page.html")]
    assert [CliRunner().invoke(app, command).exit_code for _ in range(2)] == [0, 0]


def test_own_reports_are_replaced_and_others_are_not(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    assert evaluation.write([report("a")], path) == evaluation.write([report("b")], path) == [path]
    (tmp_path / "report-b.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"report-b\.json' already exists"):
        evaluation.write([report("a"), report("b")], path)
    assert not (tmp_path / "report-a.json").exists()


def test_a_page_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PREFECT_API_URL", raising=False)
    (tmp_path / "storage").mkdir()
    page = tmp_path / "nowhere" / "page.html"
    said = CliRunner().invoke(app, ["status", "--storage", str(tmp_path / "storage"), "--html", str(page)])
    assert said.exit_code == 2
    assert "can't be written: No such file or directory" in said.output


def test_another_name_of_a_report_keeps_the_old_one_and_a_link_stays_a_link(tmp_path: Path) -> None:
    path, kept, link = (tmp_path / f"{name}.json" for name in ("report", "kept", "link"))
    evaluation.write([report("a")], path)
    old = path.read_text()
    kept.hardlink_to(path)
    link.symlink_to(path)
    evaluation.write([report("b")], link)
    assert kept.read_text() == old
    assert link.readlink() == path
    assert '"b"' in path.read_text()
    assert sorted(tmp_path.iterdir()) == [kept, link, path]
