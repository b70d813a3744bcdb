"""What is heard of a video."""

import av
import numpy as np

from storage.results import soundtrack


def test_samples_that_are_no_numbers_are_silent(tmp_path):
    told = np.random.default_rng(0).normal(scale=0.1, size=soundtrack.RATE).astype(np.float32)
    told[4000:4100], told[5000] = np.nan, np.inf
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        picture = container.add_stream("mpeg4", rate=10)
        voice = container.add_stream("pcm_f32le", rate=soundtrack.RATE, layout="mono")
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        container.mux(picture.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8), format="rgb24")))
        frame = av.AudioFrame.from_ndarray(told[None], format="flt", layout="mono")
        frame.sample_rate, frame.pts = soundtrack.RATE, 0
        container.mux([*voice.encode(frame), *voice.encode(), *picture.encode()])
    heard = soundtrack.samples(tmp_path / "a.mkv")
    np.testing.assert_allclose(heard[:4000], told[:4000], atol=1e-6)
    assert not heard[4000:4100].any()
    assert heard[5000] == 0
    assert np.isfinite(soundtrack.heard(tmp_path / "a.mkv")["loud"]).all()
