"""Weights to ship: half the bytes, the same model, and the card that says where they are from."""

from pathlib import Path

import pytest
import torch

from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoregressive.autoregressive import AutoregressiveModel
from models.codec import PCACodec, PCACodecConfig
from models.training.critic import FILE as CRITIC
from models.training.critic import Critic
from models.weights.shipped import ship
from tests.models.autoencoder.test_autoencoder import CONFIG
from tests.models.test_training_autoregressive import MODEL


@pytest.fixture
def trained(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    codec = PCACodec(PCACodecConfig(width=64, height=32, block=8, channels=6))
    DiffusionAutoencoder(CONFIG, codec).save_pretrained(tmp_path / "final")
    (tmp_path / "final" / "README.md").write_text("# A model\n")
    (tmp_path / "final" / "films.csv").write_text("title,licence,drawn\n")
    return tmp_path / "final"


def test_half_the_bytes_and_the_same_model(trained: Path, tmp_path: Path) -> None:
    size = ship(trained, tmp_path / "shipped")
    assert size < 0.6 * sum(file.stat().st_size for file in trained.rglob("*.safetensors"))
    before, after = (DiffusionAutoencoder.from_pretrained(tmp_path / name) for name in ("final", "shipped"))
    for name, value in before.state_dict().items():
        if not name.startswith("codec."):
            assert torch.equal(after.state_dict()[name], value.half().float()), name
    assert before.codec.same_as(after.codec)
    assert (tmp_path / "shipped" / "README.md").read_text().startswith("# A model\n\nHere in half precision, ")
    assert (tmp_path / "shipped" / "films.csv").read_text() == "title,licence,drawn\n"


def test_a_critic_is_shipped_too_and_one_of_other_weights_is_removed(trained: Path, tmp_path: Path) -> None:
    critic = Critic(face_width=5)
    critic.save(trained)
    ship(trained, tmp_path / "shipped")
    shipped = Critic(face_width=5)
    shipped.load(tmp_path / "shipped")
    for name, value in critic.state_dict().items():
        assert torch.equal(shipped.state_dict()[name], value.half().float()), name
    (trained / CRITIC).unlink()
    ship(trained, tmp_path / "shipped")
    assert not (tmp_path / "shipped" / CRITIC).exists()


def test_what_is_too_large_or_has_no_card_is_not_written(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"MB in half precision, more than 0: train a smaller model"):
        ship(trained, tmp_path / "shipped", largest=1000)
    (trained / "README.md").unlink()
    with pytest.raises(ValueError, match=r"final' has no README.md"):
        ship(trained, tmp_path / "shipped")
    assert not (tmp_path / "shipped").exists()


def test_a_folder_with_something_else_is_left_alone(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "README.md").write_text("My project")
    for place in ("mine", "mine/README.md"):
        with pytest.raises(ValueError, match=f"{place}' holds no model and is not empty"):
            ship(trained, tmp_path / place)
    assert [path.read_text() for path in (tmp_path / "mine").iterdir()] == ["My project"]


def test_an_autoregressive_model_is_shipped_in_the_same_way(tmp_path: Path) -> None:
    AutoregressiveModel.create(MODEL).save_pretrained(tmp_path / "final")
    (tmp_path / "final" / "README.md").write_text("# A model\n")
    ship(tmp_path / "final", tmp_path / "shipped")
    before, after = (AutoregressiveModel.from_pretrained(tmp_path / name) for name in ("final", "shipped"))
    for name, value in before.state_dict().items():
        assert torch.equal(after.state_dict()[name], value.half().float()), name
