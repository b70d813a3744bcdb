"""A storage of an earlier version gets the columns that it lacks."""

import pyarrow as pa
from deltalake import write_deltalake

from storage.films.provenance import UNKNOWN
from storage.root import Storage
from storage.tables.evolve import add_columns
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tests.storage.finished import finish

FILM = "0123456789abcdef"
OLD = pa.schema([field for field in SCHEMAS["films"] if field.name not in UNKNOWN])


def test_old_rows_stay_and_new_ones_fit(tmp_path):
    storage = Storage(str(tmp_path / "out"))
    add_columns(storage, "films")  # where there is no table yet nothing is to be done
    row = {
        "film_id": FILM,
        "fingerprint": "f00d",
        "source": "a.mp4",
        "title": "a",
        "seconds": 9.0,
        "fps": 24.0,
        "width": 640,
        "height": 360,
        "has_audio": False,
        "licence": "none",
    }
    write_deltalake(storage.url("tables/films"), pa.Table.from_pylist([row], schema=OLD))
    tables = Tables(storage)
    finish(tables, "keyframes", FILM, "f00d", 9)
    for _ in range(2):
        add_columns(storage, "films")
        assert tables.read("films", {FILM: "f00d"}).to_pylist() == [row | dict.fromkeys(UNKNOWN)]
    assert tables.versions()["films"] == 1
    other = row | UNKNOWN | {"film_id": "f" * 16, "year": 1940, "fingerprint": "beef"}
    tables.commit("films", "f" * 16, "beef", pa.Table.from_pylist([other], schema=SCHEMAS["films"]))
    finish(tables, "keyframes", "f" * 16, "beef", 9)
    assert tables.read("films", {FILM: "f00d", "f" * 16: "beef"})["year"].to_pylist() == [None, 1940]
