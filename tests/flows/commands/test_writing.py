"""`moviedreamer write`: a synopsis becomes a story file beside it."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.cli import app
from storage.stories.reading import read

SYNOPSIS = "The key\n\nMira, a girl in a yellow dress, finds a key in the forest.\nShe runs home.\n"


def call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["write", *arguments, "--recipe", "smoke"], env={"COLUMNS": "200"})
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture
def synopsis(tmp_path: Path) -> Path:
    path = tmp_path / "the_key.txt"
    path.write_text(SYNOPSIS)
    return path


def test_a_story_is_written_beside_the_synopsis_and_reads_back(synopsis: Path) -> None:
    code, printed, _ = call(str(synopsis))
    assert code == 0
    assert "1 scenes, 2 shots, 2 keyframes, with Mira" in printed
    story = read(synopsis.with_suffix(".yaml"))
    assert [placed.shot.plots[0] for placed in story.shots()] == SYNOPSIS.splitlines()[2:]
    assert "# the forest: its description was added" in synopsis.with_suffix(".yaml").read_text()


def test_it_answers_in_json_too(synopsis: Path, tmp_path: Path) -> None:
    code, printed, _ = call(
        str(synopsis), "-o", str(tmp_path / "mine.yaml"), "--keyframes", "5", "--verbatim", "--json"
    )
    told = json.loads(printed)
    assert (code, told["path"], told["keyframes"]) == (0, str(tmp_path / "mine.yaml"), 5)


def test_bad_usage_is_told_and_no_file_is_written_over(synopsis: Path, tmp_path: Path) -> None:
    there = tmp_path / "there.yaml"
    there.write_text("mine")
    (tmp_path / "latin.txt").write_bytes("Zoë waits.".encode("latin-1"))
    for arguments, said in [
        ((str(synopsis), "-o", str(there)), "already exists: remove it, or give another name with -o"),
        ((str(synopsis), "-o", str(tmp_path / "story.mp4")), "is not the name of a story file"),
        ((str(synopsis), "-o", str(tmp_path / "none" / "story.yaml")), "can't be written"),
        ((str(tmp_path / "none.txt"),), "there is no file"),
        ((str(tmp_path / "latin.txt"),), "are not UTF-8"),
        ((str(synopsis), "--keyframes", "1"), "2 sentences need at least as many keyframes"),
    ]:
        code, _, told = call(*arguments)
        assert code == 2
        assert said in told
    assert there.read_text() == "mine"


def test_without_its_language_model_a_story_is_made_by_rules_and_says_so(synopsis: Path) -> None:
    synopsis.write_text(SYNOPSIS + "Mira opens the door.\n")
    code, _, told = call(str(synopsis), "--set", "writer.kind=llm", "--set", "writer.source=/none")
    assert (code, told) == (0, "")
    text = synopsis.with_suffix(".yaml").read_text()
    assert "# the sizes of all shots are by rule, since the language model can't be used: " in text
