"""The recipe `paper` on tiny checkpoints of its real classes, swapped in by `--set`: images, keyframes, scripts."""

import json
import math
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from PIL import Image

import tasks.stage
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from models.autoencoder.autoencoder import DiffusionAutoencoder
from storage.errors import ConfigError
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.progress import silent
from tasks.training import first_stage, tokens, train_autoencoder, train_autoregressive, train_decoder
from tasks.training.views import apart
from tests.models import tiny_checkpoints
from tests.tasks.in_process import in_process
from tests.tasks.small_story import HEIGHT, SECONDS, WIDTH, small_story

CLUSTER = ClusterConfig()
COMPRESSOR = {"channels": 24, "positions": 16, "token_width": 16, "width": 16, "heads": 2}


def tiny(folder: Path, *more: str) -> Recipe:
    """The recipe with small checkpoints, pictures and steps; the data engine's vectors are the small story's."""
    return resolve(
        "paper",
        [
            "sentence.kind=minilm",
            "face.kind=dlib",
            f"frozen.vision.source={folder / 'clip'}",
            "frozen.width=56",
            "frozen.height=56",
            f"frozen.codec.source={folder / 'sdxl'}",
            f"frozen.codec.width={WIDTH}",
            f"frozen.codec.height={HEIGHT}",
            f"autoencoder.model.decoder.unet.source={folder / 'sdxl'}",
            f"autoencoder.model.decoder.image_size=[{HEIGHT}, {WIDTH}]",
            *(f"autoencoder.model.compressor.{name}={value}" for name, value in COMPRESSOR.items()),
            f"autoregressive.model.backbone.source={folder / 'llama'}",
            "autoregressive.model.backbone.layers=1",
            "autoregressive.steps=3",
            "autoregressive.packing=400",
            f'first.images=[{{"kind": "folder", "root": "{folder / "pictures"}", "licence": "CC0"}}]',
            "first.width=64",
            "first.height=64",
            *(f"{stage}.{name}" for stage in ("first.training", "autoencoder") for name in ("steps=3", "batch=2")),
            *(
                f"{stage}.{name}=2"
                for stage in ("first.training", "autoencoder")
                for name in ("warmup_steps", "warmup_batch")
            ),
            "decoder.steps=2",
            "decoder.batch=2",
            "autoregressive_fit=null",
            "cluster.gpus_a_worker=0",
            "fit.workers=0",
            "fit.gpus=0",
            "fit.threads=1",
            "fit.validate_every=2",
            *more,
        ],
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("fetched")
    tiny_checkpoints.sdxl(root / "sdxl")
    tiny_checkpoints.clip_vision(root / "clip")
    tiny_checkpoints.llama(root / "llama")
    (root / "pictures").mkdir()
    random = np.random.default_rng(0)
    for number, size in enumerate([(64, 64)] * 7 + [(70, 90), (100, 64), (60, 130)]):  # the first is held out
        Image.fromarray(random.integers(0, 255, (*size, 3), dtype=np.uint8)).save(root / f"pictures/{number}.png")
    return root


@pytest.fixture(scope="module")
def trained(folder: Path, tmp_path_factory):
    """(storage, snapshot, settings, folders of the models by name)."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.stage, "answers", in_process)
        storage = Storage(str(tmp_path_factory.mktemp("out")))
        snapshot, settings = small_story(storage), tiny(folder)
        given = storage, snapshot
        autoencoder = train_autoencoder.run(settings.train_autoencoder(), *given, CLUSTER, silent)
        work = tokens.run(settings.frozen, *given, autoencoder, CLUSTER, silent)
        decoder = train_decoder.run(settings.train_decoder(), *given, autoencoder, work, CLUSTER, silent)
        (name,) = storage.list("checkpoints/first_stage")
        models = {
            "first_stage": f"checkpoints/first_stage/{name}/final",
            "autoencoder": autoencoder,
            "decoder": decoder,
        }
        return storage, snapshot, settings, work, models


def test_the_papers_values() -> None:
    paper = resolve("paper")
    first, later, last = paper.first.training, paper.autoencoder, paper.decoder
    assert (paper.first.width, paper.first.height) == (768, 768)
    assert later.model.decoder.image_size == (paper.frozen.codec.height, paper.frozen.codec.width) == (512, 896)
    assert [stage.steps for stage in (first, later, last)] == [120_000] * 3
    assert [stage.warmup_steps for stage in (first, later)] == [20_000] * 2
    assert (first.schedule, first.learning_rate, first.learning_rate * first.falls_to) == (
        "cosine",
        1e-4,
        pytest.approx(2e-5),
    )
    assert {(stage.schedule, stage.learning_rate) for stage in (later, last)} == {("constant", 2e-5)}
    assert later.model.diffusion.noise_offset == 0.05
    assert (later.model.compressor.tokens, last.masked, last.dropped) == (2, 0.2, 0.0)
    assert (later.model.decoder.sentences, later.model.decoder.faces) == (15, 5)
    kinds = [getattr(paper, name).kind for name in ("detector", "face", "captioner", "writer", "sentence")]
    assert kinds == ["grounding_dino", "farl", "deepseek_vl", "llm", "longclip"]
    assert (paper.frozen.vision.kind, paper.frozen.codec.kind, later.model.decoder.unet.kind) == (
        "clip",
        "sdxl_vae",
        "sdxl",
    )
    assert (paper.fit.gpus, paper.fit.precision, paper.render.generation.precision) == (1, "bf16", "bf16")
    assert (paper.snapshot.kind, paper.snapshot.test) == ("films", 100)
    assert paper.autoregressive.model.backbone.source == "meta-llama/Llama-2-7b-hf"
    assert (paper.autoregressive.model.dropout, paper.autoregressive.model.masking) == (0.5, 0.15)
    assert (paper.autoregressive.window, paper.autoregressive.packing) == (128, 128 * 40)
    assert paper.autoregressive.model.attention == "flex"


def test_each_stage_goes_on_from_the_one_before(trained) -> None:
    storage, _, _, _, models = trained
    states = {}
    for stage, rel in models.items():
        with storage.local(rel) as path:
            states[stage] = DiffusionAutoencoder.from_pretrained(path)
    first, later, last = states.values()
    assert [one.config.decoder.image_size for one in states.values()] == [(64, 64), (HEIGHT, WIDTH), (HEIGHT, WIDTH)]
    assert [one.config.decoder.identity for one in states.values()] == [False, False, True]
    moved = [
        (a - b).abs().max()
        for a, b in zip(first.decoder.unet.parameters(), later.decoder.unet.parameters(), strict=True)
    ]
    assert 0 < max(moved) < 1e-3  # one step at 2e-5 beside fresh weights' hundredths
    assert all(
        torch.equal(a, b) for a, b in zip(later.compressor.parameters(), last.compressor.parameters(), strict=True)
    )
    assert later.codec.same_as(last.codec)


def test_held_out_keyframes_are_scored_on_the_way(trained) -> None:
    storage, _, _, _, models = trained
    curves = {
        stage: [json.loads(line) for line in storage.read_bytes(f"{rel}/curve.jsonl").decode().splitlines()]
        for stage, rel in models.items()
    }
    scored = {stage: [row["step"] for row in curve if "held_out/loss" in row] for stage, curve in curves.items()}
    assert scored == {stage: [1] for stage in models}
    assert all(math.isfinite(curve[1]["held_out/diffusion"]) for curve in curves.values())


def test_of_many_images_a_few_are_held_out_and_never_learnt_from(trained, folder: Path) -> None:
    storage, snapshot, _, _, _ = trained
    settings = tiny(folder)
    model = settings.first.whole(settings.autoencoder.model)
    index = first_stage.image_index(settings.first, storage)
    made = first_stage.Make(settings.first, model, settings.frozen, storage, snapshot, index)()
    names = [{views.source.pictures.name(row) for row in range(len(views))} for views in (made.views, made.held_out)]
    assert [len(some) for some in names] == [9, 1]
    assert not names[0] & names[1]
    many = pa.table({"name": [str(number) for number in range(1000)]})
    learnt, held_out = apart(many)
    assert (learnt.num_rows, held_out.num_rows) == (936, 64)
    assert set(learnt["name"].to_pylist()) | set(held_out["name"].to_pylist()) == set(many["name"].to_pylist())
    assert apart(many.slice(0, 9))[1].num_rows == 0


def test_tokens_are_the_autoencoders_own(trained) -> None:
    storage, snapshot, settings, work, models = trained
    from models.training.views import features
    from models.vision import build
    from tasks.training.frozen import keyframes

    row_ids, _, images = zip(*keyframes(storage, snapshot, (HEIGHT, WIDTH)), strict=True)
    images = torch.stack(images).float() / 255
    found, flipped = tokens.read(storage, work, row_ids)
    assert found.shape == (SECONDS, 2, 16)
    with storage.local(models["autoencoder"]) as path, torch.inference_mode():
        model, encoder = DiffusionAutoencoder.from_pretrained(path), build(settings.frozen.vision)
        for pictures, expected in ((images, found), (images.flip(-1), flipped)):
            torch.testing.assert_close(
                model.encode(features(encoder, pictures, (56, 56))), expected, rtol=1e-3, atol=1e-3
            )


def test_short_films_share_rows_and_are_learnt_from_as_if_alone(trained) -> None:
    storage, snapshot, settings, work, _ = trained
    final = train_autoregressive.run(settings.train_autoregressive(), storage, snapshot, work, CLUSTER, silent)
    curve = [json.loads(line) for line in storage.read_bytes(f"{final}/curve.jsonl").decode().splitlines()]
    assert [row["step"] for row in curve] == [0, 1, 2]
    assert all(np.isfinite(row["nll"] + row["l1"] + row["l2"]) for row in curve)
    made = train_autoregressive.Make(settings.train_autoregressive(), storage, snapshot, work)()
    windows = made._row(np.random.default_rng(0))
    shared, apart = made.module.pack(windows, made.config.packing), made.module.pack(windows)
    assert (len(shared.kinds_PS), shared.kinds_PS.shape[1]) == (1, 400)
    assert len(apart.kinds_PS) == len(windows) > 1
    made.module.eval()  # dropout and masking would draw for each row
    with torch.no_grad():
        costs = [made.module(packed).cost(packed.targets_BTLD)[packed.valid_BT] for packed in (shared, apart)]
    torch.testing.assert_close(*costs, atol=1e-5, rtol=0)


def test_exports_open_in_plain_diffusers_with_a_card(trained) -> None:
    from diffusers import UNet2DConditionModel

    storage, snapshot, _, _, models = trained
    for stage, rel in models.items():
        with storage.local(rel) as path:
            assert (
                UNet2DConditionModel.from_pretrained(path, subfolder="unet").config.addition_embed_type == "text_time"
            )
            card = (path / "README.md").read_text()
            losses = [json.loads(line) for line in (path / "curve.jsonl").read_text().splitlines()]
        assert "CreativeML Open RAIL++-M" in card
        assert "| image encoder | clip, sha256 " in card
        assert f"{len(losses)} steps" in card
        assert f"{losses[0]['diffusion']:.4f}" in card
        assert "| held_out/diffusion |" in card
        assert ("9 images, and 1 held out" in card and "| CC0 | 9 |" in card) == (stage == "first_stage")
        assert (f"Snapshot `{snapshot.id}`: 6 keyframes of 1 films" in card) == (stage != "first_stage")


def test_a_second_run_finds_everything_done(trained, folder: Path) -> None:
    storage, snapshot, settings, _, models = trained
    before = {name: storage.size(f"checkpoints/{name}") for name in storage.walk("checkpoints")}
    assert (
        train_autoencoder.run(settings.train_autoencoder(), storage, snapshot, CLUSTER, silent) == models["autoencoder"]
    )
    assert before == {name: storage.size(f"checkpoints/{name}") for name in storage.walk("checkpoints")}
    moved = folder.parent / "moved"
    folder.rename(moved)
    try:  # the same weights and images elsewhere are the same work
        elsewhere = tiny(moved).train_autoencoder()
        assert train_autoencoder.run(elsewhere, storage, snapshot, CLUSTER, silent) == models["autoencoder"]
    finally:
        moved.rename(folder)


def test_without_images_the_first_stage_watches_keyframes_at_its_own_size(trained, folder: Path) -> None:
    storage, snapshot, _, _, _ = trained
    settings = tiny(folder, "first.images=[]")
    model = settings.first.whole(settings.autoencoder.model)
    made = first_stage.Make(settings.first, model, settings.frozen, storage, snapshot, "")()
    assert made.batch(0).drawn.pixels_B3HW.shape == (2, 3, 64, 64)
    assert len(made.views) + len(made.held_out) == SECONDS
    assert torch.isfinite(made.validate()["loss"])
    assert "codec" not in storage.list("checkpoints")  # nothing was looked at beforehand
    assert "latents" not in storage.list("tables")


def test_aspect_buckets_draw_batches_of_one_size(trained, folder: Path) -> None:
    storage, snapshot, _, _, _ = trained
    settings = tiny(folder, "first.sizes=[[64, 64], [64, 96], [96, 64]]")
    made = first_stage.Make(
        settings.first,
        settings.first.whole(settings.autoencoder.model),
        settings.frozen,
        storage,
        snapshot,
        first_stage.image_index(settings.first, storage),
    )()
    seen = {}
    for step in range(8):
        drawn = made.batch(step).drawn
        height, width = drawn.pixels_B3HW.shape[-2:]
        assert made.views.grid(drawn) == (4, height // 8, width // 8)
        for sizes in drawn.sizes_B6.tolist():
            seen[tuple(sizes[:2])] = (height, width)
        loss, _ = made.loss(made.batch(step), step)
        assert torch.isfinite(loss)
    made.held_out = made.views  # pictures of three shapes
    assert torch.isfinite(made.validate()["loss"])
    assert made.pictures().shape[:2] == (3, 2 * 160)
    assert seen == {(70, 90): (64, 96), (100, 64): (96, 64), (64, 64): (64, 64), (60, 130): (64, 96)}


def test_what_does_not_fit_is_named(folder: Path, trained) -> None:
    storage, snapshot, _, _, _ = trained
    other = tiny(folder, "autoencoder.model.compressor.positions=9", "first=null")
    with pytest.raises(Exception, match="9 positions of 24 channels, the image encoder gives 16 of 24"):
        train_autoencoder.run(other.train_autoencoder(), storage, snapshot, CLUSTER, silent)
    with pytest.raises(ConfigError, match="kept=false needs a pretrained codec"):
        resolve("paper", ["frozen.codec.kind=pca"])
