"""The weights that trainings start from stand in a storage as models of its own."""

from pathlib import Path

import pytest

from models.autoregressive.autoregressive import AutoregressiveModel
from storage import checkpoints
from storage.errors import ConfigError
from storage.root import Storage
from tasks.training.frozen import FrozenConfig
from tasks.training.pretrained import pretrained
from tests.models.test_training_autoregressive import MODEL


def test_weights_are_put_into_a_storage_once(tmp_path: Path) -> None:
    weights, storage = tmp_path / "weights", Storage(str(tmp_path / "out"))
    AutoregressiveModel.create(MODEL).save_pretrained(weights)
    first = pretrained(FrozenConfig(init=str(weights)), str(weights), storage)
    assert first.decoder == checkpoints.newest(storage, "decoder")
    with storage.local(first.autoregressive) as folder:
        assert AutoregressiveModel.from_pretrained(folder).config == MODEL
    written = tmp_path / "out" / first.decoder / "config.json"
    before = written.stat().st_mtime_ns
    assert pretrained(FrozenConfig(init=str(weights)), str(weights), storage) == first
    assert written.stat().st_mtime_ns == before


def test_no_weights_are_an_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"autoregressive.init='': there are no weights to start from"):
        pretrained(FrozenConfig(init="x"), "", Storage(str(tmp_path)))
