"""A storage is empty, or its own, or is told to work beside what is there."""

from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import DeltaTable, write_deltalake

from flows.commands.cleaning import clean
from storage.claim import claim
from storage.errors import ConfigError
from storage.root import Storage
from storage.tables.delta import create_table, open_table, tidy
from storage.tables.schemas import SCHEMAS
from tests.storage.placed import put
from tests.storage.test_record import EXAMPLES, ID


def _everything(storage: Storage) -> dict[str, bytes]:
    files = (path for path in Path(storage.uri).rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in files}


def test_an_empty_place_becomes_a_storage_and_stays_one(storage: Storage) -> None:
    claim(storage)
    name = storage.record.id
    storage.write_bytes(f"snapshots/{ID}.json", b"{}")
    claim(Storage(storage.uri))
    assert Storage(storage.uri).record.id == name


def test_a_folder_that_is_not_empty_needs_into(storage: Storage) -> None:
    put(Path(storage.uri) / "movie.mp4")
    before = _everything(storage)
    with pytest.raises(ConfigError, match=r"neither empty nor a moviedreamer storage .*movie\.mp4.*--into"):
        claim(storage)
    assert _everything(storage) == before
    claim(storage, into=True)
    claim(Storage(storage.uri))


@pytest.mark.parametrize("rel", [rel for rel in EXAMPLES if "/" in rel])
@pytest.mark.parametrize("own", [False, True])
def test_files_where_runs_keep_theirs_are_named_before_anything_is_written(
    storage: Storage, rel: str, own: bool
) -> None:
    if own:
        claim(storage)
    put(Path(storage.uri) / rel)
    before = _everything(storage)
    with pytest.raises(ConfigError, match=r"in places where runs write, and no run made them") as caught:
        claim(Storage(storage.uri), into=True)
    assert rel in str(caught.value)
    assert _everything(storage) == before


@pytest.mark.parametrize("rel", ["movies", "checkpoints/decoder", "tables", "tables/films", f"movies/{ID}"])
def test_a_file_where_a_folder_belongs_is_in_the_way(storage: Storage, rel: str) -> None:
    put(Path(storage.uri) / rel)
    with pytest.raises(ConfigError, match="in places where runs write"):
        claim(storage, into=True)


@pytest.mark.parametrize("rel", ["films/hashes.parquet", f"snapshots/{ID}.json", f"movies/{ID}/movie.mp4"])
def test_a_folder_where_a_file_belongs_is_in_the_way(storage: Storage, rel: str) -> None:
    put(Path(storage.uri) / f"{rel}/mine.txt")
    with pytest.raises(ConfigError, match=rel):
        claim(storage, into=True)


def test_names_that_are_not_unicode_and_rings_of_links_do_no_harm(storage: Storage) -> None:
    for folder in ("", "movies/", "checkpoints/decoder/"):
        put(Path(storage.uri) / f"{folder}caf\udce9.mp4")
    (Path(storage.uri) / f"checkpoints/decoder/{ID}").mkdir()
    (Path(storage.uri) / f"checkpoints/decoder/{ID}/up").symlink_to(storage.uri)
    before = _everything(storage)
    with pytest.raises(ConfigError, match=r"'caf\\udce9\.mp4'"):
        claim(storage)
    claim(storage, into=True)
    storage.write_bytes("metrics.json", b"ours")
    assert storage.walk("") == ["metrics.json"]  # which leaves out what Arrow cannot name
    clean(storage)
    assert _everything(storage) == before


def test_another_s_tables_are_in_the_way(storage: Storage) -> None:
    put(Path(storage.uri) / "tables/films/_delta_log/00.json")
    with pytest.raises(ConfigError, match="tables/films"):
        claim(storage, into=True)
    other = Storage(f"{storage.uri}-2")
    write_deltalake(other.url("tables/films"), pa.table({"holiday": ["2025"]}))
    with pytest.raises(ConfigError, match="tables/films"):
        claim(other, into=True)
    assert DeltaTable(other.url("tables/films")).version() == 0


def test_an_earlier_version_s_storage_is_recognised_and_goes_on_when_told(storage: Storage) -> None:
    write_deltalake(storage.url("tables/films"), SCHEMAS["films"].empty_table())
    kept = (f"snapshots/{ID}.json", "metrics.json", f"checkpoints/codec/{ID}/final/done.json")
    old = [put(Path(storage.uri) / rel) for rel in kept]
    with pytest.raises(ConfigError, match=r"an earlier version .* no record .*--into"):
        claim(storage)
    claim(storage, into=True)
    claim(Storage(storage.uri))
    storage.delete("checkpoints")
    assert all(file.read_bytes() == b"a stranger's" for file in old)
    delta = open_table(storage, "films")
    assert delta is not None
    assert delta.metadata().description == storage.record.id


def test_tidying_a_table_leaves_what_a_user_put_into_its_folder(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("storage.tables.delta._KEPT_HOURS", 0)
    monkeypatch.setattr("storage.tables.delta._SMALL_FILES", 0)
    vacuum = DeltaTable.vacuum
    monkeypatch.setattr(
        DeltaTable, "vacuum", lambda self, **how: vacuum(self, **how | {"enforce_retention_duration": False})
    )
    delta = create_table(storage, "films")
    theirs = [
        put(Path(storage.uri) / f"tables/films/{name}") for name in ("notes.txt", "part-mine.parquet", "sub/one.mp4")
    ]
    storage.write_bytes("tables/films/part-0.parquet", b"of a killed run")
    tidy(storage, delta, "films")
    assert all(file.read_bytes() == b"a stranger's" for file in theirs)
    assert not storage.exists("tables/films/part-0.parquet")
