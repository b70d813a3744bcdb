"""The benchmark of long movies, on a short one."""

import json
import sys
from pathlib import Path

import pytest


def test_a_short_movie_is_in_step(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    monkeypatch.setattr(sys, "argv", ["assembly", "--keyframes", "8", "--minutes", "0.2", "--size", "112", "64"])
    import assembly

    assembly.main()
    figures = {one["name"]: one for one in map(json.loads, capsys.readouterr().out.splitlines()[3:])}
    assert list(figures) == ["assembly_memory", "assembly_step", "assembly_speed"]
    assert figures["assembly_step"]["holds"]
