"""Data files that a table's log names: every reader finds every row in them, whatever it filters by."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from deltalake import DeltaTable

from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.datafiles import RowBuffer, write_file
from storage.tables.schemas import SCHEMAS

VALUES = {
    pa.string(): ["", "a" * 40, "é" * 40, "\U0001f3ac" * 33, "z"],
    pa.int32(): [-(2**31), -1, 0, 1, 2**31 - 1],
    pa.int64(): [-(2**63), -1, 0, 1, 2**63 - 1],
    pa.float32(): [-3e38, -0.5, 0.0, 1e-7, 0.1],
    pa.float64(): [-1.7e308, -1e300, 0.0, 0.1, 1e-300],
    pa.bool_(): [True, False, True, False, True],
    pa.binary(): [b"", b"x", b"y", b"z", b"\xff"],
    pa.large_binary(): [b"", b"x", b"y", b"z", b"\xff"],
    pa.list_(pa.string()): [[], ["x"], ["x", "y"], [""], ["z"]],
    pa.list_(pa.int8()): [[], [1], [1, 2], [0], [-1]],
    pa.list_(pa.int32()): [[], [1], [1, 2], [0], [-1]],
    pa.list_(pa.float32()): [[], [1.0], [1.0, 2.0], [0.5], [-1.0]],
}


def rows(table: str) -> pa.Table:
    schema = SCHEMAS[table]
    return pa.table([pa.array(VALUES[column.type], column.type) for column in schema], schema=schema)


@pytest.mark.parametrize("table", SCHEMAS)
def test_every_value_of_every_column_is_found(table, tmp_path):
    storage = Storage(str(tmp_path / "out"))
    work = write_file(storage, table, [rows(table)])
    if table in ("work", "rejects"):
        Batches(storage, "s", ["rejects"]).commit({"rejects": [work]} if table == "rejects" else {}, rows("work"))
    else:
        Batches(storage, "s", [table]).commit({table: [work]}, rows("work"))
    dataset = DeltaTable(storage.url(f"tables/{table}")).to_pyarrow_dataset()
    assert dataset.count_rows() == 5
    for column in SCHEMAS[table]:
        if pa.types.is_nested(column.type):
            continue
        for value in VALUES[column.type]:
            wanted = VALUES[column.type].count(value)
            kind = dataset.schema.field(column.name).type
            found = dataset.to_table(columns=[column.name], filter=pc.field(column.name) == pa.scalar(value, kind))
            assert found.num_rows == wanted, (column.name, value)


def test_a_buffer_forgets_the_files_that_it_gave_away(tmp_path):
    buffer, some = RowBuffer(Storage(str(tmp_path / "out")), "captions", 1 << 20), rows("captions").slice(0, 1)
    buffer.add(some)
    (first,) = buffer.close()
    assert buffer.close() == []
    buffer.add(some)
    (second,) = buffer.close()
    assert first.name != second.name


def test_a_buffer_makes_files_of_its_size_and_hands_out_the_rest(tmp_path):
    storage = Storage(str(tmp_path / "out"))
    buffer, some = RowBuffer(storage, "captions", 200), rows("captions").filter(pc.field("film_id") == "z")
    for _ in range(20):
        buffer.add(some)
    assert sum(file.rows for file in buffer.files) + buffer.rest().num_rows == 20
    assert len(buffer.files) > 1
    assert storage.list("tables/captions") == sorted(file.name for file in buffer.files)
    buffer.discard()
    assert storage.list("tables/captions") == []
