"""Names are derived: of work from its settings, of films from their bytes."""

import hashlib
import pickle
from pathlib import Path
from typing import ClassVar

import pytest
from pydantic import BaseModel

from storage.errors import ConfigError, FilmError, MovieDreamerError, StorageError
from storage.fingerprint import file_id, fingerprint


class Config(BaseModel, frozen=True):
    size: int = 3
    name: str = "a"


def test_a_fingerprint_stays_the_same_for_ever():
    assert fingerprint("keyframes", Config(), {"b": [1, 2.5, None], "a": True}) == "bfd83b9b9caca9e7"


def test_order_of_keys_and_of_sets_does_not_count_but_that_of_parts_does():
    assert fingerprint({"a": 1, "b": 2}) == fingerprint({"b": 2, "a": 1})
    assert fingerprint({"x", "y"}) == fingerprint({"y", "x"}) == fingerprint(["x", "y"])
    assert fingerprint("a", "b") != fingerprint("b", "a") != fingerprint("ab")
    assert fingerprint(Config()) != fingerprint(Config(size=4))
    assert len(fingerprint()) == 16


@pytest.mark.parametrize("part", [Path("films"), object(), b"bytes", {1: "a"}, {"a": {2: "b"}}])
def test_what_has_no_json_form_is_refused(part):
    with pytest.raises(TypeError, match="cannot fingerprint"):
        fingerprint(part)


class Weights(Config, frozen=True):
    @property
    def revision(self) -> str:
        return "1"


class NewWeights(Weights, frozen=True):
    @property
    def revision(self) -> str:
        return "2"


class Whole(BaseModel, frozen=True):
    part: Config = Config()


def test_the_revision_behind_a_config_counts_however_deep_it_lies():
    assert fingerprint(Weights()) == fingerprint({"size": 3, "name": "a", "revision": "1"})
    assert len({fingerprint(Whole(part=part)) for part in (Config(), Weights(), NewWeights())}) == 3


class Somewhere(Weights, frozen=True):
    not_identity: ClassVar[tuple[str, ...]] = ("source",)
    source: str


def test_where_weights_lie_does_not_count():
    assert fingerprint(Somewhere(source="here")) == fingerprint(Somewhere(source="there")) == fingerprint(Weights())


def test_infinity_is_refused():
    with pytest.raises(ValueError, match="JSON"):
        fingerprint(float("inf"))


def test_file_id_is_of_the_bytes_and_not_of_the_name(tmp_path):
    for name in ("a.mp4", "b.webm"):
        (tmp_path / name).write_bytes(b"a film" * 1000)
    assert file_id(tmp_path / "a.mp4") == file_id(str(tmp_path / "b.webm"))
    assert file_id(tmp_path / "a.mp4") == hashlib.sha256(b"a film" * 1000).hexdigest()[:16]


def test_the_tree_of_errors():
    error = FilmError("truncated", "'a.mp4' lacks its end")
    assert isinstance(error, ValueError)
    assert isinstance(error, MovieDreamerError)
    assert str(error) == "truncated: 'a.mp4' lacks its end"
    assert issubclass(ConfigError, ValueError)
    assert not issubclass(StorageError, ValueError)
    again = pickle.loads(pickle.dumps(error))
    assert (again.reason, again.detail) == (error.reason, error.detail)
