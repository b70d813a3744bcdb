"""What does a keyframe a second cost, beside ffmpeg's own `-vf fps=1`?

    python benchmarks/decode_cost.py --seconds 30 --runs 5

Encodes moving pictures with some grain by x264 (720p and 1080p, groups of 250 frames, with and without B-frames; the
bit rates, a few megabits a second, are printed) and takes a frame a second of 896x512 from each, in CPU-seconds of user
and system time:

- ffmpeg: `-vf fps=1` with its own settings, cropped and scaled by the same filters with the same flags, to RGB. Its
  cost with one decoding thread, a little less, is printed beside it.
- frames: the same by moviedreamer: the frames nearest to their seconds, cropped and scaled. This is the ratio.
- whole stage: storage.decoding.decode.decode_film with all that it does besides and ffmpeg does not: finding bars and
  cuts, measuring motion, looks for passages that films share, hashing the file. Its ratio stands on a line of its own.

Encoding to WebP is left out everywhere, and the start of the Python process is printed apart: a film pays it once,
whatever its length. (A film of two seconds is decoded before.) All run in turn. Last, the chosen frames are compared
with those of a complete decode, by time and pixels.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

from storage.decoding import decode
from storage.decoding.bars import Bars
from storage.decoding.child import ONE_THREAD
from storage.decoding.container import opened
from storage.decoding.pictures import Developer
from storage.decoding.plan import nearest
from storage.decoding.reader import FilmReader
from storage.films.films import pixel_aspect
from storage.movies.encoder import ffmpeg_binary

WIDTH, HEIGHT = 896, 512
SIZES = {"720p": (1280, 720), "1080p": (1920, 1080)}
KINDS = {
    "no B-frames": ("-bf", "0"),
    "3 B-frames": ("-bf", "3", "-b_strategy", "0", "-b-pyramid", "none"),
    "3 B-frames, one of them a reference": ("-bf", "3", "-b_strategy", "0", "-b-pyramid", "normal"),
}
WANTED = dict(zip(KINDS, (1.0, 0.6, None), strict=True))  # of the ratio
FLAGS = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=30)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--source", default="testsrc2", help="an lavfi source of moving pictures, such as mandelbrot")
    parser.add_argument("--grain", type=int, default=6, help="noise as of film, 0-100")
    parser.add_argument("--preset", default="veryfast", help="of x264")
    parser.add_argument("--film", type=Path, nargs=2, help="a child of this program: a short film, and one to measure")
    args = parser.parse_args()
    if args.film:
        print(json.dumps(of_moviedreamer(*args.film)))
        return
    ratios: dict[str, list[tuple[float, float]]] = {kind: [] for kind in KINDS}
    with TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            for kind in KINDS:
                short, film = Path(folder) / "short.mp4", Path(folder) / "film.mp4"
                encode(short, args, size, kind, 2)
                encode(film, args, size, kind, args.seconds)
                rate = film.stat().st_size * 8e-6 / args.seconds
                print(f"{name}, {kind}, {rate:.1f} Mbit/s: ", end="", flush=True)
                ratios[kind].append(compare(short, film, kind, args.runs))
    exact, skipping = (list(zip(*ratios[kind], strict=True)) for kind in ("no B-frames", "3 B-frames"))
    figures = {"exact_whole_stage": exact[1], "skipping_whole_stage": skipping[1]}
    for name, values in (figures | {"skipping": skipping[0], "exact": exact[0]}).items():
        worse = round(max(values), 3)
        result = {"name": f"decode_cost_{name}", "value": worse, "unit": "CPU-seconds over ffmpeg's", "baseline": 1.0}
        print(json.dumps(result | {"ratio": worse, "n": args.runs}))


def encode(path: Path, args: argparse.Namespace, size: tuple[int, int], kind: str, seconds: int) -> None:
    """A film in groups of 250 frames, 25 frames a second."""
    picture = f"{args.source}=size={size[0]}x{size[1]}:rate=25,noise=alls={args.grain}:allf=t"
    command = [ffmpeg_binary(), "-y", "-loglevel", "error", "-f", "lavfi", "-i", picture, "-t", str(seconds)]
    codec = ["-c:v", "libx264", "-preset", args.preset, "-pix_fmt", "yuv420p", *KINDS[kind]]
    groups = ["-g", "250", "-keyint_min", "250", "-sc_threshold", "0"]
    subprocess.run([*command, *codec, *groups, str(path)], check=True)


def compare(short: Path, film: Path, kind: str, runs: int) -> tuple[float, float]:
    """CPU-seconds of all, in turn; the ratios of the medians, of the frames and of the whole stage."""
    sides = ("ffmpeg", "ffmpeg with one thread", "frames", "whole stage", "start")
    times: dict[str, list[float]] = {side: [] for side in sides}
    for _ in range(runs):
        times["ffmpeg"].append(of_ffmpeg(film))
        times["ffmpeg with one thread"].append(of_ffmpeg(film, "-threads", "1"))
        before = cpu(children=True)
        mine = json.loads(output([sys.executable, __file__, "--film", str(short), str(film)]))
        times["start"].append(cpu(children=True) - before - sum(mine.values()))
        for side, seconds in mine.items():
            times[side].append(seconds)
    middle = {name: statistics.median(values) for name, values in times.items()}
    ratio, whole = (middle[side] / middle["ffmpeg"] for side in ("frames", "whole stage"))
    told = ", ".join(f"{name} {value:.2f}" for name, value in middle.items())
    wanted = f" (wanted: at most {WANTED[kind]})" if WANTED[kind] else ""
    print(f"{told} CPU-seconds; ratio {ratio:.2f}{wanted}, whole stage {whole:.2f}; {same(film)}", flush=True)
    return ratio, whole


def of_ffmpeg(film: Path, *options: str) -> float:
    """CPU-seconds of ffmpeg's program."""
    width, height, left, top = part(film)
    picture = f"fps=1,crop={width}:{height}:{left}:{top},scale={WIDTH}:{HEIGHT}:flags={FLAGS},format=rgb24"
    command = [ffmpeg_binary(), "-loglevel", "error", *options, "-i", str(film), "-map", "0:v:0", "-vf", picture]
    before = cpu(children=True)
    subprocess.run([*command, "-f", "rawvideo", "-y", os.devnull], check=True)
    return cpu(children=True) - before


def part(film: Path) -> tuple[int, int, int, int]:
    """Width, height, left and top of the centre that has the keyframes' shape."""
    with opened(film) as (_, stream):
        width = round(stream.height * WIDTH / HEIGHT / 2) * 2
        return width, stream.height, (stream.width - width) // 4 * 2, 0


def of_moviedreamer(short: Path, film: Path) -> dict[str, float]:
    """CPU-seconds that a film's frames take in this process, and the whole stage without WebP."""
    with patch.object(decode, "encode", lambda image, quality: b""):
        used: dict[str, float] = {}
        for side, way in (("frames", frames), ("whole stage", whole_stage)):
            way(short)
            before = cpu(children=False)
            way(film)
            used[side] = cpu(children=False) - before
    return used


def frames(film: Path) -> None:
    """A frame a second, cropped and scaled."""
    with opened(film) as (container, stream):
        developer = Developer(WIDTH, HEIGHT, pixel_aspect(stream), Bars())
        for _, _, frame in nearest(FilmReader(container, stream, 1.0), 1.0):
            developer.keyframe(frame)


def whole_stage(film: Path) -> None:
    """All that the stage does with a film."""
    decode.decode_film(film, decode.KeyframesConfig(width=WIDTH, height=HEIGHT)).close()


def same(film: Path) -> str:
    """Whether a complete decode finds the same frames, with the same pixels."""
    taken = []
    for step in (1.0, None):
        with opened(film) as (container, stream):
            reader = FilmReader(container, stream, step)
            chosen = [(second, pts, hash(frame.to_ndarray().tobytes())) for second, pts, frame in nearest(reader, 1.0)]
            taken.append((chosen, reader.frames))
    (some, decoded), (full, total) = taken
    alike = sum(one == other for one, other in zip(some, full, strict=True))
    return f"{alike} of {len(full)} keyframes identical to a complete decode's, {decoded} of {total} frames decoded"


def output(command: list[str]) -> str:
    """What a program of this project prints."""
    home = str(Path(__file__).parents[1])
    environment = {**os.environ, **ONE_THREAD, "PYTHONPATH": home}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
    return done.stdout


def cpu(children: bool) -> float:
    """User and system time so far, of this process or of those that it has waited for."""
    import resource

    used = resource.getrusage(resource.RUSAGE_CHILDREN if children else resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    main()
