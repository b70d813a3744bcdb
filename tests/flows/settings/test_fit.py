"""Parts of a recipe that don't fit each other are named with all that is to be changed together."""

import json
import re
import shlex
from pathlib import Path

import pytest
import torch

from flows.catalogue import needs
from flows.settings.assignments import fields
from flows.settings.fit import DERIVED
from flows.settings.recipes import RECIPES, resolve
from models.autoregressive.autoregressive import AutoregressiveModel
from storage.errors import ConfigError


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (
            ["autoencoder.warmup_steps=100"],
            "warmup_steps=100 does not go with autoencoder.steps=24, which it",
        ),
        (
            ["autoencoder.model.compressor.kind=transformer", "autoencoder.model.compressor.heads=5"],
            "compressor.width=128, which it must divide",
        ),
        (["movie.variant=few_shot", 'render.variants=["dreamt"]'], "does not go with movie.variant=few_shot"),
        (['first={"sizes": [[256, 448], [448, 256]]}'], "does not go with autoencoder.model.decoder.coarse, which"),
    ],
)
def test_what_does_not_fit_is_named_with_a_line_that_mends_it(changed: list[str], named: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(named)) as raised:
        resolve("smoke", changed)
    mended = [word for word in shlex.split(str(raised.value).split("Change together: ")[1]) if word != "--set"]
    assert resolve("smoke", [*changed, *mended])


def test_aspect_buckets_go_without_a_coarse_head() -> None:
    buckets = 'first={"sizes": [[256, 448], [448, 256]]}'
    assert resolve("smoke", [buckets, "autoencoder.model.decoder.coarse=null"]).first


@pytest.mark.parametrize("recipe", ["smoke", "laptop", "gpu", "paper"])
def test_a_recipe_s_trainings_find_room_in_the_ray_of_its_own(recipe: str) -> None:
    assert resolve(recipe).name == recipe
    assert resolve(recipe, ["side_by_side=true"]).side_by_side


def test_workers_that_ray_would_wait_for_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    many = ["fit.workers=2", "fit.batches=2", "fit.threads=4"]
    with pytest.raises(ConfigError, match=r"cluster.cpus=4 does not go with .*threads.*--set cluster.cpus=8"):
        resolve("laptop", many)
    with pytest.raises(ConfigError, match=r"--set cluster\.cpus=16"):
        resolve("laptop", [*many, "side_by_side=true"])
    assert resolve("laptop", many, {"evaluate"}).fit.workers == 2
    monkeypatch.setenv("RAY_ADDRESS", "there:6379")
    assert resolve("laptop", many).fit.workers == 2


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        (["sentence.kind=longclip"], (768, 128, 2, 16)),
        (["face.kind=farl"], (384, 512, 2, 16)),
        (["face.kind=farl", "face.feature=pooled", "face.width=768"], (384, 768, 2, 16)),
        (["autoencoder.model.compressor.tokens=8", "autoencoder.model.compressor.token_width=32"], (384, 128, 8, 32)),
    ],
)
def test_models_take_their_widths_from_what_decides_them(changed: list[str], expected: tuple[int, ...]) -> None:
    settings = resolve("smoke", changed)
    decoder, model = settings.autoencoder.model.decoder, settings.autoregressive.model
    assert (model.sentence_width, model.face_width, model.tokens, model.width) == expected
    assert (decoder.sentence_width, decoder.face_width) == expected[:2]


def test_widths_are_read_from_checkpoints_that_are_at_hand(tmp_path: Path) -> None:
    text, face, folder = tmp_path / "text.pt", tmp_path / "face.pth", tmp_path / "folder"
    torch.save({"text_projection": torch.zeros(64, 24)}, text)
    torch.save(
        {"state_dict": {"visual.proj": torch.zeros(32, 40), "visual.conv1.weight": torch.zeros(32, 3, 4, 4)}}, face
    )
    folder.mkdir()
    (folder / "config.json").write_text('{"projection_dim": 48}')
    changed = ["sentence.kind=longclip", f"sentence.source={text}", "face.kind=farl", f"face.source={face}"]
    model = resolve("smoke", changed).autoregressive.model
    assert (model.sentence_width, model.face_width) == (24, 40)
    model = resolve("smoke", [*changed, f"sentence.source={folder}", "face.feature=pooled"]).autoregressive.model
    assert (model.sentence_width, model.face_width) == (48, 32)
    assert resolve("smoke", [*changed, "sentence.width=7"]).autoregressive.model.sentence_width == 7
    text.write_bytes(b"no checkpoint")
    assert resolve("smoke", changed).autoregressive.model.sentence_width == 768


def test_a_saved_model_says_its_own_widths(tmp_path: Path) -> None:
    model = AutoregressiveModel.create(resolve("smoke", ["sentence.kind=longclip"]).autoregressive.model)
    model.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())["config"]
    assert {key: saved[key] for key in ("sentence_width", "face_width", "tokens", "width")} == {
        "sentence_width": 768,
        "face_width": 128,
        "tokens": 2,
        "width": 16,
    }


@pytest.mark.parametrize("recipe", RECIPES)
def test_no_recipe_repeats_what_follows_from_its_other_settings(recipe: str) -> None:
    plain, complete = fields(RECIPES[recipe]()), fields(resolve(recipe))
    assert {key for key in plain if plain[key] != complete[key]} <= DERIVED.keys()


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (
            "autoregressive.model.tokens=8",
            "autoregressive.model.tokens=8: it is always autoencoder.model.compressor.tokens, which is 2 with",
        ),
        (
            "autoencoder.model.decoder.sentence_width=768",
            "always sentence.width, which is 384 with sentence.kind=minilm; leave it out, or change sentence",
        ),
    ],
)
def test_a_value_that_contradicts_what_decides_it_is_refused(changed: str, named: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(named)):
        resolve("smoke", [changed])
    assert resolve("smoke", [changed, f"{changed.partition('=')[0]}={2 if 'tokens' in changed else 384}"])


@pytest.mark.parametrize(
    ("flow", "given", "fits"),
    [
        ("build_dataset", (), True),
        ("data_card", (), True),
        ("train_autoencoder", (), False),
        ("train_decoder", ("snapshot", "autoencoder"), True),  # of the autoencoder that is given
        ("train_autoregressive", ("snapshot", "autoencoder"), True),
        ("evaluate", ("snapshot", "autoencoder", "decoder", "autoregressive"), True),
        ("studio", (), False),
    ],
)
def test_only_what_a_flow_uses_must_fit(flow: str, given: tuple[str, ...], fits: bool) -> None:
    uses, changed = needs(flow, dict.fromkeys(given, "there")), ["autoencoder.steps=10"]
    if fits:
        assert resolve("smoke", changed, uses).autoencoder.steps == 10
    else:
        with pytest.raises(ConfigError, match=r"Change together: --set autoencoder\.warmup_steps=10"):
            resolve("smoke", changed, uses)


def test_two_trainings_in_one_process_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"side_by_side=true .* fit\.workers=0 .* set fit\.workers=1"):
        resolve("smoke", ["side_by_side=true", "fit.workers=0"])
    resolve("smoke", ["fit.workers=0"])
