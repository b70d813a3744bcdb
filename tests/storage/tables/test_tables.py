"""Rows in tables: checked on the way in, counted once they are finished, whatever was killed when."""

import subprocess
import sys
import threading

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable

from storage.errors import StorageError
from storage.root import Storage
from storage.tables.delta import ROWS_A_GROUP
from storage.tables.rejects import REASONS, Reject
from storage.tables.schemas import KEYS, SCHEMAS, character_id, face_id, row_id
from storage.tables.tables import Tables
from tests.storage.finished import finish

FILM, OTHER = "0123456789abcdef", "fedcba9876543210"


@pytest.fixture
def tables(tmp_path):
    return Tables(Storage(str(tmp_path / "out")))


def tokens(film: str, count: int = 3, value: float = 0.0) -> pa.Table:
    data = np.full((2, 4), value, np.float32).tobytes()
    return pa.table(
        {
            "row_id": [row_id(film, second) for second in range(count)],
            "second": pa.array(range(count), pa.int32()),
            "tokens": [data] * count,
            "tokens_flipped": [data] * count,
            "count": pa.array([2] * count, pa.int32()),
            "width": pa.array([4] * count, pa.int32()),
        }
    )


def test_rows_count_when_their_work_is_finished_and_not_before(tables):
    tables.commit("tokens", FILM, "a", tokens(FILM))
    assert tables.count()["tokens"] == 0
    assert tables.read("tokens", {FILM: "a"}).num_rows == 0
    finish(tables, "encode", FILM, "a", rows=3)
    assert tables.count()["tokens"] == 3
    assert tables.read("tokens", {FILM: "a"})["row_id"].to_pylist() == [row_id(FILM, second) for second in range(3)]
    assert tables.done("encode") == {(FILM, "a")}
    assert tables.done("decode") == set()


def test_every_table_comes_back_as_its_schema_says(tables):
    for table, schema in SCHEMAS.items():
        assert tables.read(table, {}).schema == schema
        assert set(KEYS[table]) <= set(schema.names)
    values = {
        pa.string(): "x",
        pa.int32(): 1,
        pa.int64(): 2**62,
        pa.float32(): 0.5,
        pa.float64(): 0.5,
        pa.bool_(): True,
        pa.binary(): b"x",
        pa.large_binary(): b"x",
        pa.list_(pa.string()): ["x", "y"],
        pa.list_(pa.int8()): [1, 2],
        pa.list_(pa.int32()): [3],
        pa.list_(pa.float32()): [0.5],
    }
    for table in set(SCHEMAS) - {"work", "rejects"}:
        row = {field.name: values[field.type] for field in SCHEMAS[table]}
        tables.commit(table, FILM, "a", pa.Table.from_pylist([row | {"film_id": FILM, "fingerprint": "a"}]))
    finish(tables, "all", FILM, "a", rows=1)
    for table in set(SCHEMAS) - {"work", "rejects"}:
        rows = tables.read(table, {FILM: "a"})
        assert rows.schema == SCHEMAS[table]
        assert rows.num_rows == 1
    assert set(tables.count().values()) == {0, 1}
    assert tables.count()["rejects"] == 0


def test_a_commit_said_again_replaces_and_leaves_the_others(tables):
    for film in (FILM, OTHER):
        tables.commit("tokens", film, "a", tokens(film))
        finish(tables, "encode", film, "a", rows=3)
    tables.commit("tokens", FILM, "b", tokens(FILM, value=2))
    finish(tables, "encode", FILM, "b", rows=3)
    for _ in range(2):
        tables.commit("tokens", FILM, "a", tokens(FILM, count=5, value=1))
        finish(tables, "encode", FILM, "a", rows=5)
    assert tables.count() | {"tokens": 0, "work": 0} == dict.fromkeys(SCHEMAS, 0)
    assert (tables.count()["tokens"], tables.count()["work"]) == (11, 3)
    rows = tables.read("tokens", {FILM: "b", OTHER: "a"}, columns=["second", "tokens"])
    assert rows.column_names == ["second", "tokens"]
    assert [np.frombuffer(data, np.float32)[0] for data in rows["tokens"].to_pylist()] == [2.0] * 3 + [0.0] * 3


def test_a_film_without_rows_is_finished_work_too(tables):
    tables.commit("tokens", FILM, "a", tokens(FILM, count=0))
    finish(tables, "encode", FILM, "a", rows=0)
    assert tables.done("encode") == {(FILM, "a")}
    assert tables.read("tokens", {FILM: "a"}).num_rows == 0
    tables.commit("tokens", OTHER, "b", tokens(OTHER, count=0))
    finish(tables, "encode", OTHER, "b", rows=0)
    assert tables.read("tokens", {FILM: "a", OTHER: "b"}).num_rows == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda rows: rows.drop_columns(["second"]), "missing columns .*'second'"),
        (lambda rows: rows.append_column("more", pa.array([1, 2, 3])), "unknown columns .*'more'"),
        (lambda rows: rows.set_column(1, "second", pa.array(["a", "b", "c"])), "do not fit"),
        (lambda rows: rows.set_column(1, "second", pa.array([1, None, 3], pa.int32())), r"nulls in \['second'\]"),
        (lambda rows: pa.concat_tables([rows, rows]), "repeat a row_id"),
        (lambda rows: rows.append_column("film_id", pa.array([FILM, FILM, OTHER])), f"hold others.*{OTHER}"),
    ],
)
def test_rows_that_do_not_fit_are_refused(tables, change, message):
    with pytest.raises(ValueError, match=message):
        tables.commit("tokens", FILM, "a", change(tokens(FILM)))
    assert tables.versions() == {}


def test_unknown_tables_are_named(tables):
    for table in ("keyframe", "work"):
        with pytest.raises(ValueError, match=f"{table}.*keyframes"):
            tables.commit(table, FILM, "a", tokens(FILM))


def test_a_reject_stands_there_once_with_its_newest_reason(tables):
    source = 'it\'s a \\ "film" -- ; é.mp4'
    tables.judge("films", [], [Reject(source=source, reason="crashed", detail="first", attempts=1)])
    then = Reject(source=source, reason="timed_out", detail="then", attempts=2)
    tables.judge("films", [source], [then, Reject(source="another", reason="missing", detail="x")])
    assert [(each.source, each.reason, each.attempts) for each in tables.rejects()] == [
        ("another", "missing", 1),
        (source, "timed_out", 2),
    ]
    assert tables.count()["rejects"] == 2
    tables.judge("films", [source], [])
    tables.judge("films", [source, "a third"], [])
    assert [each.source for each in tables.rejects()] == ["another"]
    assert {"missing", "crashed", "timed_out", "partly_decoded"} <= set(REASONS)


def test_files_are_plain_parquet_with_small_row_groups(tables):
    tables.commit("tokens", FILM, "a", tokens(FILM, count=300))
    (file,) = DeltaTable(tables.storage.url("tables/tokens")).file_uris()
    metadata = pq.ParquetFile(file).metadata
    assert [metadata.row_group(group).num_rows for group in range(metadata.num_row_groups)] == [128, 128, 44]
    assert ROWS_A_GROUP == 128
    assert pq.read_table(file)["row_id"][0].as_py() == row_id(FILM, 0)


def test_two_writers_at_once_both_get_through(tables):
    def work(films: range) -> None:
        for film in films:
            tables.commit("tokens", f"{film:016x}", "a", tokens(f"{film:016x}"))
            finish(tables, "encode", f"{film:016x}", "a", rows=3)

    threads = [threading.Thread(target=work, args=(range(start, start + 4),)) for start in (0, 100)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(tables.done("encode")) == 8
    assert tables.count()["tokens"] == 24


def test_a_storage_that_cannot_be_written_is_quoted(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    tables = Tables(Storage(str(tmp_path / "file" / "out")))
    with pytest.raises(StorageError, match="file/out"):
        tables.commit("tokens", FILM, "a", tokens(FILM))


def test_ids():
    row = row_id(FILM, 7)
    assert (row, character_id(row, 2), face_id(row, 0)) == (f"{FILM}-000007", f"{FILM}-000007-p2", f"{FILM}-000007-f0")


RUN = """
import os, signal, sys
import numpy as np, pyarrow as pa
from storage.root import Storage
from storage.tables.schemas import row_id
from storage.tables.tables import Tables
from tests.storage.finished import finish

def step(name):
    global steps
    steps += 1
    if steps == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)

steps = 0
tables = Tables(Storage(sys.argv[1]))
for film in ("a" * 16, "b" * 16, "c" * 16):
    if (film, "f") in tables.done("encode"):
        continue
    rows = pa.table({
        "row_id": [row_id(film, second) for second in range(3)],
        "second": pa.array(range(3), pa.int32()),
        "tokens": [b"x"] * 3, "tokens_flipped": [b"x"] * 3,
        "count": pa.array([1] * 3, pa.int32()), "width": pa.array([1] * 3, pa.int32()),
    })
    step("before the rows")
    tables.commit("tokens", film, "f", rows)
    step("between the rows and the work")
    finish(tables, "encode", film, "f", rows=3)
"""


def test_killed_between_commit_and_finish_nothing_is_lost_or_doubled(tmp_path):
    def run(kill_at: int) -> int:
        return subprocess.run([sys.executable, "-c", RUN, str(tmp_path / "out"), str(kill_at)]).returncode

    tables = Tables(Storage(str(tmp_path / "out")))
    assert run(kill_at=2) == -9  # the first film's rows are there, its work is not finished
    assert DeltaTable(tables.storage.url("tables/tokens")).to_pyarrow_dataset().count_rows() == 3
    assert tables.count() == dict.fromkeys(SCHEMAS, 0)
    assert run(kill_at=4) == -9  # the first film is finished now, of the second the rows are there
    assert (tables.count()["tokens"], tables.count()["work"]) == (3, 1)
    assert run(kill_at=0) == 0
    assert (tables.count()["tokens"], tables.count()["work"]) == (9, 3)
    work = dict.fromkeys(("a" * 16, "b" * 16, "c" * 16), "f")
    rows = tables.read("tokens", work)
    assert rows["row_id"].to_pylist() == [row_id(film, second) for film in work for second in range(3)]
    assert DeltaTable(tables.storage.url("tables/tokens")).to_pyarrow_dataset().count_rows() == 9
