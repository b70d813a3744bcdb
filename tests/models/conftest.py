"""SDXL and CLIP in small, on disk as the hub has them."""

from pathlib import Path

import pytest
import torch

from tests.models import tiny_checkpoints
from tests.models.tiny_sdxl import SIZE


@pytest.fixture(scope="session")
def sdxl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.sdxl(tmp_path_factory.mktemp("hub") / "sdxl")


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_checkpoints.clip_vision(tmp_path_factory.mktemp("hub") / "clip")


@pytest.fixture(scope="session")
def pictures() -> torch.Tensor:
    return torch.rand(5, 3, *SIZE, generator=torch.Generator().manual_seed(1))
