"""What the scripts read of a storage is the newest, not the last by its hash."""

import os
from pathlib import Path

import pytest

from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm


def test_the_demo_is_the_snapshot_written_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    from demo import Demo

    storage = Storage(str(tmp_path))
    films = [(SnapshotFilm(film_id=name, title=name, train=(0, 1), test=(2, 3)),) for name in ("a", "b")]
    made = sorted((Snapshot.of(some, {}, {}) for some in films), key=lambda one: one.id)
    for age, one in enumerate(made):
        snapshots.save(storage, one)
        os.utime(tmp_path / f"snapshots/{one.id}.json", (1000 - age, 1000 - age))
    assert Demo.of(storage).snapshot == made[0]
