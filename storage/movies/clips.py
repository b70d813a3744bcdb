"""Clips: some seconds of picture without sound, encoded so that any number of them join into a movie as they are.

All clips of one codec, size and frame rate have the same settings, and equal frames make equal bytes.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import numpy as np

from storage.atomic import beside
from storage.guard import guarded
from storage.movies.encoder import encode
from storage.printable import printable

Codec = Literal["h264", "av1"]
"""How pictures are encoded: H.264 plays everywhere, AV1 takes about half of the bytes."""

Size = tuple[int, int]
"""Width and height in pixels."""

_COLOURS = {  # of the frames: where these have none, the encoder's own options are not heard
    "colorspace": "bt709",
    "color_primaries": "bt709",
    "color_trc": "bt709",
    "range": "tv",
}
_ENCODERS: dict[Codec, dict[str, Any]] = {
    "h264": {  # crf 18: no loss to be seen; x264's faster arithmetic and its threads give other bytes now and then
        "vcodec": "libx264",
        "preset": "veryfast",
        "crf": 18,
        "threads": 1,
        "x264-params": "cpu-independent=1",
    },
    "av1": {"vcodec": "libsvtav1", "preset": 8, "crf": 28, "svtav1-params": "lp=1"},
}
_LETTERS = 1 / 28  # of the picture's height, for the words of a mark
_OPACITY = 0.75  # of the mark's ground


def write_clip(
    path: Path, frames: Iterable[np.ndarray], size: Size, fps: int = 24, codec: Codec = "h264", mark: str = ""
) -> int:
    """Writes the clip `path` (MP4), whole or not at all, and returns its number of frames.

    Args:
        frames: uint8 RGB [height, width, 3], `fps` a second.
        size: of all frames, even numbers.
        mark: words shown in a corner of each frame, such as "AI-generated"; "": none.

    Raises:
        ValueError: for frames or a size that do not fit.
        StorageError: when the file cannot be written.
        ConfigError: when there is no ffmpeg that can write it.
    """
    import ffmpeg

    width, height = size
    if width % 2 or height % 2:
        raise ValueError(f"a movie of {width}x{height} pixels: H.264 in yuv420p takes even numbers")
    source = ffmpeg.input("pipe:", format="rawvideo", pix_fmt="rgb24", s=f"{width}x{height}", framerate=fps)
    scaled = source.filter("scale", out_color_matrix="bt709", out_range="tv").filter("format", "yuv420p")
    pictures = scaled.filter("setparams", **_COLOURS)
    shown = _marked(frames, mark) if mark else frames
    with guarded("write", str(path)), beside(path) as part:
        job = pictures.output(f"file:{part}", f="mp4", g=2 * fps, **_ENCODERS[codec])
        count = encode(job, str(path), _checked(shown, (height, width, 3)))
        if not count:
            raise ValueError("a movie without frames")
    return count


def _checked(frames: Iterable[np.ndarray], shape: tuple[int, int, int]) -> Iterator[bytes]:
    for number, frame in enumerate(frames):
        if frame.shape != shape or frame.dtype != np.uint8:
            raise ValueError(
                f"frame {number} is {frame.dtype} {list(frame.shape)}, the movie's are uint8 {list(shape)}"
            )
        yield frame.tobytes()


def _marked(frames: Iterable[np.ndarray], words: str) -> Iterator[np.ndarray]:
    """The frames with white words on a dark ground in their lower right corner, so that all see they are generated."""
    label_HW1: np.ndarray | None = None
    for frame in frames:
        if label_HW1 is None:
            label_HW1 = _label(printable(words, 60), *frame.shape[:2])
        high, wide = label_HW1.shape[:2]
        shown = frame.copy()
        corner = shown[-high:, -wide:]
        corner[:] = (1 - _OPACITY) * corner + _OPACITY * label_HW1
        yield shown


def _label(words: str, height: int, width: int) -> np.ndarray:
    """The words as a picture in grey, float [H, W, 1] of 0 to 255, no larger than the frame."""
    from PIL import Image, ImageDraw, ImageFont

    font = ImageFont.load_default(max(8, round(height * _LETTERS)))
    left, top, right, bottom = font.getbbox(words)
    edge = max(2, round(height * _LETTERS / 3))
    picture = Image.new("L", (round(right - left) + 2 * edge, round(bottom - top) + 2 * edge), 16)
    ImageDraw.Draw(picture).text((edge - left, edge - top), words, font=font, fill=240)
    return np.asarray(picture, np.float32)[-height:, -width:, None]
