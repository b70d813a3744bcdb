"""What benchmarks/faults.py counts, and how it goes on."""

import argparse
from pathlib import Path

import pytest


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    import faults

    return faults


def test_films_begun_again_since_a_strike_are_counted_and_those_finished_before_it(faults) -> None:
    log = [("faces", "a"), ("faces", "b"), ("faces", "c"), ("faces", "b"), ("faces", "b"), ("faces", "d")]
    outcome = faults.Outcome("x")
    outcome.count(log, struck=2, finished={("faces", "a"), ("faces", "b")})
    assert (outcome.again, outcome.finished_again) == (2, 1)
    outcome.count(log, struck=5, finished=set())
    assert (outcome.again, outcome.finished_again) == (0, 0)


def test_a_benchmark_that_was_ended_goes_on_with_what_has_not_struck(faults, tmp_path: Path) -> None:
    args = argparse.Namespace(results=tmp_path / "faults.jsonl", fault="S3")
    wanted = faults.lacking(faults.STRIKES, "s3", 1, args)
    assert len(wanted) == 5
    faults.append(args.results, [faults.Outcome(wanted[0], seconds=3.0, left=["lock"])])
    assert faults.lacking(faults.STRIKES, "s3", 1, args) == wanted[1:]
    assert faults.lacking(faults.STRIKES, "s3", 2, args) == wanted
    (outcome,) = faults.read(args.results)
    assert faults.row(wanted[0], [outcome]) == f"| {wanted[0]} | 1 | 0 | 0 | 0 | 0 | 3 s | 3 s | lock |"
