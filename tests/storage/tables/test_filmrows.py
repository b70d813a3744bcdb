"""Rows of single films: each once and in order, wherever in the table's files they lie."""

import pyarrow as pa
import pytest

from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.datafiles import ROWS_A_GROUP, write_file
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import SCHEMAS, row_id
from storage.tables.tables import Tables
from tests.storage.tables.test_tables import tokens

FILMS = {f"{film:016x}": rows for film, rows in enumerate((300, 1, 128, 129, 40))}


def rows(film: str, key: str = "f") -> pa.Table:
    some = tokens(film, FILMS[film], value=1.0 if key == "f" else 2.0)
    for column, value in (("film_id", film), ("fingerprint", key)):
        some = some.append_column(column, pa.array([value] * some.num_rows))
    return some.select(SCHEMAS["tokens"].names)


@pytest.fixture(params=["as written", "put together"])
def storage(request, tmp_path):
    storage = Storage(str(tmp_path / "out"))
    run = Batches(storage, "tokens", ["tokens"])
    work = pa.Table.from_pylist(
        [{"film_id": "x", "stage": "tokens", "fingerprint": "f", "rows": 1, "attempts": 1}], schema=SCHEMAS["work"]
    )
    whole = [rows(film) for film in FILMS]
    first, second = whole[0].slice(150), whole[0].slice(0, 150)
    for parts in ([first], [second], whole[1:3], whole[3:], [rows(film, "g") for film in FILMS]):
        run.commit({"tokens": [write_file(storage, "tokens", parts)]}, work)
    if request.param == "put together":
        for _ in range(16):
            run.commit({"tokens": [write_file(storage, "tokens", [rows(list(FILMS)[1], "h")])]}, work)
        run.tidy()
        assert len(list(Tables(storage).versions())) == 2
    return storage


@pytest.mark.parametrize("key", ["f", "g"])
def test_each_row_comes_once_and_in_order(storage, key):
    table = FilmRows(storage, "tokens", dict.fromkeys(FILMS, key))
    for film, count in FILMS.items():
        found = pa.concat_tables(list(table.batches(film)))
        assert found.equals(rows(film, key))
        assert table.row_ids(film) == [row_id(film, second) for second in range(count)]
        assert all(some.num_rows <= 3 * ROWS_A_GROUP for some in table.batches(film))


@pytest.mark.parametrize(("first", "count"), [(0, 128), (5, 1), (100, 128), (120, 21), (290, 128), (400, 3)])
def test_rows_between_two_keyframes(storage, first, count):
    table, (film, *_) = FilmRows(storage, "tokens", dict.fromkeys(FILMS, "f")), FILMS
    found = table.between(film, row_id(film, first), row_id(film, first + count - 1), ["second"])
    assert found["second"].to_pylist() == list(range(first, min(first + count, 300)))
    assert found.schema == pa.schema([SCHEMAS["tokens"].field("second")])


def test_a_few_rows_at_a_time_read_each_group_once_and_none_without_the_film(storage, monkeypatch):
    read: list[tuple[str, int]] = []
    rows_of = FilmRows._rows_of

    def counted(self: FilmRows, name: str, index: int, columns: tuple[str, ...]) -> pa.Table:
        if "tokens" in columns:
            read.append((name, index))
        return rows_of(self, name, index, columns)

    monkeypatch.setattr(FilmRows, "_rows_of", counted)
    table = FilmRows(storage, "tokens", dict.fromkeys(FILMS, "f"))
    for film, count in FILMS.items():
        read.clear()
        for second in range(0, count, 16):
            table.between(film, row_id(film, second), row_id(film, second + 15))
        assert len(read) == len(set(read))
        for name, index in read:
            assert film in rows_of(table, name, index, ("film_id",))["film_id"].to_pylist()


def test_films_without_work_are_named_and_films_without_rows_have_none(storage):
    table = FilmRows(storage, "tokens", {"e" * 16: "f"})
    assert list(table.batches("e" * 16)) == []
    assert table.between("e" * 16, "", "f").schema == SCHEMAS["tokens"]
    with pytest.raises(ValueError, match="no finished tokens of film 'nobody'"):
        list(table.batches("nobody"))
