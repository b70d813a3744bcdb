"""The tables are plain Delta: Polars and DuckDB count the same rows in them as `status` does."""

from pathlib import Path

import pyarrow as pa
import pytest

from benchmarks import fakes
from storage.batches import Batches
from storage.datafiles import write_file
from storage.root import Storage
from storage.schemas import SCHEMAS
from storage.tables import Tables


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """Twenty films of three batches, put together, and one batch after that."""
    storage = Storage(str(tmp_path / "out"))
    run = Batches(storage, "keyframes", ["keyframes"])
    for number, film_id in enumerate(fakes.film_ids(20)):
        rows = fakes.keyframe_rows(film_id, 0, 150, b"x" * 100, (32, 18))
        rows = rows.append_column("fingerprint", pa.array(["f"] * 150)).select(SCHEMAS["keyframes"].names)
        done = [{"film_id": film_id, "stage": "keyframes", "fingerprint": "f", "rows": 150, "attempts": 1}]
        run.commit(
            {"keyframes": [write_file(storage, "keyframes", [rows])]}, pa.Table.from_pylist(done, SCHEMAS["work"])
        )
        if number == 18:
            run.tidy()
    return storage


def test_polars_sees_the_same_rows(storage: Storage) -> None:
    polars = pytest.importorskip("polars")
    for table, count in Tables(storage).count().items():
        if count:
            assert polars.scan_delta(storage.url(f"tables/{table}")).select(polars.len()).collect().item() == count
    frames = polars.scan_delta(storage.url("tables/keyframes"))
    film_id = fakes.film_ids(1)[0]
    some = frames.filter((polars.col("film_id") == film_id) & (polars.col("second") >= 100)).collect()
    assert some.height == 50


def test_duckdb_sees_the_same_rows(storage: Storage) -> None:
    """By its own Delta reader, of which the extension is packaged."""
    duckdb = pytest.importorskip("duckdb")
    package = pytest.importorskip("duckdb_extension_delta")
    (extension,) = Path(package.__path__[0]).rglob("delta.duckdb_extension")
    film_id = fakes.film_ids(1)[0]
    with duckdb.connect() as connection:
        connection.load_extension(str(extension))
        for table, count in Tables(storage).count().items():
            if count:
                asked = f"select count(*) from delta_scan('{storage.url(f'tables/{table}')}')"
                assert connection.execute(asked).fetchall() == [(count,)]
        keyframes = storage.url("tables/keyframes")
        asked = f"select count(*) from delta_scan('{keyframes}') where film_id = '{film_id}' and second >= 100"
        assert connection.execute(asked).fetchall() == [(50,)]
