"""Some rows of some keyframes, of the work that was asked for."""

import pytest

from storage.picked import Picker
from storage.root import Storage
from storage.schemas import row_id
from storage.tables import Tables
from tests.storage.test_tables import FILM, OTHER, tokens

WORK = {"tokens": {FILM: "a", OTHER: "a"}}


@pytest.fixture
def storage(tmp_path):
    storage = Storage(str(tmp_path / "out"))
    for film, key, value in ((FILM, "a", 1.0), (FILM, "b", 2.0), (OTHER, "a", 3.0)):
        Tables(storage).commit("tokens", film, key, tokens(film, 300, value))
    return storage


def test_rows_come_sorted_and_of_the_right_work(storage):
    picker = Picker(storage, WORK)
    wanted = [row_id(FILM, second) for second in (250, 3, 7)]
    rows = picker.rows("tokens", wanted, ["second", "tokens"])
    assert rows["second"].to_pylist() == [3, 7, 250]
    assert set(rows["tokens"].to_pylist()) == {tokens(FILM, 1, 1.0)["tokens"][0].as_py()}
    assert picker.rows("tokens", [row_id(OTHER, 299)], ["row_id"]).to_pylist() == [{"row_id": row_id(OTHER, 299)}]


def test_nothing_asked_and_tables_without_rows_give_nothing(storage):
    picker = Picker(storage, {"tokens": WORK["tokens"], "renders": WORK["tokens"]})
    assert picker.rows("tokens", [], ["row_id"]).num_rows == 0
    assert picker.rows("renders", [row_id(FILM, 0)], ["row_id", "image"]).num_rows == 0
    with pytest.raises(ValueError, match="keyframes of 2 films at once"):
        picker.rows("tokens", [row_id(FILM, 0), row_id(OTHER, 0)], ["row_id"])
