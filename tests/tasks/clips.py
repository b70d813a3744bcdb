"""Small films, encoded in a moment: each second shows another colour."""

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

FPS = 8


def write_clip(path: Path, seconds: int, seed: int = 0) -> Path:
    draw = np.random.default_rng(seed)
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        stream = container.add_stream("libx264", rate=FPS, options={"threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        for second in range(seconds):
            picture = np.broadcast_to(draw.integers(0, 255, 3), (96, 160, 3)).astype(np.uint8)
            for number in range(FPS):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = second * FPS + number, Fraction(1, FPS)
                container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def beeping(path, cuts, late):
    """Four seconds of grey with cuts at some seconds, and a beep so much after each."""
    with av.open(str(path), "w") as container:
        picture, voice = container.add_stream("mpeg4", rate=10), container.add_stream("aac", rate=16_000)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuv420p"
        for number in range(40):
            grey = np.full((48, 64, 3), 40 + 150 * (sum(number / 10 >= cut for cut in cuts) % 2), np.uint8)
            container.mux(picture.encode(av.VideoFrame.from_ndarray(grey, format="rgb24")))
        container.mux(picture.encode())
        times = np.arange(4 * 16_000) / 16_000
        on = np.any([(times >= cut + late) & (times < cut + late + 0.3) for cut in cuts], axis=0)
        samples = (on * np.sin(2 * np.pi * 440 * times) * 0.3).astype(np.float32)
        for start in range(0, len(samples), 1024):
            frame = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 16_000, start
            container.mux(voice.encode(frame))
        container.mux(voice.encode())
    return path
