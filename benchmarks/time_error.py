"""How far from its second is each keyframe?

    python benchmarks/time_error.py --seconds 20

Draws films whose frames carry their number (at 23.976 and 29.97 frames a second, at a changing rate, with B-frames),
takes a frame a second of each in the ways below, reads the numbers from the pictures, and compares each frame's time
with its second. A frame is right when no other is nearer: at a steady rate, when it lies within half a frame of it.

- moviedreamer: storage.decoding.decode.decode_film.
- decord, where installed: frames 0, n, 2n, ... with n = round(fps), as its users do, and as users of Ray Data's
  read_videos must (it hands out all frames of decord, numbered).
- OpenCV, always: the same stride over its frames.
- ffmpeg: `-vf fps=1`.
"""

import argparse
import importlib.util
import json
import statistics
import subprocess
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import numpy as np

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.pictures import decode
from storage.movies.encoder import ffmpeg_binary

WIDTH, HEIGHT, BITS, BAR = 448, 256, 12, 32  # of the pictures, and of the bars that are their number
TICKS = 90_000  # a second


class Film(NamedTuple):
    """A file, and when each of its frames is shown, in seconds after the first."""

    path: Path
    times: list[float]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=20)
    args = parser.parse_args()
    ways: dict[str, Callable[[Film], list[int]]] = {"moviedreamer": by_moviedreamer, "OpenCV's stride": by_opencv}
    if importlib.util.find_spec("decord"):
        ways["decord's stride (Ray Data)"] = by_decord
    else:
        print("decord is not installed (pip install decord): left out, and with it Ray Data's read_videos")
    ways["ffmpeg -vf fps=1"] = by_ffmpeg
    errors: dict[str, list[float]] = {name: [] for name in ways}
    excess: dict[str, list[float]] = {name: [] for name in ways}
    with TemporaryDirectory() as folder:
        for kind, times in rates(args.seconds).items():
            for b_frames in (0, 3):
                film = draw(Path(folder) / "film.mp4", times, b_frames)
                for name, take in ways.items():
                    wrong = offsets(film, take(film))
                    errors[name] += [abs(error) for error, _ in wrong]
                    excess[name] += [abs(error) - least for error, least in wrong]
                    worst = max(abs(error) for error, _ in wrong)
                    right = sum(abs(error) <= least + 1e-4 for error, least in wrong)
                    of = f"{right} of {len(wrong)} are the nearest frame"
                    print(f"{kind}, {b_frames} B-frames, {name}: at most {1000 * worst:.1f} ms from the second, {of}")
    for name in ways:
        middle, worst = 1000 * statistics.median(errors[name]), 1000 * max(errors[name])
        print(f"{name}: median {middle:.1f} ms, worst {worst:.1f} ms, {1000 * max(excess[name]):.1f} ms too far")
    mine, theirs = 1000 * max(errors["moviedreamer"]), 1000 * max(errors[list(ways)[-2]])
    result = {
        "name": "time_error",
        "value": round(mine, 2),
        "unit": "ms, the worst keyframe",
        "baseline": round(theirs, 2),
    }
    print(json.dumps(result | {"ratio": round(mine / theirs, 4), "n": len(errors["moviedreamer"])}))


def rates(seconds: int) -> dict[str, list[float]]:
    """When frames are shown, a list a film."""
    film = [number * 1001 / 24_000 for number in range(round(seconds * 24_000 / 1001))]
    video = [number * 1001 / 30_000 for number in range(round(seconds * 30_000 / 1001))]
    steps = np.random.default_rng(0).choice([1 / 60, 1 / 30, 1 / 24, 1 / 15, 1 / 8], size=seconds * 40)
    changing = [0.0, *np.cumsum(steps).tolist()]
    return {"23.976": film, "29.97": video, "changing rate": [time for time in changing if time < seconds]}


def draw(path: Path, times: list[float], b_frames: int) -> Film:
    """H.264 in groups of 250 frames; times are rounded to ticks."""
    import av

    ticks = [round(time * TICKS) for time in times]
    with av.open(str(path), "w") as container:
        stream: Any = container.add_stream("libx264", rate=30, options={"bf": str(b_frames), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        stream.codec_context.gop_size = 250
        stream.time_base = stream.codec_context.time_base = Fraction(1, TICKS)
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(numbered(number), format="rgb24")
            frame.pts, frame.time_base = tick, Fraction(1, TICKS)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return Film(path, [tick / TICKS for tick in ticks])


def numbered(number: int) -> np.ndarray:
    """uint8 [256, 448, 3] that carries a number of 12 bits as bars, on a background that moves."""
    image = np.full((HEIGHT, WIDTH, 3), 120, np.uint8)
    image[: HEIGHT // 3, number * 4 % WIDTH :] = (180, 90, 60)
    gray = number ^ number >> 1
    for bit in range(BITS):
        image[112:144, BAR * (bit + 1) : BAR * (bit + 2)] = 230 if gray >> bit & 1 else 20
    return image


def number_of(image: np.ndarray) -> int:
    """What a picture of any size carries."""
    height, width = image.shape[:2]
    bars = image[height // 2, [round((BAR * (bit + 1.5)) * width / WIDTH) for bit in range(BITS)]].mean(axis=-1)
    gray = sum(1 << bit for bit in range(BITS) if bars[bit] > 128)
    number = 0
    while gray:
        number, gray = number ^ gray, gray >> 1
    return number


def offsets(film: Film, numbers: list[int]) -> list[tuple[float, float]]:
    """(seconds from its second, seconds from there to the nearest frame) of the frame taken for second 0, 1, ..."""
    times = np.array(film.times)
    return [(film.times[n] - second, float(np.abs(times - second).min())) for second, n in enumerate(numbers)]


def by_moviedreamer(film: Film) -> list[int]:
    """Frame numbers of the keyframes."""
    with decode_film(film.path, KeyframesConfig(width=WIDTH, height=HEIGHT)) as found:
        rows = found.rows()
    assert rows["second"].to_pylist() == list(range(rows.num_rows))
    images: list[Any] = rows["image"].to_pylist()
    return [number_of(decode(data)) for data in images]


def by_decord(film: Film) -> list[int]:
    """Every n-th frame of decord."""
    import decord

    reader = decord.VideoReader(str(film.path), num_threads=1)
    indices = range(0, len(reader), round(reader.get_avg_fps()))
    return [number_of(reader[index].asnumpy()) for index in indices]


def by_opencv(film: Film) -> list[int]:
    """Every n-th frame of OpenCV."""
    import cv2

    capture, frames = cv2.VideoCapture(str(film.path)), list[np.ndarray]()
    stride = round(capture.get(cv2.CAP_PROP_FPS))
    while True:
        found, frame = capture.read()
        if not found:
            return [number_of(frame) for frame in frames[::stride]]
        frames.append(frame)


def by_ffmpeg(film: Film) -> list[int]:
    """What ffmpeg's filter fps=1 hands out."""
    command = [ffmpeg_binary(), "-loglevel", "error", "-i", str(film.path), "-vf", "fps=1", "-f", "rawvideo"]
    pixels = subprocess.run([*command, "-pix_fmt", "rgb24", "-"], check=True, stdout=subprocess.PIPE).stdout
    return [number_of(image) for image in np.frombuffer(pixels, np.uint8).reshape(-1, HEIGHT, WIDTH, 3)]


if __name__ == "__main__":
    main()
