"""A storage of an earlier version gets the columns that it lacks."""

import pyarrow as pa
from deltalake import write_deltalake

from storage.films.provenance import UNKNOWN
from storage.root import Storage
from storage.tables.evolve import add_columns
from storage.tables.filmrows import FilmRows
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


def test_a_films_new_rows_are_read_beside_files_without_their_columns(tmp_path):
    storage, schema = Storage(str(tmp_path / "out")), SCHEMAS["features"]
    empty = {"second": 0, "shot": 0, "sentences": b"", "sentences_flipped": b"", "sentence_width": 3, "faces": b""}
    empty |= {"sentence_kinds": [], "face_width": 7, "face_characters": []}
    old = [{"row_id": f"{film}-0", "film_id": film, "fingerprint": "f00d"} | empty for film in (FILM, "f" * 16)]
    before = pa.schema([field for field in schema if field.name != "face_boxes"])
    write_deltalake(storage.url("tables/features"), pa.Table.from_pylist(old, schema=before))
    add_columns(storage, "features")
    new = old[0] | {"fingerprint": "beef", "face_boxes": [0.0, 0.0, 0.5, 1.0]}
    Tables(storage).commit("features", FILM, "beef", pa.Table.from_pylist([new], schema=schema))
    (found,) = FilmRows(storage, "features", {FILM: "beef"}).batches(FILM)
    assert found.to_pylist() == [new]
    (found,) = FilmRows(storage, "features", {FILM: "f00d"}).batches(FILM)
    assert found.to_pylist() == [old[0] | {"face_boxes": None}]
