"""The tables are plain Delta: Polars and DuckDB count the same rows in them as `status` does."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from benchmarks import fakes
from storage.films.films import resolve
from storage.remote import reached
from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.datafiles import write_file
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables

ODD = ["my store", "café", "a#b", "a?b=c", "a+b&c", "it's {1}", "日本"]


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    """Twenty films of three batches, put together, and one batch after that."""
    return filled(Storage(str(tmp_path / "out")), 20)


def filled(storage: Storage, films: int) -> Storage:
    run = Batches(storage, "keyframes", ["keyframes"])
    for number, film_id in enumerate(fakes.film_ids(films)):
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


def documented() -> str:
    """What docs/tables.md says about reading the table `captions`, for the table `keyframes` of a storage."""
    text = (Path(__file__).parents[2] / "docs" / "tables.md").read_text(encoding="utf-8")
    code = text.partition("```python")[2].partition("```")[0]
    return code.replace("captions", "keyframes")


def read_as_documented(storage: Storage) -> tuple[int, int]:
    polars, duckdb = pytest.importorskip("polars"), pytest.importorskip("duckdb")
    keyframes = DeltaTable(storage.url("tables/keyframes"), storage_options=storage.delta_options).to_pyarrow_dataset()
    for line in ("to_pyarrow_dataset()", "polars.scan_pyarrow_dataset(keyframes)", "duckdb.sql(", "from keyframes"):
        assert line in documented()
    mine = polars.scan_pyarrow_dataset(keyframes).filter(polars.col("second") >= 100).collect()
    with duckdb.connect() as connection:
        connection.register("keyframes", keyframes)
        ((count,),) = connection.sql("select count(*) from keyframes where second >= 100").fetchall()
    return mine.height, count


@pytest.mark.parametrize("name", ODD)
def test_a_root_of_any_name_is_read_as_documented(tmp_path: Path, name: str) -> None:
    storage = filled(Storage(str(tmp_path / name)), 2)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert Tables(storage).count()["keyframes"] == 300
    assert read_as_documented(storage) == (100, 100)


@pytest.mark.parametrize("name", ODD)
def test_duckdb_opens_a_root_of_any_name_by_itself(tmp_path: Path, name: str) -> None:
    duckdb, package = pytest.importorskip("duckdb"), pytest.importorskip("duckdb_extension_delta")
    (extension,) = Path(package.__path__[0]).rglob("delta.duckdb_extension")
    storage = filled(Storage(str(tmp_path / name)), 1)
    with duckdb.connect() as connection:
        connection.load_extension(str(extension))
        asked = "select count(*) from delta_scan(?)"
        assert connection.execute(asked, [storage.url("tables/keyframes")]).fetchall() == [(150,)]


@pytest.mark.parametrize("name", [*ODD[:3], "a b+c", "a?b", "50%", "[1]"])
def test_a_prefix_of_any_name_is_read_as_documented(s3: str, name: str) -> None:
    storage = filled(Storage(f"s3://bucket/{name}?endpoint_override={s3}&scheme=http&region=us-east-1"), 2)
    assert Tables(storage).count()["keyframes"] == 300
    assert read_as_documented(storage) == (100, 100)
    storage.write_bytes("films/a b+c#1?.mp4", b"film")
    (film,), rejects = resolve([storage.source("films")])
    assert (film.address, rejects) == (f"s3://bucket/{name}/films/a b+c#1?.mp4", [])
    assert reached(film.address, [storage.source("")]) == film.source
    assert storage.read_bytes("films/a b+c#1?.mp4") == b"film"
