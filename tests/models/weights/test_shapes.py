"""Checkpoints without weights: as many numbers as were published, none of them in memory."""

from pathlib import Path

import pytest

from models.vision import ClipConfig, build
from models.weights import shapes
from models.weights.checkpoint import CheckpointError


def test_clip_has_as_many_numbers_as_were_published() -> None:
    with shapes.only():
        tower = build(ClipConfig())
    wanted = shapes.published()["openai/clip-vit-large-patch14"]["parameters"]
    assert sum(one.numel() for one in tower.parameters()) == wanted
    assert all(one.is_meta for one in tower.parameters())


def test_each_published_config_names_its_source() -> None:
    assert all(one["source"] and one["parameters"] > 0 for one in shapes.published().values())


def test_an_unknown_checkpoint_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with shapes.only(), pytest.raises(CheckpointError, match="nobody/knows-this"):
        build(ClipConfig(source="nobody/knows-this"))


def test_a_checkpoint_that_is_here_tells_its_own_sizes(clip: Path) -> None:
    with shapes.only():
        tower = build(ClipConfig(source=str(clip)))
    assert tower.channels == 24
    assert all(one.is_meta for one in tower.parameters())


def test_outside_nothing_is_known() -> None:
    assert not shapes.known("openai/clip-vit-large-patch14")
