"""The benchmark of captions in the wrong rows: ours has none, and the count can tell."""

import json
import sys

import pytest

from benchmarks import caption_mismatches


def test_no_caption_of_ours_stands_in_a_wrong_row(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(sys, "argv", ["caption_mismatches", "--rows", "48", "--runs", "1"])
    caption_mismatches.main()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (result["value"], result["n"]) == (0, 48)
    assert result["baseline"] > 20


def test_a_picture_is_read_back_and_a_wrong_row_is_counted() -> None:
    numbers = caption_mismatches.with_duplicates(30, seed=0)
    assert len(set(numbers)) == 20
    read = [caption_mismatches.number_of(caption_mismatches.data_uri(caption_mismatches.picture(n))) for n in numbers]
    assert read == numbers
    captions = [f"a picture with the number {number}." for number in numbers]
    assert caption_mismatches.mismatches(numbers, captions) == 0
    assert caption_mismatches.mismatches(numbers, [*captions[:-1], ""]) == 1
