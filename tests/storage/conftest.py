"""Clips that say what they show: each frame carries its number as bars, in Gray code: one bar changes a frame."""

import subprocess
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from storage.movies.encoder import ffmpeg_binary

BITS = 12
WIDTH, HEIGHT = 448, 256
TICKS = 1000  # a second

Painter = Callable[[int, float], np.ndarray]


def numbered(number: int, seconds: float) -> np.ndarray:
    """uint8 RGB [256, 448, 3]: bars in the middle, a colour around them that changes every four seconds."""
    colours = ((200, 60, 60), (60, 200, 60), (60, 60, 200))
    image = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    image[:] = colours[int(seconds) // 4 % 3]
    gray = number ^ number >> 1
    for bit in range(BITS):
        left = 32 + bit * 32
        image[112:144, left : left + 32] = 230 if gray >> bit & 1 else 20
    return image


def number_of(image: np.ndarray) -> int:
    """The number that a (resized) keyframe carries."""
    height, width = image.shape[:2]
    bars = image[height // 2, [round((48 + bit * 32) * width / WIDTH) for bit in range(BITS)]].mean(axis=-1)
    gray = sum(1 << bit for bit in range(BITS) if bars[bit] > 128)
    number = 0
    while gray:
        number, gray = number ^ gray, gray >> 1
    return number


def write_clip(
    path: Path,
    times: Sequence[float],
    paint: Painter = numbered,
    codec: str = "libx264",
    pixels: str = "yuv420p",
    sound: bool = False,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """A film whose frames are shown at `times`; one key frame a second, no B-frames."""
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream = container.add_stream(codec, rate=25, options=options or ({"bf": "0"} if codec == "libx264" else {}))
        first = paint(0, times[0])
        stream.width, stream.height, stream.pix_fmt = first.shape[1], first.shape[0], pixels
        stream.codec_context.gop_size = 25
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        tone = container.add_stream("aac", rate=48_000, layout="mono") if sound else None
        for number, seconds in enumerate(times):
            frame = av.VideoFrame.from_ndarray(paint(number, seconds), format="rgb24")
            frame.pts, frame.time_base = round(seconds * TICKS), Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
        if tone:
            _hum(container, tone, times[-1])
    return path


def _hum(container: av.container.OutputContainer, tone: av.AudioStream, seconds: float) -> None:
    samples = np.arange(round(seconds * 48_000), dtype=np.float32)
    wave = (0.3 * np.sin(samples * 2 * np.pi * 440 / 48_000)).astype(np.float32)
    for start in range(0, len(wave), 1024):
        frame = av.AudioFrame.from_ndarray(wave[None, start : start + 1024], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = 48_000, start
        container.mux(tone.encode(frame))
    container.mux(tone.encode())


def steady(seconds: float, fps: float = 25.0, start: float = 0.0) -> list[float]:
    return [start + number / fps for number in range(round(seconds * fps))]


@pytest.fixture(scope="session")
def clips() -> Callable[..., Path]:
    return write_clip


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten seconds at 25 frames a second with sound, and cuts at 4 and 8 s."""
    return write_clip(tmp_path_factory.mktemp("clip") / "ten seconds.mp4", steady(10), sound=True)


@pytest.fixture(scope="session")
def ffmpeg() -> Callable[..., Path]:
    """Runs ffmpeg's program; the last argument is the file that it writes, and is returned."""

    def run(*arguments: object) -> Path:
        subprocess.run([ffmpeg_binary(), "-y", "-loglevel", "error", *map(str, arguments)], check=True)
        return Path(str(arguments[-1]))

    return run


@pytest.fixture(scope="session")
def s3() -> Iterator[str]:
    """The "host:port" of an S3 server with a bucket; skips where there is no such server."""
    pytest.importorskip("moto.server")
    from moto.server import ThreadedMotoServer
    from pyarrow.fs import S3FileSystem

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AWS_ACCESS_KEY_ID", "key")
        patch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
        server.start()
        host, port = server.get_host_and_port()
        place = f"{host}:{port}"
        S3FileSystem(endpoint_override=place, scheme="http", region="us-east-1", allow_bucket_creation=True).create_dir(
            "bucket"
        )
        yield place
        server.stop()
