"""The packaged models: pinned, converted once, and clear about what is wrong."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from models.weights import packaged as module
from models.weights.packaged import MODELS, PackagedModelError, packaged


@pytest.fixture
def fresh_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MOVIEDREAMER_MODELS", str(tmp_path / "cache"))
    packaged.cache_clear()
    yield tmp_path / "cache"
    packaged.cache_clear()


def test_conversion_happens_once_and_names_its_source(fresh_cache):
    folder = packaged("mtcnn")
    assert folder.parent == fresh_cache
    source = json.loads((folder / "source.json").read_text())
    assert source["files"] == dict(MODELS["mtcnn"].files)
    written = (folder / "model.safetensors").stat().st_mtime_ns
    packaged.cache_clear()
    assert packaged("mtcnn") == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written
    assert [path.name for path in fresh_cache.iterdir()] == [folder.name]  # no half-written folder is left behind


def test_models_that_need_no_conversion_are_used_in_place(fresh_cache):
    assert (packaged("minilm") / "model.safetensors").exists()
    assert (packaged("dlib-face") / "shape_predictor_5_face_landmarks.dat").exists()
    assert not fresh_cache.exists()


def test_another_file_than_the_pinned_one_is_refused(fresh_cache, monkeypatch):
    changed = MODELS["mtcnn"].model_copy(update={"files": {**MODELS["mtcnn"].files, "pnet.pt": "0" * 64}})
    monkeypatch.setattr(module, "MODELS", {**MODELS, "mtcnn": changed})
    with pytest.raises(PackagedModelError, match=r"'pnet\.pt'.*sha256 a2a719.*expected 0000.*make setup"):
        packaged("mtcnn")
    assert not fresh_cache.exists()


def test_a_missing_package_or_name_says_what_to_do(fresh_cache, monkeypatch):
    gone = MODELS["mtcnn"].model_copy(update={"package": "not_installed_here"})
    monkeypatch.setattr(module, "MODELS", {**MODELS, "mtcnn": gone})
    with pytest.raises(PackagedModelError, match=r"'not_installed_here'.*make setup"):
        packaged("mtcnn")
    with pytest.raises(PackagedModelError, match=r"'clip'.*mtcnn, dlib-face"):
        packaged("clip")


def test_an_unwritable_cache_says_which_variable_to_set(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("MOVIEDREAMER_MODELS", str(tmp_path / "file"))
    packaged.cache_clear()
    with pytest.raises(PackagedModelError, match="MOVIEDREAMER_MODELS"):
        packaged("mtcnn")
    packaged.cache_clear()


def test_rooms_import_without_heavy_libraries():
    rooms = ["weights.packaged", "detector", "face", "captioner", "writer", "sentence", "upscaler", "animator"]
    heavy = ("torch", "transformers", "timm", "dlib", "PIL")
    code = f"import sys; {'; '.join(f'import models.{room}' for room in rooms)}; "
    code += f"print([name for name in {heavy} if name in sys.modules])"
    root = Path(module.__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
