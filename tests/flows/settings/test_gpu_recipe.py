"""The recipe `gpu` with few steps and small pictures: from scratch at half the size, then on at the whole one."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tasks.stage
from flows.settings.recipes import resolve
from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.weights.shipped import ship
from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.progress import silent
from tasks.training import train_autoencoder
from tasks.training.first_stage import Make
from tasks.training.frozen import codec_of, keyframes
from tests.tasks.in_process import in_process
from tests.tasks.small_story import SECONDS, small_story

SETTINGS = (
    "frozen.width=64",
    "frozen.height=64",
    "frozen.codec.width=128",
    "frozen.codec.height=64",
    "autoencoder.model.compressor.positions=4",
    "autoencoder.model.compressor.width=24",
    "autoencoder.model.compressor.token_width=16",
    "autoencoder.model.decoder.unet.channels=[32, 32]",
    "autoencoder.model.decoder.unet.transformers=[0, 1]",
    "autoencoder.model.decoder.unet.head_width=16",
    "autoencoder.model.decoder.image_size=[64, 128]",
    "first.width=64",
    "first.height=32",
    "first.training.steps=2",
    "first.training.batch=2",
    "autoencoder.steps=2",
    "autoencoder.batch=2",
    "cluster.gpus_a_worker=0",
    "fit.workers=0",
    "fit.gpus=0",
    "fit.threads=1",
    "fit.validate_every=2",
)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    storage = Storage(str(tmp_path_factory.mktemp("out")))
    snapshot, settings = small_story(storage), resolve("gpu", SETTINGS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tasks.stage, "answers", in_process)
        model = train_autoencoder.run(settings.train_autoencoder(), storage, snapshot, ClusterConfig(), silent)
    return storage, snapshot, settings, model


def test_both_stages_share_one_codec_at_two_sizes(trained) -> None:
    storage, snapshot, settings, model = trained
    (name,) = storage.list("checkpoints/first_stage")
    folders = f"checkpoints/first_stage/{name}/final", model
    first, later = (DiffusionAutoencoder.from_pretrained(Path(storage.uri) / rel) for rel in folders)
    assert (first.codec.grid, later.codec.grid) == ((16, 4, 8), (16, 8, 16))
    assert torch.equal(first.codec.basis_CK, later.codec.basis_CK)
    assert codec_of(settings.frozen, storage, snapshot).same_as(later.codec)
    assert (first.config.decoder.image_size, later.config.decoder.image_size) == ((32, 64), (64, 128))


def test_the_first_stage_learns_the_latents_of_its_own_size(trained) -> None:
    storage, snapshot, settings, _ = trained
    made = Make(
        settings.first, settings.first.whole(settings.autoencoder.model), settings.frozen, storage, snapshot, ""
    )()
    images = torch.stack([picture for _, learnt, picture in keyframes(storage, snapshot, (32, 64)) if learnt])
    expected = made.module.live.codec.encode(images.float() / 255)
    drawn = made.views.draw(torch.arange(len(expected)), torch.zeros(len(expected)).long())
    torch.testing.assert_close(drawn.latents_BCHW, expected, rtol=1e-2, atol=1e-2)
    assert len(made.held_out) == SECONDS - len(expected)
    assert torch.isfinite(made.validate()["loss"])


def test_images_are_seen_through_the_codec_that_was_fitted_on_the_keyframes(trained, tmp_path) -> None:
    storage, snapshot, _, _ = trained
    random = np.random.default_rng(0)
    for number in range(3):
        Image.fromarray(random.integers(0, 255, (40, 70, 3), dtype=np.uint8)).save(tmp_path / f"{number}.png")
    settings = resolve("gpu", [*SETTINGS, f'first.images=[{{"kind": "folder", "root": "{tmp_path}"}}]'])
    model = train_autoencoder.run(settings.train_autoencoder(), storage, snapshot, ClusterConfig(), silent)
    codec = codec_of(settings.frozen, storage, snapshot)
    assert codec.same_as(DiffusionAutoencoder.from_pretrained(Path(storage.uri) / model).codec)


def test_a_card_says_what_came_from_where(trained) -> None:
    storage, _, _, model = trained
    card = storage.read_bytes(f"{model}/README.md").decode()
    assert "| image encoder | efficientnet_lite0" in card
    assert "| latent codec | pca, fitted in this run |" in card
    assert "| U-Net, before training | random weights |" in card
    assert storage.read_bytes(f"{model}/films.csv").startswith(b"title,licence,drawn\n")
    assert "Trained on from `checkpoints/first_stage/" in card


def test_another_training_starts_from_weights_that_were_shipped(trained, tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(tasks.stage, "answers", in_process)
    storage, snapshot, _, model = trained
    ship(Path(storage.uri) / model, tmp_path / "embedded")
    settings = resolve("gpu", [*SETTINGS, "first=null", f"frozen.init={tmp_path / 'embedded'}"])
    later = train_autoencoder.run(settings.train_autoencoder(), storage, snapshot, ClusterConfig(), silent)
    before, after = (DiffusionAutoencoder.from_pretrained(Path(storage.uri) / rel) for rel in (model, later))
    moved = [(a - b).abs().max() for a, b in zip(before.parameters(), after.parameters(), strict=True)]
    assert 0 < max(moved) < 0.01
    assert before.codec.same_as(after.codec)
    card = storage.read_bytes(f"{later}/README.md").decode()
    assert f"| latent codec | pca, of the weights in `{tmp_path / 'embedded'}` |" in card
    assert f"Trained on from `{tmp_path / 'embedded'}`" in card
    assert "random weights" not in card
