"""`clean` removes what runs made, in storages only."""

from pathlib import Path

import pytest

from flows.cleaning import clean, made
from storage.errors import ConfigError
from storage.root import Storage

OURS = [
    ".prefect/server.log",
    "tables/films/_delta_log/0.json",
    "snapshots/0123456789abcdef.json",
    "checkpoints/autoencoder/0123456789abcdef/final/config.json",
    "films/drawn-7-96s.mp4",
    "films/hashes.parquet",
    "cards/0123456789abcdef/data_card.html",
    "exports/0123456789abcdef/index.json",
    "movies/0123456789abcdef/movie.mp4",
    "movie.mp4",
    "metrics.json",
]
THEIRS = ["films/holiday.mp4", "movies/favourites/one.mp4", "notes.txt"]


def _fill(root: Path, names: list[str]) -> Storage:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(name)
    return Storage(str(root))


def test_removes_ours_and_keeps_theirs(tmp_path: Path) -> None:
    storage = _fill(tmp_path, OURS + THEIRS)
    removed = clean(storage)
    assert "films/drawn-7-96s.mp4" in removed
    left = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*") if path.is_file())
    assert left == sorted(THEIRS)
    assert {path.name for path in tmp_path.iterdir()} == {"films", "movies", "notes.txt"}


def test_a_clean_storage_is_left_alone(tmp_path: Path) -> None:
    assert clean(Storage(str(tmp_path / "nothing"))) == []
    storage = _fill(tmp_path, OURS)
    clean(storage)
    assert clean(storage) == []


@pytest.mark.parametrize("names", [THEIRS, ["movie.mp4"], ["tables/kitchen.txt", "films/drawn-cartoon.mp4"]])
def test_refuses_what_is_no_storage(tmp_path: Path, names: list[str]) -> None:
    storage = _fill(tmp_path, names)
    with pytest.raises(ConfigError, match="does not look like a storage"):
        made(storage)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        clean(storage)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(names)
