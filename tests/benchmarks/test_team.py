"""The page that benchmarks/team.py follows."""

import re
import subprocess
from pathlib import Path
from types import ModuleType

import pytest

REPOSITORY = Path(__file__).parents[2]
PAGE = (REPOSITORY / "docs/operations.md").read_text()


@pytest.fixture
def team(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(REPOSITORY / "benchmarks")
    import team

    return team


def test_each_block_says_where_it_runs_and_is_a_shell_script(team: ModuleType) -> None:
    found = team.blocks(PAGE)
    assert len(found) == PAGE.partition("\n## Other places")[0].count("```sh\n") > 8
    first, *others = found
    known = set(re.findall(r"\b([A-Z_]+)=", first))
    for block in found:
        assert block.startswith("# ")
        subprocess.run(["bash", "-n", "-c", block], check=True)
    for block in others:
        assert ". ./team.env" in block
        named = set(re.findall(r"\$\{?([A-Z_]+)", block))
        assert named - {"PWD"} <= known | set(re.findall(r"export ([A-Z_]+)=", block))


def test_other_ports_are_used_so_that_nothing_is_in_the_way(team: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "team.env").write_text("export A=http://127.0.0.1:4200/api B=127.0.0.1:6379 P=5433 C=s3://films/4200x")
    team._own_ports(tmp_path / "team.env")
    text = (tmp_path / "team.env").read_text()
    assert not re.search(r"\b(4200|6379|5433)\b", text)
    assert text.endswith("C=s3://films/4200x")
