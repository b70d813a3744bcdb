"""`clean` removes what runs made, in storages only."""

import contextlib
from pathlib import Path

import pytest

from flows.cleaning import clean, made
from flows.lock import alone
from storage.errors import ConfigError
from storage.root import Storage

OURS = [
    ".prefect/server.log",
    "tables/films/_delta_log/0.json",
    "tables/keyframes/_delta_log/0.json",
    "snapshots/0123456789abcdef.json",
    "checkpoints/autoencoder/0123456789abcdef/final/config.json",
    "films/drawn-7-96s.mp4",
    "films/hashes.parquet",
    "cards/0123456789abcdef/data_card.html",
    "exports/0123456789abcdef/index.json",
    "movies/0123456789abcdef/movie.mp4",
    "movies/fedcba9876543210/about.json",  # of a script's own
    "movies/fedcba9876543210/notes.json",
    "movies/fedcba9876543210/movie.mp4",
    "movie.mp4",
    "metrics.json",
]
THEIRS = [
    "films/holiday.mp4",
    "movies/favourites/one.mp4",
    "notes.txt",
    "tables/kitchen/plan.txt",
    "checkpoints/chess/final.txt",
]


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
    assert {path.name for path in tmp_path.iterdir()} == {name.partition("/")[0] for name in THEIRS}


def test_a_clean_storage_is_left_alone(tmp_path: Path) -> None:
    assert clean(Storage(str(tmp_path / "nothing"))) == []
    storage = _fill(tmp_path, OURS)
    clean(storage)
    assert clean(storage) == []


@pytest.mark.parametrize("server", [True, False])
def test_an_interrupted_clean_can_be_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: bool) -> None:
    storage = _fill(tmp_path, [name for name in OURS if server or not name.startswith(".prefect")])
    delete, left = Storage.delete, 0

    def deletes_some(self: Storage, rel: str) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        delete(self, rel)

    monkeypatch.setattr(Storage, "delete", deletes_some)
    while made(storage):
        left = 1
        with contextlib.suppress(KeyboardInterrupt):
            clean(storage)
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_what_killed_runs_left_unfinished_goes_with_the_next(tmp_path: Path) -> None:
    left = [
        f"{folder}.movie.mp4.{'0a' * 16}.part" for folder in ("", "movies/0123456789abcdef/", "checkpoints/codec/x/")
    ]
    theirs = [".film.mp4.part", f"elsewhere/.movie.mp4.{'0a' * 16}.part"]
    storage = _fill(tmp_path, [*OURS, *left, *theirs])
    with alone(storage):
        parts = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.part"))
    assert parts == sorted(theirs)


@pytest.mark.parametrize("names", [THEIRS, ["movie.mp4"], ["tables/kitchen.txt", "films/drawn-cartoon.mp4"]])
def test_refuses_what_is_no_storage(tmp_path: Path, names: list[str]) -> None:
    storage = _fill(tmp_path, names)
    with pytest.raises(ConfigError, match="does not look like a storage"):
        made(storage)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        clean(storage)
    assert len([path for path in tmp_path.rglob("*") if path.is_file()]) == len(names)
