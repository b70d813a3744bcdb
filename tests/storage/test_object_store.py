"""A storage in an object store: answers get lost, several machines want it, and nobody's work is lost or doubled."""

import pickle
from collections.abc import Iterator
from pathlib import Path
from threading import Event

import pytest

from benchmarks.faulty_s3 import proxied
from flows.server.lock import alone
from storage import checkpoints, files, lease
from storage.errors import StorageError
from storage.lease import Holder, Lease, only_one
from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.delta import open_table
from storage.tables.evolve import add_columns
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tests.storage.tables.test_batches import commit, name
from tests.storage.tables.test_tables import tokens

OTHER = Holder(lock="other:/lock", shown="process 7 on other")
OURS = Holder(lock="host:/lock", shown="process 8 on host")


@pytest.fixture
def storage(s3: str, tmp_path, monkeypatch) -> Storage:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return Storage(f"s3://bucket/{tmp_path.name}?endpoint_override={s3}&scheme=http&region=us-east-1")


@pytest.fixture
def losing(s3: str, storage: Storage) -> Iterator[Storage]:
    """The same place, behind a network that loses each third answer to a commit that was made."""
    storage.record.begin()
    with proxied(s3, mood="unanswered") as proxy:
        yield Storage(storage.uri.replace(s3, proxy.address))


def test_batches_whose_answers_are_lost_are_neither_lost_nor_doubled(losing: Storage, storage: Storage) -> None:
    run = Batches(losing, "tokens", ["tokens"])
    for film in range(5):
        commit(run, [film])
    delta = open_table(storage, "tokens")
    assert delta is not None
    assert Tables(storage).count() == Tables(losing).count() | {"tokens": 15, "work": 5}
    assert (delta.to_pyarrow_dataset().count_rows(), delta.version()) == (15, 5)


def test_rows_whose_commit_s_answer_is_lost_are_written_once(losing: Storage, storage: Storage) -> None:
    for film in range(5):
        Tables(losing).commit("tokens", name(film), "f", tokens(name(film)))
    delta = open_table(storage, "tokens")
    assert delta is not None
    assert (delta.to_pyarrow_dataset().count_rows(), delta.version()) == (15, 5)


def test_columns_are_added_once_when_the_answer_is_lost(s3: str, storage: Storage) -> None:
    from deltalake import DeltaTable, Schema

    some = Schema.from_arrow(SCHEMAS["films"]).fields[:1]
    DeltaTable.create(storage.url("tables/films"), Schema(some), storage_options=storage.delta_options)
    with proxied(s3, mood="unanswered", every=1) as proxy:
        add_columns(Storage(storage.uri.replace(s3, proxy.address)), "films")
    delta = open_table(storage, "films")
    assert delta is not None
    assert [field.name for field in delta.schema().fields] == SCHEMAS["films"].names


def test_of_two_that_make_a_place_a_storage_the_first_counts(storage: Storage) -> None:
    second = Storage(storage.uri)
    storage.record.begin(name="first")
    second.record.begin(name="second")
    assert second.record.id == "first"


def test_a_run_of_another_machine_keeps_this_one_out(storage: Storage) -> None:
    Lease(storage, OTHER).take()
    with pytest.raises(StorageError, match=r"process 7 on other.*expires in 1\d\d s"), alone(storage):
        pass
    Lease(storage, OTHER).release()
    with alone(storage), pytest.raises(StorageError, match="is at work in"):
        Lease(storage, OURS).take()
    Lease(storage, OURS).take()


def test_a_lease_that_nobody_renews_ends_and_its_holder_learns_of_it(storage: Storage, monkeypatch) -> None:
    silent, next_one = Lease(storage, OTHER), Lease(storage, OURS)
    silent.take()
    monkeypatch.setattr(lease, "EXPIRES", 0)
    next_one.take()
    assert (silent.renew(), next_one.renew(), next_one.renew()) == (False, True, True)
    silent.release()
    assert next_one.renew()


def test_files_of_a_table_are_put_together_by_one_at_a_time(storage: Storage) -> None:
    with only_one(storage) as alone, only_one(Storage(storage.uri)) as also:
        assert (alone, also) == (True, False)
    with only_one(storage) as again:
        assert again


def test_who_keeps_the_lock_of_a_killed_run_takes_its_lease_at_once(storage: Storage) -> None:
    Lease(storage, OURS).take()
    Lease(storage, Holder(lock=OURS.lock, shown="process 9 on host")).take()


def test_a_lease_outlives_lost_answers(s3: str, storage: Storage) -> None:
    with proxied(s3, mood="unanswered", every=1, of="lease") as proxy:
        ours = Lease(Storage(storage.uri.replace(s3, proxy.address)), OURS)
        ours.take()
        assert ours.renew()
        assert ours.renew()


def test_a_run_whose_storage_was_taken_is_stopped_and_told(storage: Storage, monkeypatch) -> None:
    monkeypatch.setattr(lease, "_RENEWED", 0)

    def run() -> None:
        with alone(storage):
            storage.write_plain(lease._WHOLE, OTHER.model_dump_json().encode())
            Event().wait(60)

    with pytest.raises(StorageError, match="another run has taken"):
        run()


def test_a_server_that_overwrites_what_it_should_keep_is_refused(storage: Storage, monkeypatch) -> None:
    put = Storage._put
    monkeypatch.setattr(Storage, "_put", lambda self, rel, data, mode: put(self, rel, data, "overwrite"))
    with pytest.raises(StorageError, match="lose commits"):
        storage.check_writable()
    assert storage.list("") == []


@pytest.mark.parametrize("rel", ["a=1/b c+d/e%41é#?.bin", "[1]/x~'&.bin"])
def test_what_is_written_under_any_name_is_read_under_it(storage: Storage, rel: str, tmp_path) -> None:
    storage.write_bytes(rel, b"one")
    (tmp_path / "two").write_bytes(b"two" * 4_000_000)
    storage.upload(tmp_path / "two", f"{rel}.2")
    assert storage.walk("") == sorted([rel, f"{rel}.2"])
    assert (storage.read_bytes(rel), storage.size(f"{rel}.2")) == (b"one", 12_000_000)


def test_an_upload_that_broke_off_goes_on_where_it_was(storage: Storage, tmp_path, monkeypatch) -> None:
    for file in ("a.safetensors", "b.safetensors"):
        (tmp_path / "step" / file).parent.mkdir(exist_ok=True)
        (tmp_path / "step" / file).write_bytes(file.encode())
    sent: list[str] = []
    put = Storage._put

    def broken(self: Storage, rel: str, data: object, mode: str) -> bool:
        if isinstance(data, Path):
            if sent:
                raise OSError("the network is gone")
            sent.append(data.name)
        return put(self, rel, data, mode)

    monkeypatch.setattr(Storage, "_put", broken)
    with pytest.raises(StorageError, match="the network is gone"):
        checkpoints.save(storage, "decoder", "f", 1, tmp_path / "step")
    assert checkpoints.latest(storage, "decoder", "f") is None
    sent.clear()
    checkpoints.save(storage, "decoder", "f", 1, tmp_path / "step")
    assert sent == ["b.safetensors"]
    found = checkpoints.latest(storage, "decoder", "f")
    assert found is not None
    with checkpoints.opened(storage, found) as folder:
        assert (folder / "a.safetensors").read_bytes() == b"a.safetensors"


@pytest.mark.parametrize("mood", ["503", "silent"])
def test_an_outage_costs_time_only(s3: str, storage: Storage, mood: str, monkeypatch) -> None:
    monkeypatch.setattr(files, "_LONGEST_PAUSE", 101)  # the first lasts 100 ms
    storage.record.begin()
    commit(Batches(storage, "tokens", ["tokens"]), [0])
    for use in (lambda place: place.write_new("new", b""), lambda place: open_table(place, "tokens")):
        with proxied(s3, mood=mood, lasts=12) as proxy:  # the libraries give up after 10
            use(Storage(storage.uri.replace(s3, proxy.address)))
    assert storage.exists("new")


def test_a_worker_s_copy_of_a_storage_is_as_patient(s3: str, storage: Storage) -> None:
    storage.write_plain("there", b"1")
    with proxied(s3, mood="503", lasts=5) as proxy:  # a pickled file system of Arrow gives up after 3
        place = Storage(storage.uri.replace(s3, proxy.address))
        assert place.filesystem
        copy = pickle.loads(pickle.dumps(place))
        assert (copy, copy.read_bytes("there")) == (place, b"1")


@pytest.mark.slow
def test_a_wrong_address_is_reported_at_once(s3: str, storage: Storage) -> None:
    assert storage.reached() is storage
    with pytest.raises(StorageError, match="cannot open 's3://bucket"):
        Storage(storage.uri.replace(s3, "127.0.0.1:9")).reached()
