"""Only the faces of people who agreed are used, where that is asked for."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.face import DlibConfig, Face
from models.face.face import ConsentConfig
from storage.errors import ConfigError
from storage.fingerprint import fingerprint
from tasks.consent import Consent


class ByColour:
    """A face a picture, whose embedding is the picture's colour; none in a black one."""

    name, licence, revision = "by colour", "", ""

    def faces(self, images) -> list[list[Face]]:
        return [[Face((0, 0, 1, 1), 1.0, None, colour(image))] * bool(image.any()) for image in images]

    def embed(self, image, faces):
        return faces


def colour(image) -> np.ndarray:
    return np.asarray(image, np.float32).reshape(-1, 3).mean(0) / 255


def agreed(folder: Path, **people: tuple[int, int, int]) -> DlibConfig:
    folder.mkdir(exist_ok=True)
    for name, shown in people.items():
        Image.new("RGB", (64, 64), shown).save(folder / f"{name}.png")
    return DlibConfig(consent=ConsentConfig(folder=str(folder)))


def test_without_a_folder_everybody_may_be_used() -> None:
    assert Consent(DlibConfig(), ByColour()).given(np.ones(3, np.float32))


def test_only_faces_like_those_in_the_folder_may_be_used(tmp_path: Path) -> None:
    consent = Consent(agreed(tmp_path / "agreed", ann=(255, 0, 0), ben=(0, 255, 0)), ByColour())
    ann, nearly_ben, stranger = np.array([[1, 0, 0], [0.1, 0.9, 0], [0, 0, 1]], np.float32)
    assert [consent.given(one) for one in (ann, nearly_ben, stranger, None)] == [True, True, False, False]
    consent.require(ann, "'ann.jpg'")
    with pytest.raises(ConfigError, match=r"'who\.jpg' is not similar to any in face\.consent\.folder"):
        consent.require(stranger, "'who.jpg'")


def test_a_folder_that_says_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="can't be read"):
        Consent(DlibConfig(consent=ConsentConfig(folder=str(tmp_path / "none"))), ByColour())
    with pytest.raises(ConfigError, match="holds no pictures"):
        Consent(agreed(tmp_path / "empty"), ByColour())
    with pytest.raises(ConfigError, match=r"no face is found in .*dark\.png"):
        Consent(agreed(tmp_path / "dark", dark=(0, 0, 0)), ByColour())


def test_who_agreed_is_part_of_a_fingerprint_and_the_folder_s_place_is_not(tmp_path: Path) -> None:
    one, same = (agreed(tmp_path / place, ann=(255, 0, 0)) for place in ("a", "b"))
    assert fingerprint(one) == fingerprint(same) != fingerprint(DlibConfig())
    agreed(tmp_path / "b", ben=(0, 255, 0))
    assert fingerprint(one) != fingerprint(same)
