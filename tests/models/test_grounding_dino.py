"""Both GroundingDINO backends on one tiny checkpoint in the original layout, written to disk as its authors do."""

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
import torch

pytest.importorskip("groundingdino", reason="the extra groundingdino is not installed")

from models.detector import GroundingDinoConfig, GroundingDinoPyConfig, build
from models.detector.grounding import persons, prepare, seen_size
from models.detector.groundingdino_py import architecture, build_model
from models.weights.checkpoint import CheckpointError
from tests.models.grounding_dino_port import convert, renamed

PLACES = {"[PAD]": 0, "[UNK]": 100, "[CLS]": 101, "[SEP]": 102, "[MASK]": 103, ".": 1012, "?": 1029, "person": 1030}
WORDS = {f"word{i}": i for i in range(1031) if i not in PLACES.values()} | PLACES  # transformers' port knows the ids


def words_folder(folder: Path) -> Path:
    """A BERT of one layer, config and tokenizer alone, as they lie beside bert-base-uncased."""
    from transformers import BertConfig, BertTokenizer

    BertConfig(
        vocab_size=len(WORDS), hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=48
    ).save_pretrained(folder)
    BertTokenizer(vocab=WORDS).save_pretrained(folder)
    return folder


def architecture_file(path: Path) -> Path:
    """The package's own settings, with one layer each and narrow ones."""
    settings = architecture("GroundingDINO_SwinT_OGC.py")
    settings.enc_layers, settings.dec_layers, settings.dim_feedforward = (
        2,
        2,
        96,
    )  # a width of 256 is fixed in the package
    settings.nheads, settings.num_queries = 4, 20
    plain = settings._cfg_dict.to_dict()
    path.write_text("".join(f"{name} = {value!r}\n" for name, value in plain.items()))
    return path


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> GroundingDinoPyConfig:
    folder = tmp_path_factory.mktemp("groundingdino")
    config = GroundingDinoPyConfig(
        source=str(folder / "tiny.pth"),
        architecture=str(architecture_file(folder / "tiny_cfg.py")),
        text_encoder=str(words_folder(folder / "bert")),
        threshold=0,
        overlap=1,
        batch=2,
    )
    torch.manual_seed(0)
    model = build_model(config)
    for parameter in model.parameters():  # several start as zeros, which would hide a wrong name
        parameter.add_(0.02 * torch.randn_like(parameter))
    weights = {f"module.{name}": tensor for name, tensor in model.state_dict().items()}
    weights["module.bert.embeddings.position_ids"] = torch.arange(512)[None]
    torch.save({"model": weights}, config.source)
    return config


@pytest.fixture(scope="module")
def ported(original, tmp_path_factory) -> GroundingDinoConfig:
    folder = tmp_path_factory.mktemp("ported")
    convert(original, folder)
    return GroundingDinoConfig(source=str(folder), threshold=0, overlap=1, batch=2)


@pytest.fixture(scope="module")
def both(original, ported):
    return build(original), build(ported)


def picture(seed: int = 0, height: int = 60, width: int = 104):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def test_boxes_and_logits_of_the_port_equal_those_of_the_package(both):
    pixels = torch.randn(2, 3, 160, 224)
    with torch.inference_mode():
        (logits, boxes), (their_logits, their_boxes) = (model.look(pixels) for model in both)
    assert logits.shape[:2] == their_logits.shape[:2] == (2, 20)
    torch.testing.assert_close(boxes, their_boxes, rtol=0, atol=1e-4)
    tokens = min(logits.shape[2], their_logits.shape[2])
    torch.testing.assert_close(logits[..., :tokens], their_logits[..., :tokens], rtol=1e-4, atol=1e-4)
    assert logits.isfinite().any()
    assert boxes.std() > 0.05  # a comparison of constants would say nothing


def test_every_tensor_of_the_original_has_its_place(original):
    weights = torch.load(original.source, weights_only=True)["model"]
    made = renamed({name.removeprefix("module."): tensor for name, tensor in weights.items()})
    assert not [name for name in made if name.startswith(("transformer.", "backbone.", "bert."))]
    with pytest.raises(KeyError):
        made["model.text_backbone.pooler.dense.weight"]


def test_both_find_the_same_people_in_pictures_of_several_sizes(both, monkeypatch):
    monkeypatch.setattr("models.detector.grounding.SHORTER", 128)  # full size takes a minute
    images = [picture(0), picture(1), picture(2, 104, 60)]
    one, other = (model.detect(images) for model in both)
    assert [len(persons) for persons in one] == [len(persons) for persons in other] == [5] * 3
    (alone,) = both[0].detect(images[:1])
    assert [person.box for person in alone] == [pytest.approx(person.box, abs=1e-4) for person in one[0]]
    for mine, theirs in zip(chain(*one), chain(*other), strict=True):
        assert mine.box == pytest.approx(theirs.box, abs=1e-3)
        assert mine.score == pytest.approx(theirs.score, abs=1e-3)


def test_the_package_is_left_as_it_was(both):
    from groundingdino.models.GroundingDINO import groundingdino as module

    assert module.BertModelWarper.__name__ == "BertModelWarper"
    assert module.get_tokenlizer.__name__ == "groundingdino.util.get_tokenlizer"


def test_they_name_licence_and_revision_by_content(both, original):
    package, port = both
    assert (package.licence, port.licence) == ("Apache-2.0", "Apache-2.0")
    assert package.revision.startswith("sha256 ")
    assert "groundingdino-py 0.4.0 tiny_cfg.py" in package.revision
    assert port.revision.startswith("sha256 ")


def test_the_five_surest_are_kept_in_order_and_doubles_fall_away():
    logits = torch.full((8, 4), -torch.inf)
    logits[:, 1] = torch.tensor([0.1, 3.0, 2.9, 1.0, -3.0, 0.5, 0.7, 0.2])
    boxes = torch.tensor([[0.1 * i + 0.1, 0.5, 0.05, 0.2] for i in range(8)])
    boxes[2] = boxes[1] + 0.001
    found = persons(logits, boxes, threshold=0.35, overlap=0.8)
    expected = torch.tensor([3.0, 1.0, 0.7, 0.5, 0.2]).sigmoid().tolist()
    assert [person.score for person in found] == pytest.approx(expected)
    assert found[0].box == pytest.approx((0.175, 0.4, 0.225, 0.6))
    assert persons(logits, boxes, threshold=0.99, overlap=0.8) == []


def test_a_picture_is_seen_as_the_authors_resize_it():
    assert seen_size(512, 896) == (762, 1333)
    assert seen_size(480, 640) == (800, 1067)
    pixels = prepare(picture())
    assert pixels.shape == (3, *seen_size(60, 104))
    with pytest.raises(ValueError, match=r"uint8 \[height, width, 3\], got float64 \[8, 8\]"):
        prepare(np.zeros((8, 8)))


def test_a_missing_or_strange_checkpoint_says_what_to_fetch_and_where_to_put_it(original, ported, tmp_path):
    gone = r"no such file.*groundingdino_swint_ogc\.pth from.*set detector\.source.*put it at '.*nowhere\.pth'"
    with pytest.raises(CheckpointError, match=gone):
        build(original.model_copy(update={"source": "nowhere.pth"}))
    torch.save({"model": {"module.feat_map.bias": torch.zeros(256)}}, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=r"tensors are missing, '[\w.]+' among them"):
        build(original.model_copy(update={"source": str(tmp_path / "other.pth")}))
    with pytest.raises(CheckpointError, match=r"BERT can't be loaded.*set detector\.text_encoder"):
        build(original.model_copy(update={"text_encoder": str(tmp_path / "nothing")}))
    with pytest.raises(CheckpointError, match=r"architecture='none\.py' is no file"):
        architecture("none.py")
    with pytest.raises(CheckpointError, match=r"IDEA-Research/grounding-dino-base.*detector\.source"):
        build(GroundingDinoConfig(source=str(tmp_path / "nothing")))


def test_a_folder_without_some_of_the_tensors_is_refused(ported, tmp_path):
    from safetensors.torch import load_file, save_file

    source = Path(ported.source)
    for name in ("config.json", "tokenizer.json", "tokenizer_config.json"):
        (tmp_path / name).write_bytes((source / name).read_bytes())
    weights = load_file(source / "model.safetensors")
    del weights["model.level_embed"]
    save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"1 of its tensors are missing, 'model\.level_embed'"):
        build(ported.model_copy(update={"source": str(tmp_path)}))
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "grounding-dino"
