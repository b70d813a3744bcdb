"""A small share of the hostile inputs: each is refused with a reason, and none leads to a file or a server."""

import random
import sys
from pathlib import Path

import pytest

from benchmarks import hostile


@pytest.mark.skipif(sys.platform != "linux", reason="has links to Linux's devices")
def test_hostile_inputs_are_refused_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with hostile.listener() as (port, callers):
        films = hostile.make_films(tmp_path, 9, port, random.Random(1))
        found = hostile.judge(tmp_path, hostile.make_others(tmp_path, 17))
    assert (found.faults, callers) == ([], [])
    assert found.reasons.total() == len(films) + 17
