"""Curves reach the storage while a training goes on."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from storage.root import Storage
from tasks.training.engine.tensorboard import Board


def test_events_that_come_during_an_upload_do_not_change_what_is_uploaded(
    storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    job: Any = SimpleNamespace(storage=storage, folder="checkpoints/toy/0")
    board = Board(job, 0, "1 GiB")
    sizes = []

    def upload(self: Storage, source: Path, rel: str) -> None:
        (events,) = source.iterdir()
        sizes.append(events.stat().st_size)
        for step in range(3):
            board.figures(step, {"loss": 1.0})
        board._writer.flush()
        sizes.append(events.stat().st_size)

    monkeypatch.setattr(Storage, "upload", upload)
    board.upload()
    board.upload()
    assert sizes[0] == sizes[1] < sizes[2] == sizes[3]
