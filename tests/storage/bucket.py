"""What every object store has to do as a storage: lease, commits, upload, download and removal."""

from pathlib import Path

import pytest

from flows.server.lock import alone
from storage.errors import StorageError
from storage.lease import Holder, Lease
from storage.remote import fetched
from storage.root import Storage
from storage.tables.batches import Batches
from storage.tables.tables import Tables
from tests.storage.tables.test_batches import commit


def is_a_storage(storage: Storage, tmp_path: Path) -> None:
    with alone(storage), pytest.raises(StorageError, match="is at work in"):
        Lease(storage, Holder(lock="other:/lock", shown="process 7 on other")).take()
    run = Batches(storage, "tokens", ["tokens"])
    for film in range(4):
        commit(run, [film])
    count = Tables(storage).count()
    assert (count["tokens"], count["work"]) == (12, 4)
    (tmp_path / "x").write_bytes(b"two" * 4_000_000)
    storage.upload(tmp_path / "x", "a=1/b c.bin")
    assert storage.walk("a=1") == ["b c.bin"]
    with fetched(storage.source("a=1/b c.bin")) as copy:
        assert copy.read_bytes() == b"two" * 4_000_000
    storage.delete("a=1/b c.bin")
    assert not storage.exists("a=1/b c.bin")
