"""FaRL from its own layout and transformers', against a forward written by hand with open_clip's blocks; its crop."""

import numpy as np
import pytest
import torch

from models.face import Face, FarlConfig, build
from models.face.crop import aligned, similarity
from models.face.farl import PLACES_52
from models.weights.checkpoint import CheckpointError

SIDE = 32


def clip_model():
    from open_clip.model import CLIP

    torch.manual_seed(0)
    return CLIP(
        embed_dim=24,
        vision_cfg={"image_size": SIDE, "layers": 2, "width": 128, "patch_size": 16, "head_width": 64},
        text_cfg={"context_length": 8, "vocab_size": 16, "width": 64, "heads": 1, "layers": 1},
        quick_gelu=True,
    ).eval()


@pytest.fixture(scope="module")
def original():
    return clip_model()


@pytest.fixture(scope="module")
def file(original, tmp_path_factory):
    """As FaRL's authors saved it: under "state_dict", with tensors of the masked-image head beside the tower's."""
    path = tmp_path_factory.mktemp("farl") / "FaRL-Base-Patch16-tiny.pth"
    extra = {"visual.mask_token": torch.zeros(128), "visual.lm_head.weight": torch.zeros(4, 128)}
    torch.save({"state_dict": {**original.state_dict(), **extra}}, path)
    return path


@pytest.fixture(scope="module")
def embedder(file):
    return build(FarlConfig(source=str(file), width=24, batch=2))


def picture(seed=0, height=256, width=448):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


FACES = [Face((0.1, 0.1, 0.3, 0.5), 1.0), Face((0.5, 0.2, 0.8, 0.9), 0.9), Face((0.0, 0.0, 0.1, 0.2), 0.8)]


def test_embeddings_equal_those_of_clips_own_tower(original, embedder):
    found = embedder.embed(picture(), FACES)
    chips = np.stack([aligned(picture(), face, PLACES_52, SIDE) for face in FACES]).astype(np.float32) / 255
    mean, deviation = [0.48145466, 0.4578275, 0.40821073], [0.26862954, 0.26130258, 0.27577711]
    pixels = torch.from_numpy((chips - np.array(mean)) / np.array(deviation)).float().permute(0, 3, 1, 2)
    with torch.no_grad():
        theirs = original.encode_image(pixels, normalize=True).numpy()
    np.testing.assert_allclose(np.stack([face.embedding for face in found]), theirs, atol=1e-5)
    assert [face.box for face in found] == [face.box for face in FACES]


def test_a_folder_of_transformers_gives_the_same_and_the_pooled_feature_too(embedder, file, tmp_path):
    from transformers import CLIPVisionModel

    embedder.tower.save_pretrained(tmp_path / "projection")
    folder = build(FarlConfig(source=str(tmp_path / "projection"), width=24))
    mine, theirs = (one.embed(picture(), FACES)[0].embedding for one in (embedder, folder))
    np.testing.assert_allclose(mine, theirs, atol=1e-6)
    CLIPVisionModel.from_pretrained(tmp_path / "projection").save_pretrained(tmp_path / "pooled")
    pooled = [
        build(FarlConfig(source=str(source), width=128, feature="pooled")).embed(picture(), FACES)[0].embedding
        for source in (tmp_path / "pooled", file)
    ]
    assert pooled[0].shape == (128,)
    np.testing.assert_allclose(*pooled, atol=1e-6)
    with pytest.raises(CheckpointError, match=r"'visual_projection\.weight'"):
        build(FarlConfig(source=str(tmp_path / "pooled"), width=24))


def test_faces_are_found_and_embedded_together(embedder):
    assert embedder.faces([np.zeros((256, 448, 3), np.uint8)] * 2) == [[], []]
    assert embedder.embed(picture(), []) == []
    assert embedder.name == "farl"
    assert embedder.licence == "MIT"
    assert embedder.revision.startswith("facenet_pytorch 2.6.0 ")
    assert ", sha256 " in embedder.revision


def test_the_identity_is_the_bytes_and_not_the_place(file, tmp_path):
    from storage.fingerprint import fingerprint

    copy = tmp_path / "elsewhere.pth"
    copy.write_bytes(file.read_bytes())
    here, there = (FarlConfig(source=str(path), width=24, batch=batch) for path, batch in ((file, 1), (copy, 7)))
    assert fingerprint(here) == fingerprint(there)
    torch.save({"state_dict": clip_model().state_dict()}, copy)
    assert fingerprint(here) != fingerprint(there)


def test_a_missing_or_strange_checkpoint_says_what_to_fetch_and_where_to_put_it(file, tmp_path, monkeypatch):
    monkeypatch.setenv("MOVIEDREAMER_MODELS", str(tmp_path))
    cure = r"FaRL-Base-Patch16-LAIONFace20M-ep64\.pth as github.*set face\.source .* put it at '.*ep64\.pth'"
    with pytest.raises(CheckpointError, match=f"no such file.*{cure}"):
        build(FarlConfig())
    with pytest.raises(CheckpointError, match=r"feature has 24 numbers, face\.width is 512"):
        build(FarlConfig(source=str(file)))
    torch.save({"state_dict": {"visual.proj": torch.zeros(2, 2)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"'visual\.conv1\.weight' is not in it"):
        build(FarlConfig(source="other.pth"))  # found beside the other models


class Dangerous:
    def __reduce__(self):
        return print, ("executed",)


def test_pickles_are_never_executed(tmp_path, capsys):
    torch.save({"state_dict": {"visual.proj": torch.zeros(1)}, "config": Dangerous()}, tmp_path / "bad.pth")
    with pytest.raises(CheckpointError, match="no plain file of tensors"):
        build(FarlConfig(source=str(tmp_path / "bad.pth")))
    assert "executed" not in capsys.readouterr().out


def test_a_similarity_turns_scales_and_shifts():
    angle, scale, shift = 0.3, 2.5, np.array([4.0, -7.0])
    turn = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = np.random.default_rng(0).normal(size=(5, 2)).astype(np.float32)
    found = similarity(points, (points @ turn.T + shift).astype(np.float32))
    np.testing.assert_allclose(found, np.concatenate([turn, shift[:, None]], 1), atol=1e-4)


@pytest.mark.parametrize("size", [40, 90, 400])
def test_the_landmarks_of_a_leaning_face_come_to_their_places(size):
    """A dot is drawn at each landmark of a turned face; in the crop the dots lie where FaRL has them."""
    import cv2

    angle = np.radians(25)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    centred = PLACES_52 - PLACES_52.mean(0)
    points = (centred @ turn.T) * 6 * size + [700, 500]
    image = np.zeros((1000, 1400, 3), np.uint8)
    for x, y in points:
        cv2.circle(image, (round(x), round(y)), max(2, size // 8), (255, 255, 255), -1)
    face = Face((0, 0, 1, 1), 1.0, (points / [1400, 1000]).astype(np.float32))
    chip = aligned(image, face, PLACES_52, 224)[..., 0].astype(float)
    assert chip.shape == (224, 224)
    for x, y in PLACES_52 * 224:
        low_x, low_y = round(x) - 8, round(y) - 8
        spot = chip[low_y : low_y + 16, low_x : low_x + 16]
        ys, xs = np.mgrid[: spot.shape[0], : spot.shape[1]]
        assert spot.sum() > 0
        assert abs((xs * spot).sum() / spot.sum() + low_x - x) < 1.5
        assert abs((ys * spot).sum() / spot.sum() + low_y - y) < 1.5
