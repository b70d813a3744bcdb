"""Many films a commit: what a killed run left goes, and of two runs on one storage one stops."""

from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from storage.errors import StorageError
from storage.lease import only_one
from storage.root import Storage
from storage.tables import batches
from storage.tables.batches import Batches
from storage.tables.datafiles import write_file
from storage.tables.delta import open_table, tidy
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tests.storage.finished import finish
from tests.storage.tables.test_tables import tokens


def name(number: int) -> str:
    return f"{number:016x}"


def work(films: list[int], stage: str = "tokens") -> pa.Table:
    rows = [{"film_id": name(film), "stage": stage, "fingerprint": "f", "rows": 3, "attempts": 1} for film in films]
    return pa.Table.from_pylist(rows, schema=SCHEMAS["work"])


def rows(film: int) -> pa.Table:
    some = tokens(name(film)).append_column("film_id", pa.array([name(film)] * 3))
    return some.append_column("fingerprint", pa.array(["f"] * 3)).select(SCHEMAS["tokens"].names)


def commit(run: Batches, films: list[int]) -> None:
    run.commit({"tokens": [write_file(run.storage, "tokens", [rows(film) for film in films])]}, work(films))


def lying(storage: Storage) -> int:
    return DeltaTable(storage.url("tables/tokens")).to_pyarrow_dataset().count_rows()


def test_films_of_many_batches_count(storage):
    run = Batches(storage, "tokens", ["tokens"])
    commit(run, [1, 2])
    commit(run, [3])
    again = Batches(storage, "tokens", ["tokens"])
    commit(again, [4, 5])
    assert Tables(storage).done("tokens") == {(name(film), "f") for film in range(1, 6)}
    assert Tables(storage).count()["tokens"] == lying(storage) == 15


def test_a_batch_that_was_not_made_to_count_is_deleted_by_the_next_run(storage, monkeypatch):
    commit(Batches(storage, "tokens", ["tokens"]), [1, 2])
    killed = Batches(storage, "tokens", ["tokens"])
    with monkeypatch.context() as patch:
        patch.setattr(killed._work, "append", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            commit(killed, [3, 4])
    assert (lying(storage), Tables(storage).count()["tokens"]) == (12, 6)
    monkeypatch.setattr(batches, "_TERMS", 1)  # in more commits than one
    run = Batches(storage, "tokens", ["tokens"])
    assert lying(storage) == 6
    commit(run, [3, 4])
    assert lying(storage) == Tables(storage).count()["tokens"] == 12
    with pytest.raises(StorageError, match="another run has committed tokens"):
        killed._work.append(3, [write_file(storage, "work", [work([3, 4])])])  # comes back to life
    assert Tables(storage).count()["work"] == 4


def test_a_run_that_dies_while_it_deletes_leaves_the_rest_to_the_next(storage, monkeypatch):
    killed = Batches(storage, "tokens", ["tokens"])
    monkeypatch.setattr(killed._work, "append", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        commit(killed, [1, 2])
    monkeypatch.setattr(batches, "_TERMS", 1)
    with monkeypatch.context() as patch:
        deleted = []
        patch.setattr(batches, "_delete", lambda *given: deleted.append(given) or 1 / 0)
        with pytest.raises(ZeroDivisionError):
            Batches(storage, "tokens", ["tokens"])
    Batches(storage, "tokens", ["tokens"])
    assert lying(storage) == 0


def test_of_two_runs_of_a_stage_the_later_to_commit_stops_and_nothing_is_doubled(storage):
    first, second = (Batches(storage, "tokens", ["tokens"]) for _ in range(2))
    commit(first, [1, 2])
    with pytest.raises(StorageError, match="another run has committed tokens"):
        commit(second, [1, 2])
    commit(first, [3])
    third = Batches(storage, "tokens", ["tokens"])
    commit(third, [4])
    with pytest.raises(StorageError, match="no row is duplicated"):
        commit(first, [4])
    assert lying(storage) == Tables(storage).count()["tokens"] == 12


def test_other_stages_and_other_writers_are_no_conflict(storage):
    run = Batches(storage, "tokens", ["tokens"])
    commit(run, [1])
    other = Batches(storage, "renders", ["renders"])
    other.commit({}, work([1], "renders"))
    finish(Tables(storage), "films", name(1), "f", 1)
    commit(run, [2])
    other.commit({}, work([2], "renders"))
    assert Tables(storage).count()["work"] == 5


def test_small_files_are_put_together_and_readers_see_the_same(storage):
    run = Batches(storage, "tokens", ["tokens"])
    for film in range(20):
        commit(run, [film])
    wanted = {name(film): "f" for film in range(20)}
    before = Tables(storage).read("tokens", wanted)
    run.tidy()
    table = DeltaTable(storage.url("tables/tokens"))
    assert len(table.file_uris()) == 1
    assert Tables(storage).read("tokens", wanted).equals(before)
    assert Tables(storage).count()["tokens"] == 60
    commit(run, [20])
    assert Tables(storage).count()["tokens"] == 63


def test_writers_side_by_side_lose_and_double_nothing_and_a_reader_sees_whole_batches(storage):
    def write(stage: str, films: range) -> None:
        run = Batches(storage, stage, ["tokens"])
        for film in films:
            files = {"tokens": [write_file(storage, "tokens", [rows(film)])]}
            run.commit(files, work([film], stage))

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, "one", range(8)), pool.submit(write, "two", range(8, 16))]
        while not all(writer.done() for writer in writers):
            finished = {film_id: "f" for stage in ("one", "two") for film_id, _ in Tables(storage).done(stage)}
            assert Tables(storage).read("tokens", finished).num_rows == 3 * len(finished)
        assert [writer.result() for writer in writers] == [None, None]
    assert Tables(storage).count()["tokens"] == lying(storage) == 48
    assert Tables(storage).count()["work"] == 16


def test_two_who_put_the_same_files_together_double_nothing(storage):
    run = Batches(storage, "tokens", ["tokens"])
    for film in range(20):
        commit(run, [film])
    first, second = (open_table(storage, "tokens") for _ in range(2))
    tidy(storage, first, "tokens")
    tidy(storage, second, "tokens")
    assert lying(storage) == 60
    with only_one(storage) as alone, only_one(storage) as also:
        assert (alone, also) == (True, False)
        for film in range(20, 40):
            commit(run, [film])
        tidy(storage, first, "tokens")
    assert len(DeltaTable(storage.url("tables/tokens")).file_uris()) == 21
    assert lying(storage) == 120
