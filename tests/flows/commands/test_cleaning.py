"""`clean` removes what runs made and nobody has changed since, in storages only."""

import contextlib
import json
import os
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake
from typer.testing import CliRunner

from flows.cli import app
from flows.commands.cleaning import clean, look
from flows.server import home
from flows.server.lock import alone
from storage import layout
from storage.claim import claim
from storage.errors import ConfigError, StorageError
from storage.layout import RECORD
from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.delta import create_table
from storage.tables.schemas import SCHEMAS
from tasks.training import first_stage, frozen
from tasks.training.model_card import _STAGES
from tests.storage.placed import put

ID = "0123456789abcdef"
OURS = [
    f"snapshots/{ID}.json",
    f"checkpoints/codec/{ID}/final/config.json",
    f"checkpoints/first_stage/{ID}/final/config.json",
    f"checkpoints/a_model_of_tomorrow/{ID}/final/config.json",
    "films/drawn-7-96s-896x512.mp4",
    "films/hashes.parquet",
    f"cards/{ID}/data_card.html",
    f"exports/{ID}/index.json",
    f"movies/{ID}/movie.mp4",
    "movie.mp4",
    "metrics.json",
]
THEIRS = [
    "films/drawn-mine.mp4",
    "films/holiday.mp4",
    "movie-12.mp4",
    "movies/favourites/one.mp4",
    "notes.txt",
    "tables/films/notes.txt",
    "tables/kitchen/plan.txt",
    "checkpoints/decoder/mymodel.pt",
    f"checkpoints/codec/{ID}/final/notes.txt",
    ".prefect/profile.txt",
    f"{RECORD}/made/notes.txt",
]


def _files(root: Path) -> list[str]:
    return sorted(path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def _filled(root: Path) -> Storage:
    """A storage as runs leave it."""
    storage = Storage(str(root))
    claim(storage)
    with alone(storage):
        for name in ("prefect.db", "server.log", "storage/" + "0a" * 16):
            file = home.home(storage) / name
            file.parent.mkdir(exist_ok=True)
            file.write_text(name)
        for name in OURS:
            storage.write_bytes(name, name.encode())
        work = pa.table({"film_id": ["f"], "stage": ["keyframes"], "fingerprint": ["1"], "rows": [0], "attempts": [1]})
        batches = Batches(storage, "keyframes", ["keyframes"])
        batches.commit({}, work)
        batches.commit({}, work)
        films = create_table(storage, "films")
        write_deltalake(films, SCHEMAS["films"].empty_table(), mode="append")
        films.create_checkpoint()
    return storage


def _with_theirs(storage: Storage) -> Storage:
    for name in THEIRS:
        put(Path(storage.uri) / name)
    return storage


def test_the_layout_knows_all_models_that_are_trained() -> None:
    assert {first_stage.STAGE, frozen._MODEL, *_STAGES, "autoregressive"} == set(layout.MODELS)


def test_nothing_is_left_of_a_storage_that_is_no_one_else_s(tmp_path: Path) -> None:
    storage = _filled(tmp_path)
    found = clean(storage)
    assert {"films/hashes.parquet", "checkpoints/first_stage", "tables/films", ".prefect", "movie.mp4"} <= set(
        found.removed
    )
    assert found.left == ()
    assert list(tmp_path.iterdir()) == []


def test_what_others_put_there_stays_and_is_named(tmp_path: Path) -> None:
    storage = _with_theirs(_filled(tmp_path))
    (tmp_path / "metrics.json").write_text("changed since")
    (tmp_path / f"movies/{ID}/movie.mp4").write_text("cut")
    stays = [*THEIRS, "metrics.json", f"movies/{ID}/movie.mp4"]
    found = clean(storage)
    assert _files(tmp_path) == sorted(stays)
    folders = tuple(name for name in found.left if name.endswith("/"))
    untold = [name for name in stays if not (name in found.left or name.startswith(folders))]
    assert untold == [f"{RECORD}/made/notes.txt"]


def test_a_link_by_which_a_user_keeps_movies_elsewhere_stays(tmp_path: Path) -> None:
    elsewhere, storage = tmp_path / "elsewhere", Storage(str(tmp_path / "storage"))
    claim(storage)
    elsewhere.mkdir()
    (tmp_path / "storage/movies").symlink_to(elsewhere)
    storage.write_bytes(f"movies/{ID}/movie.mp4", b"made by a run")
    clean(storage)
    assert (tmp_path / "storage/movies").readlink() == elsewhere
    assert list(elsewhere.iterdir()) == []


def test_what_lies_behind_a_user_s_links_stays_and_rings_of_them_end(tmp_path: Path) -> None:
    storage = _filled(tmp_path / "storage")
    (tmp_path / "elsewhere/empty").mkdir(parents=True)
    for folder in ("tables", "tables/films", ".prefect", f"checkpoints/codec/{ID}/final", f"movies/{ID}"):
        for name in ("again", "and_again", "once_more"):
            (tmp_path / "storage" / folder / name).symlink_to(".")
        (tmp_path / "storage" / folder / "up").symlink_to("..")
        (tmp_path / "storage" / folder / "out").symlink_to(tmp_path / "elsewhere")
    assert "tables/again" in "".join(clean(storage).left)
    assert (tmp_path / "elsewhere/empty").is_dir()
    assert len([path for path in (tmp_path / "storage").rglob("*") if path.is_symlink()]) == 25


def test_the_command_names_what_it_removed_and_what_it_left(tmp_path: Path) -> None:
    _with_theirs(_filled(tmp_path))
    arguments = ["clean", "--yes", "--storage", str(tmp_path)]
    look_first = CliRunner().invoke(app, arguments[:1] + arguments[2:], input="n\n")
    assert look_first.exit_code == 1
    assert "Remove " in look_first.output
    ran = CliRunner().invoke(app, [*arguments, "--json"])
    told = json.loads(ran.stdout)
    assert "checkpoints/codec" in told["removed"]
    assert {"films/holiday.mp4", "movies/favourites/", "movie-12.mp4"} <= set(told["left"])
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert "is not a moviedreamer storage" in again.output


def test_of_much_that_is_left_and_removed_the_first_few_are_named_and_json_names_all(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        storage = Storage(str(tmp_path / folder))
        claim(storage)
        for number in range(100, 150):
            storage.write_bytes(f"films/drawn-{number}.mp4", b"ours")
            (tmp_path / folder / f"theirs{number}.txt").touch()
    arguments = ["clean", "--yes", "--storage"]
    removed, left = CliRunner().invoke(app, [*arguments, str(tmp_path / "one")]).stdout.splitlines()
    assert removed.startswith("removed films/drawn-100.mp4, ")
    assert removed.endswith("films/drawn-107.mp4 and 42 more")
    assert left.endswith(": " + ", ".join(f"'theirs{number}.txt'" for number in range(100, 108)) + " and 42 more")
    told = json.loads(CliRunner().invoke(app, [*arguments, str(tmp_path / "two"), "--json"]).stdout)
    assert (len(told["removed"]), len(told["left"])) == (50, 50)


def test_a_clean_storage_is_left_alone(tmp_path: Path) -> None:
    storage = _filled(tmp_path)
    clean(storage)
    assert clean(Storage(storage.uri)).removed == []


def test_a_storage_that_was_cleaned_is_empty_for_the_next_run(tmp_path: Path) -> None:
    clean(_filled(tmp_path))
    claim(Storage(str(tmp_path)))


def test_an_interrupted_clean_can_be_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = _filled(tmp_path)
    delete, left = Storage.delete_file, 0

    def deletes_some(self: Storage, rel: str) -> None:
        nonlocal left
        if not left:
            raise KeyboardInterrupt
        left -= 1
        delete(self, rel)

    monkeypatch.setattr(Storage, "delete_file", deletes_some)
    while _files(tmp_path):
        left = 1
        with contextlib.suppress(KeyboardInterrupt):
            clean(Storage(storage.uri))
    monkeypatch.undo()
    assert clean(Storage(storage.uri)).removed == []


def test_what_killed_runs_left_unfinished_goes_with_the_next(tmp_path: Path) -> None:
    storage = _filled(tmp_path)
    name = f"{storage.record.id}{'0a' * 16}.part"
    left = [f"{folder}.movie.mp4.{name}" for folder in ("", f"movies/{ID}/", "checkpoints/codec/x/")]
    theirs = [".film.mp4.part", f"movies/.movie.mp4.{'0a' * 16}.part", f"elsewhere/.movie.mp4.{name}"]
    for rel in (*left, *theirs):
        (tmp_path / rel).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / rel).write_text("half")
    with alone(storage):
        parts = sorted(path.relative_to(tmp_path).as_posix() for path in tmp_path.rglob("*.part"))
    assert parts == sorted(theirs)


@pytest.mark.parametrize(
    "names", [THEIRS, ["movie.mp4"], [".prefect/server.log", "movie.mp4"], ["tables/films/_delta_log/00.json", *THEIRS]]
)
def test_refuses_what_is_no_storage(tmp_path: Path, names: list[str]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    storage = Storage(str(tmp_path))
    with pytest.raises(ConfigError, match="is not a moviedreamer storage"):
        look(storage)
    with pytest.raises(ConfigError, match=str(tmp_path)):
        clean(storage)
    assert _files(tmp_path) == sorted(names)


@pytest.mark.parametrize("options", [[], ["--yes"], ["--unused"], ["--yes", "--json"]])
def test_a_place_that_is_not_there_or_no_storage_is_told_and_not_made_one(tmp_path: Path, options: list[str]) -> None:
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/holiday.jpg").write_text("mine")
    for name, said in (("nowhere", "there is no storage at"), ("pictures", "is not a moviedreamer storage")):
        ran = CliRunner().invoke(app, ["clean", *options, "--storage", str(tmp_path / name)])
        assert ran.exit_code != 0
        assert said in ran.output
    assert _files(tmp_path) == ["pictures/holiday.jpg"]
    (tmp_path / "empty").mkdir()
    ran = CliRunner().invoke(app, ["clean", *options, "--storage", str(tmp_path / "empty")])
    assert ran.exit_code == 0
    assert list((tmp_path / "empty").iterdir()) == []


@pytest.mark.parametrize("name", ["lock", "server.log", "prefect.db", "whole"])
def test_a_link_among_prefect_s_files_is_named_and_what_it_leads_to_stays(tmp_path: Path, name: str) -> None:
    storage, diary = _filled(tmp_path / "storage"), tmp_path / "diary.txt"
    diary.write_text("mine")
    link = tmp_path / "storage/.prefect" / name
    link.unlink(missing_ok=True)
    link.symlink_to(diary)
    with pytest.raises(StorageError, match=f"{name}' is in the way: it is a link"), alone(storage):
        pass
    clean(storage)
    assert (diary.read_text(), link.readlink()) == ("mine", diary)


def test_a_file_that_cannot_be_removed_leaves_no_empty_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = _filled(tmp_path)
    stuck = f"movies/{ID}/movie.mp4"
    delete = Storage.delete_file

    def may_not(self: Storage, rel: str) -> None:
        if rel == stuck:
            raise StorageError("not permitted")
        delete(self, rel)

    monkeypatch.setattr(Storage, "delete_file", may_not)
    with pytest.raises(StorageError, match="not permitted"):
        clean(storage)
    monkeypatch.undo()
    assert clean(Storage(storage.uri)).left == ()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_fills_while_it_is_removed_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = Storage(str(tmp_path))
    (tmp_path / "movies").mkdir()
    listed = Storage._listed

    def fills(self: Storage, rel: str, recursive: bool) -> list[tuple[str, bool]]:
        found = listed(self, rel, recursive)
        (tmp_path / "movies/mine.mp4").write_text("mine")
        return found

    monkeypatch.setattr(Storage, "_listed", fills)
    storage.delete_empty(["movies"])
    assert (tmp_path / "movies/mine.mp4").read_text() == "mine"


def test_a_folder_of_the_user_s_that_has_the_name_of_prefect_s_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "out/.prefect").mkdir(parents=True)
    (tmp_path / "out/.prefect/server.log").write_text("mine")
    storage = Storage(str(tmp_path / "out"))
    claim(storage, into=True)
    with alone(storage):
        assert not home.home(storage).is_relative_to(tmp_path / "out")
    clean(storage)
    assert _files(tmp_path / "out") == [".prefect/server.log"]


def test_only_what_nothing_needs_goes_once_it_is_a_week_old(tmp_path: Path) -> None:
    storage = Storage(str(tmp_path / "out"))
    delta = create_table(storage, "films")
    for name in ("old", "new"):
        storage.write_bytes(f"tables/films/part-{name}.parquet", b"of a killed run")
    old, theirs = (Path(storage.uri, "tables/films", name) for name in ("part-old.parquet", "theirs.parquet"))
    theirs.write_bytes(b"a stranger's")
    for path in (old, theirs):
        os.utime(path, (0, 0))
    result = CliRunner().invoke(app, ["clean", "--unused", "--json", "--storage", storage.uri])
    said = json.loads(result.stdout)
    assert said["removed"] == ["tables/films/part-old.parquet"]
    assert said["bytes"]["tables"] > 0
    assert (old.exists(), theirs.exists(), storage.exists("tables/films/part-new.parquet")) == (False, True, True)
    assert delta.version() == 0
