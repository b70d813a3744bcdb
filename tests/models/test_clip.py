"""CLIP's image tower from both layouts, against open_clip's own forward."""

import pytest
import torch

from models.vision import ClipConfig, build
from models.weights.checkpoint import CheckpointError

SIDE, PATCH = 56, 14


def open_clip_model(quick_gelu: bool):
    from open_clip.model import CLIP

    torch.manual_seed(0)
    return CLIP(
        embed_dim=24,
        vision_cfg={"image_size": SIDE, "layers": 2, "width": 128, "patch_size": PATCH, "head_width": 64},
        text_cfg={"context_length": 8, "vocab_size": 16, "width": 64, "heads": 1, "layers": 1},
        quick_gelu=quick_gelu,
    ).eval()


@pytest.fixture(scope="module")
def original():
    return open_clip_model(quick_gelu=True)


@pytest.fixture(scope="module")
def file(original, tmp_path_factory):
    path = tmp_path_factory.mktemp("clip") / "open_clip_pytorch_model.bin"
    torch.save(original.state_dict(), path)
    return path


@pytest.fixture(scope="module")
def encoder(file):
    return build(ClipConfig(source=str(file)))


def normalised(images):
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    return (images - torch.tensor(mean)[:, None, None]) / torch.tensor(deviation)[:, None, None]


def test_vectors_equal_open_clips_own(original, encoder):
    images = torch.rand(3, 3, SIDE, SIDE)
    with torch.no_grad():
        theirs = original.encode_image(normalised(images), normalize=True)
    torch.testing.assert_close(encoder.embed(images), theirs, rtol=0, atol=1e-5)


def test_features_equal_the_last_layer_of_open_clip_without_the_class_token(original, encoder):
    images = torch.rand(2, 3, SIDE, SIDE)
    kept = []
    handle = original.visual.transformer.register_forward_hook(lambda _, __, output: kept.append(output))
    with torch.no_grad():
        original.encode_image(normalised(images))
    handle.remove()
    features = encoder(images)
    assert features.shape == (2, encoder.positions(SIDE, SIDE), encoder.channels) == (2, 16, 128)
    torch.testing.assert_close(features, kept[0][:, 1:], rtol=0, atol=1e-4)


def test_both_layouts_give_the_same(encoder, tmp_path):
    encoder.tower.save_pretrained(tmp_path)
    folder = build(ClipConfig(source=str(tmp_path)))
    images = torch.rand(2, 3, 60, 100)
    torch.testing.assert_close(folder(images), encoder(images))
    torch.testing.assert_close(folder.embed(images), encoder.embed(images))
    assert (folder.channels, folder.width, folder.licence) == (128, 24, "MIT")
    assert folder.revision != encoder.revision
    assert folder.revision.startswith("sha256 ")


def test_gelu_of_models_that_open_clip_trained(tmp_path):
    original = open_clip_model(quick_gelu=False)
    torch.save({"state_dict": original.state_dict()}, tmp_path / "laion.pt")
    torch.save(original.state_dict(), tmp_path / "plain.pt")
    images = torch.rand(1, 3, SIDE, SIDE)
    with torch.no_grad():
        theirs = original.encode_image(normalised(images), normalize=True)
    right = build(ClipConfig(source=str(tmp_path / "laion.pt"), activation="gelu"))
    torch.testing.assert_close(right.embed(images), theirs, rtol=0, atol=1e-5)
    wrong = build(ClipConfig(source=str(tmp_path / "plain.pt")))
    assert (wrong.embed(images) - theirs).abs().max() > 1e-4


@pytest.mark.parametrize("size", [(28, 42), (128, 224), (33, 57)])
def test_pictures_of_other_sizes_have_whole_patches(encoder, size):
    rows, columns = size[0] // PATCH, size[1] // PATCH
    assert encoder.grid(*size) == (rows, columns)
    assert encoder(torch.rand(1, 3, *size)).shape == (1, rows * columns, 128)


def test_it_is_frozen_and_refuses_other_shapes(encoder):
    assert not any(module.training for module in encoder.train().modules())
    assert not any(parameter.requires_grad for parameter in encoder.parameters())
    with pytest.raises(ValueError, match=r"14 pixels or more, got \[3, 56, 56\]"):
        encoder(torch.rand(3, SIDE, SIDE))
    with pytest.raises(ValueError, match=r"got \[1, 3, 13, 56\]"):
        encoder(torch.rand(1, 3, 13, SIDE))


def test_a_missing_or_strange_checkpoint_says_what_to_fetch(file, tmp_path):
    for source in (str(tmp_path), "nowhere.safetensors", str(tmp_path / "gone")):
        with pytest.raises(CheckpointError, match=r"CLIP ViT-L/14.*openai/clip-vit-large-patch14.*frozen\.vision\."):
            build(ClipConfig(source=source))
    (tmp_path / "text.pt").write_text("no weights")
    with pytest.raises(CheckpointError, match="no plain file of tensors"):
        build(ClipConfig(source=str(tmp_path / "text.pt")))
    weights = torch.load(file, weights_only=True)
    torch.save({key: weights[key] for key in weights if "visual.ln_post" not in key}, tmp_path / "part.pt")
    with pytest.raises(CheckpointError, match="post_layernorm"):
        build(ClipConfig(source=str(tmp_path / "part.pt")))
    torch.save({"a": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match=r"no CLIP state dict, 'visual\.conv1\.weight' is not in it"):
        build(ClipConfig(source=str(tmp_path / "other.pt")))


def test_a_hub_id_fails_at_once_without_the_hub(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(CheckpointError, match=r"'nobody/nothing'.*Fetch"):
        build(ClipConfig(source="nobody/nothing"))
