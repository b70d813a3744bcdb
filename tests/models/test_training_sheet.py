"""Which rows are taken where all would be too many."""

import pytest

from models.training.sheet import windows


def test_all_rows_where_they_are_few() -> None:
    assert windows(300, 300).tolist() == list(range(300))


@pytest.mark.parametrize(("count", "most", "length"), [(1000, 300, 128), (100_001, 8192, 128), (300, 299, 16)])
def test_many_rows_come_in_whole_windows_from_the_first_to_the_last(count: int, most: int, length: int) -> None:
    rows = windows(count, most, length).tolist()
    firsts = rows[::length]
    assert most - length < len(rows) <= most
    assert len(set(rows)) == len(rows)
    assert rows == [first + place for first in firsts for place in range(length)]
    assert (firsts[0], firsts[-1]) == (0, (count // length - 1) * length)
    assert {first % length for first in firsts} == {0}


def test_fewer_rows_than_a_window_are_one_piece() -> None:
    assert windows(1000, 5).tolist() == [0, 1, 2, 3, 4]
