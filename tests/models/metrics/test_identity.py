"""Several embedders of one face: the same faces in the same order, and a mean of their cosines."""

import numpy as np
import pytest

from drawn.film import draw_frames
from models import vision
from models.metrics import identity, squares
from models.metrics.characters import ensemble
from models.metrics.networks import ClipStandInConfig, FarlFacesConfig, KeyframeMetricsConfig, encoder
from models.vision import EfficientNetLite0Config
from models.weights.checkpoint import CheckpointError

BLACK = np.zeros((64, 96, 3), np.uint8)


@pytest.fixture(scope="module")
def frame():
    return next(iter(draw_frames(3, [36.0], size=(896, 512))))


def test_further_embedders_see_the_faces_that_were_detected(frame):
    config = KeyframeMetricsConfig.model_validate({"identity": [{"kind": "efficientnet_lite0"}]})
    images, plots = [BLACK, frame, frame], ("", "", "")
    first, others = (encoder(config, module)(images, plots) for module in ("faces", "identity"))
    assert first["counts"].tolist() == others["counts"].tolist() == [0, 1, 1]
    box = tuple(first["boxes"][0].tolist())
    (expected_E,) = squares.vectors(vision.build(EfficientNetLite0Config()), [identity.around(frame, box)])
    np.testing.assert_allclose(others["0"], [expected_E, expected_E], atol=1e-6)
    both_NC = ensemble([first["faces"], others["0"]])
    np.testing.assert_allclose(both_NC @ both_NC.T, 1, atol=1e-5)
    nobody = encoder(config, "identity")([BLACK], ("",))
    assert (nobody["counts"].tolist(), len(nobody["0"])) == ([0], 0)


def test_the_square_around_a_face_is_inside_the_picture():
    image = np.arange(40 * 80 * 3, dtype=np.uint8).reshape(40, 80, 3)
    assert identity.around(image, (0.45, 0.4, 0.55, 0.6)).shape == (16, 16, 3)
    for corner in ((0, 0, 0.1, 0.2), (0.9, 0.8, 1, 1), (0, 0, 0, 0), (1, 1, 1, 1), (0, 0, 1, 1)):
        assert identity.around(image, corner).size


@pytest.mark.parametrize("config", [identity.FarlIdentityConfig, identity.ClipIdentityConfig])
def test_missing_weights_say_which_setting_takes_them(config, tmp_path):
    with pytest.raises(CheckpointError, match=r"Fetch .*set the source of its entry in evaluate\.metrics\.identity"):
        identity.build(config(source=str(tmp_path / "nowhere.pth")))


@pytest.mark.parametrize(("config", "setting"), [(FarlFacesConfig, "faces"), (ClipStandInConfig, "vision")])
def test_encoders_that_training_uses_too_name_the_setting_of_the_metrics(config, setting, tmp_path):
    with pytest.raises(CheckpointError, match=rf"set evaluate\.metrics\.{setting}\.source"):
        _ = config(source=str(tmp_path / "nowhere.pth")).revision


def test_an_embedder_counts_once():
    with pytest.raises(ValueError, match="'dlib' is there twice, `faces` counts too"):
        KeyframeMetricsConfig.model_validate({"identity": [{"kind": "dlib"}]})
    two = [{"kind": "farl", "feature": feature} for feature in ("projection", "pooled")]
    assert len(KeyframeMetricsConfig.model_validate({"identity": two}).networks("identity")) == 3
    assert KeyframeMetricsConfig().networks("identity") == ()
