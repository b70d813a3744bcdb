"""What names weights: the commit that a hub id means, the bytes of a folder."""

from pathlib import Path

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from models.backbone import LlamaBackbone, build
from models.vision import ClipConfig
from models.weights.checkpoint import CheckpointError, Origin, commit, place, require
from tests.models import tiny_checkpoints
from tests.models.hub_cache import COMMIT, fetched

ORIGIN = Origin("the model", "none", "it", "x.source")
LATER = "f" * 40


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def test_a_hub_id_is_named_by_the_commit_in_the_cache(cache: Path, tmp_path: Path) -> None:
    tiny_checkpoints.clip_vision(tmp_path / "clip")
    fetched(cache, "some/clip", tmp_path / "clip")
    assert ClipConfig(source="some/clip").revision == f"some/clip@{COMMIT}"
    assert ClipConfig(source="some/clip", hub_revision=COMMIT).revision == f"some/clip@{COMMIT}"
    fetched(cache, "some/clip", tmp_path / "clip", LATER)  # the branch has moved on
    assert ClipConfig(source="some/clip").revision == f"some/clip@{LATER}"
    assert place(ORIGIN, "some/clip", "main") == ("some/clip", {"revision": LATER})


def test_a_folder_is_named_by_its_bytes(tmp_path: Path) -> None:
    tiny_checkpoints.clip_vision(tmp_path / "clip")
    first = LlamaBackbone(source=str(tmp_path / "clip")).revision
    assert first.startswith("sha256 ")
    (tmp_path / "clip/config.json").write_text("{}")
    assert LlamaBackbone(source=str(tmp_path / "clip")).revision != first


def test_what_is_nowhere_has_no_name(cache: Path) -> None:
    with pytest.raises(CheckpointError, match="it isn't in the hub's cache"):
        _ = ClipConfig(source="nobody/nothing").revision
    with pytest.raises(CheckpointError, match="there is no such file or folder"):
        build(LlamaBackbone(source="./nowhere"))


def test_weights_that_were_never_fetched_are_missed_where_the_hub_is_not_asked(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "part").mkdir()
    (tmp_path / "part/config.json").write_text("{}")
    fetched(cache, "some/part", tmp_path / "part")
    with pytest.raises(CheckpointError, match="its weights aren't in the hub's cache"):
        require(ORIGIN, "some/part", "main")
    (tmp_path / "part/model.safetensors").write_bytes(b"x")
    fetched(cache, "some/whole", tmp_path / "part")
    require(ORIGIN, "some/whole", "main")


def test_the_hub_is_asked_for_a_commit_that_is_not_in_the_cache(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def download(source: str, local_files_only: bool = False, **options: object) -> str:
        if local_files_only:
            raise LocalEntryNotFoundError("nothing here")
        asked.append((source, options))
        return f"/cache/snapshots/{COMMIT}"

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert commit(ORIGIN, "some/model", "main") == COMMIT
    assert asked == [("some/model", {"revision": "main", "allow_patterns": ["*.json"]})]


def test_a_folder_without_weights_and_weights_that_were_cut_off_are_told(tmp_path: Path) -> None:
    folder = tmp_path / "clip"
    folder.mkdir()
    with pytest.raises(CheckpointError, match=r"clip' holds no weights, no file that ends in .*\.safetensors"):
        require(ORIGIN, str(folder), "main")
    tiny_checkpoints.clip_vision(folder)
    require(ORIGIN, str(folder), "main")
    weights = folder / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:1000])
    with pytest.raises(CheckpointError, match=r"model\.safetensors' is cut off or damaged"):
        require(ORIGIN, str(folder), "main")
