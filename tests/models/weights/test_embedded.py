"""The weights that ship with the project: pinned, small, open in diffusers, and trained on no evaluation film."""

import csv
import hashlib
import re

import numpy as np
import pytest
import torch

from drawn.film import draw_frames
from drawn.worlds import EVALUATION, TRAINING
from flows.settings.recipes import resolve
from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoregressive.autoregressive import AutoregressiveModel
from models.vision import build_features
from tasks.training.frozen import init_folder

LARGEST = 60_000_000  # bytes of all embedded weights
PINNED = {  # name -> the first half of its SHA-256
    "autoencoder/codec/model.safetensors": "9e23af423a0f6124313b167568f7cef3",
    "autoencoder/compressor.safetensors": "9cdd196c62ad667f09686c3d9bbd8dee",
    "autoencoder/decoder.safetensors": "06fcd6d4c66c8e732357a13ec6877bb0",
    "autoencoder/tokens.safetensors": "42f5bafdcb48236d36e12f1b677a7998",
    "autoencoder/unet/diffusion_pytorch_model.safetensors": "743153927e35b0a0a00437178ecabf67",
    "autoregressive/backbone/model.safetensors": "bbfbfc64229b742ee71b032f0c798690",
    "autoregressive/model.safetensors": "e786aa02dc233af37d5b7181e97319bd",
}


@pytest.fixture(scope="module")
def folder():
    found = init_folder("embedded/autoencoder")
    assert found
    return found.parent


def test_every_file_of_weights_is_the_pinned_one(folder) -> None:
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*.safetensors")}
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest()[:32] for name, path in files.items()} == PINNED
    assert sum(path.stat().st_size for path in files.values()) <= LARGEST


def test_the_unet_and_its_schedule_open_in_plain_diffusers(folder) -> None:
    from diffusers import FlowMatchEulerDiscreteScheduler, UNet2DConditionModel

    folder = folder / "autoencoder"
    unet = UNet2DConditionModel.from_pretrained(folder / "unet")
    ours = DiffusionAutoencoder.from_pretrained(folder)
    for name, value in ours.decoder.unet.state_dict().items():
        assert torch.equal(unet.state_dict()[name].float(), value), name
    assert FlowMatchEulerDiscreteScheduler.from_pretrained(folder / "scheduler").config.num_train_timesteps == 1000


def test_the_backbone_opens_in_plain_transformers(folder) -> None:
    from transformers import LlamaModel

    folder = folder / "autoregressive"
    backbone = LlamaModel.from_pretrained(folder / "backbone", dtype=torch.float32)
    ours = AutoregressiveModel.from_pretrained(folder)
    for name, value in ours.backbone.state_dict().items():
        assert torch.equal(backbone.state_dict()[name], value), name


@pytest.mark.parametrize("model", ["autoencoder", "autoregressive"])
def test_no_evaluation_film_was_trained_on(folder, model) -> None:
    with (folder / model / "films.csv").open() as file:
        drawn = [row["drawn"] for row in csv.DictReader(file)]
    seeds = {int(address.rpartition("-")[2]) for address in drawn}
    assert len(seeds) == len(drawn) == 784
    assert min(seeds) >= TRAINING
    assert not seeds & set(EVALUATION)
    ranges = re.findall(r"seeds (\d+) to (\d+)", (folder / "README.md").read_text())
    told = {seed for first, last in ranges for seed in range(int(first), int(last) + 1) if int(first) >= TRAINING}
    assert seeds <= told
    world = resolve("world").ingest.drawn
    assert not set(range(world.first, world.first + world.films)) & set(EVALUATION)


def test_keyframes_of_a_film_that_was_never_seen_are_rebuilt(folder) -> None:
    model = DiffusionAutoencoder.from_pretrained(folder / "autoencoder")
    encoder = build_features(resolve("laptop").frozen.vision, model.codec)
    frames = np.stack(list(draw_frames(3, [10, 40, 70], 96, (224, 128))))
    images_T3HW = torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255
    with torch.inference_mode():
        latents = model.reconstruct(model.encode(encoder(images_T3HW)), seeds=range(3), steps=1)
    errors_T = (model.codec.decode(latents) - images_T3HW).square().mean((1, 2, 3))
    assert float(-10 * errors_T.log10().mean()) > 24
