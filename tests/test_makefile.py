"""make hands names on as they are."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
GIVEN = ["run", "studio", "--recipe", "laptop", "--storage", "out"]


@pytest.mark.skipif(not shutil.which("make"), reason="needs make")
@pytest.mark.parametrize(
    "film", ["it's me.mp4", 'a "b".mp4', "$(touch hacked).mp4", "x'; touch hacked; '.mp4", "$(shell touch hacked).mp4"]
)
def test_a_films_name_is_no_part_of_the_command(film: str, tmp_path: Path) -> None:
    program = tmp_path / ".venv/bin/moviedreamer"
    program.parent.mkdir(parents=True)
    program.write_text('#!/bin/sh\nprintf "%s\\n" "$@" > said\n')
    program.chmod(0o755)
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for name in ("constraints.txt", "pyproject.toml", ".venv/.ready"):
        (tmp_path / name).touch()
    clean = {name: value for name, value in os.environ.items() if name not in ("RECIPE", "STORAGE")}
    subprocess.run(["make", "--silent", "demo", f"FILM={film}"], cwd=tmp_path, env=clean, check=True)
    assert (tmp_path / "said").read_text().splitlines() == [*GIVEN, "--set", f"ingest.films={film}"]
    assert not (tmp_path / "hacked").exists()
