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
