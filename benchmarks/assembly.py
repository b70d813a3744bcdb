"""Does a long movie come together in flat memory, in step, and as fast as ffmpeg alone?

    python benchmarks/assembly.py --keyframes 2000 --minutes 60

Draws some clips (moving pictures with grain), copies them until there is one a keyframe, and puts a white frame into
the last one, at whose second a beep is spoken. Then, each measured in CPU seconds, which other work on the machine
hardly changes:

- sound: a score is composed for scenes of two minutes, and mixed with speech every ten seconds and the beep
- movie: storage.movies.assembly joins clips, sound, subtitles, chapters, poster and tags
- bare encode: ffmpeg's concat demuxer over the same clips into the same encoder, and nothing else; of many clips it
  gets the first hundred, and its time is scaled to all of them
- bare copy: the same without encoding, of all clips

Memory is the peak of this process above its start, with the whole of the largest program that it called before the
bare runs. The system counts what a program had of this process before it began, so programs are looked at while they
run.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import threading
import wave
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import av
import numpy as np

from drawn.sound import RATE, SCALES, Part, score
from storage.movies.about import About
from storage.movies.assembly import Chapter, assemble
from storage.movies.clips import write_clip
from storage.movies.encoder import ffmpeg_binary
from storage.movies.mix import Cue, mix, write_music
from storage.movies.subtitles import Subtitles

SCENE = 120.0  # seconds
SPOKEN = 10.0  # seconds from one line to the next
ABOVE = 500.0  # MB, the most
SPEED = 0.9  # of the bare encode's, the least
ENCODED = 100  # clips


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keyframes", type=int, default=2000)
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--size", type=int, nargs=2, default=(896, 512), metavar=("WIDTH", "HEIGHT"))
    parser.add_argument("--fps", type=int, default=24)
    parser.add_argument("--distinct", type=int, default=12, help="clips that are drawn; the others are copies of them")
    args = parser.parse_args()
    with TemporaryDirectory(prefix="moviedreamer-") as folder:
        measure(Path(folder), args)


def measure(folder: Path, args: argparse.Namespace) -> None:
    """All figures."""
    clips, flash = write_clips(folder, args)
    seconds = sum(frames_of(clip) for clip in clips) / args.fps
    print(f"{len(clips)} clips, {seconds / 60:.1f} minutes, flash at {flash:.3f} s", flush=True)
    programs = Programs()
    programs.start()
    start = memory()
    began = cpu_seconds()
    sound = write_sound(folder, seconds, flash)
    sounded = cpu_seconds()
    movie = folder / "movie.mp4"
    words = [(at, at + 4, "Somebody says something.") for at in np.arange(0, seconds - 5, SPOKEN).tolist()]
    chapters = [Chapter(at, f"Scene {number}") for number, at in enumerate(np.arange(0, seconds, SCENE).tolist(), 1)]
    assemble(movie, clips, About("A long movie"), sound, [Subtitles("Lines", "en", words)], chapters)
    ended = cpu_seconds()
    programs.ended.set()
    above = memory() - start + programs.largest
    shown, heard = flash_of(movie, flash), beep_of(movie, flash)
    print(
        f"CPU: sound {sounded - began:.1f} s, movie {ended - sounded:.1f} s; {above:.0f} MB above the start; "
        f"flash {shown:.3f} s, beep {heard:.3f} s, {(heard - shown) * 1000:+.0f} ms apart, a frame is "
        f"{1000 / args.fps:.0f} ms",
        flush=True,
    )
    encoded = bare(
        folder, clips[:ENCODED], "-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-g", str(2 * args.fps)
    )
    encoded *= len(clips) / len(clips[:ENCODED])
    copied = bare(folder, clips, "-c", "copy")
    whole = ended - began
    print(f"CPU: bare encode {encoded:.1f} s, bare copy {copied:.1f} s", flush=True)
    for name, value, unit, baseline, holds in (
        ("assembly_memory", above, "MB above the start", ABOVE, above <= ABOVE),
        ("assembly_step", abs(heard - shown) * args.fps, "frames", 1.0, abs(heard - shown) * args.fps <= 1),
        ("assembly_speed", encoded / whole, "of the bare encode's speed", SPEED, encoded / whole >= SPEED),
    ):
        result = {"name": name, "value": round(value, 3), "unit": unit, "baseline": baseline}
        result |= {"ratio": round(value / baseline, 3), "holds": bool(holds)}
        print(json.dumps(result | {"n": len(clips)}), flush=True)


def write_clips(folder: Path, args: argparse.Namespace) -> tuple[list[Path], float]:
    """All clips, and the second of the movie at which the white frame stands."""
    size, length = tuple(args.size), max(2, round(args.minutes * 60 * args.fps / args.keyframes))
    drawn = [folder / f"drawn-{number}.mp4" for number in range(min(args.distinct, args.keyframes))]
    for number, path in enumerate(drawn):
        write_clip(path, pictures(number, length, size), size, args.fps)
    clips = [folder / f"{number:05d}.mp4" for number in range(args.keyframes)]
    for number, path in enumerate(clips[:-1]):
        shutil.copyfile(drawn[number % len(drawn)], path)
    white = length // 2
    write_clip(clips[-1], pictures(0, length, size, white), size, args.fps)
    return clips, ((args.keyframes - 1) * length + white) / args.fps


def pictures(seed: int, count: int, size: tuple[int, int], white: int = -1) -> Iterator[np.ndarray]:
    """A soft picture with grain that moves sideways, and a white one among them."""
    rng = np.random.default_rng(seed)
    width, height = size
    across, down = np.meshgrid(np.arange(width) / width, np.arange(height) / height)
    phases = rng.uniform(0, 6, 3)
    base = np.stack([100 + 60 * np.sin(9 * across + 5 * down + phase) for phase in phases], -1)
    base = (base + rng.normal(0, 4, (height, width, 1))).clip(0, 200).astype(np.uint8)
    for place in range(count):
        yield np.full_like(base, 255) if place == white else np.ascontiguousarray(np.roll(base, 2 * place, 1))


def write_sound(folder: Path, seconds: float, beep: float) -> Path:
    """A score with a tone every ten seconds for speech, and a beep."""
    speech, high = folder / "speech.wav", folder / "beep.wav"
    for path, hertz, length in ((speech, 300, 3.0), (high, 3000, 0.1)):
        wave_N = 0.3 * np.sin(np.arange(int(length * 24_000)) * 2 * np.pi * hertz / 24_000)
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(24_000)
            file.writeframes((wave_N * 32767).astype("<i2").tobytes())
    count = max(1, round(seconds / 24))
    kinds = [*SCALES]
    parts = [Part(kinds[int(n * 24 / SCENE) % len(kinds)], n, seconds / count) for n in range(count)]
    write_music(folder / "music.flac", score(parts), RATE)
    cues = [Cue(at, speech) for at in np.arange(0, beep - 5, SPOKEN).tolist()]
    mix(folder / "sound.m4a", seconds, [*cues, Cue(beep, high)], folder / "music.flac")
    return folder / "sound.m4a"


def bare(folder: Path, clips: list[Path], *encoder: str) -> float:
    """CPU seconds that ffmpeg takes for the clips alone."""
    listed = folder / "clips.txt"
    listed.write_text("".join(f"file '{clip.name}'\n" for clip in clips))
    command = [ffmpeg_binary(), "-y", "-loglevel", "error", "-f", "concat", "-i", str(listed), *encoder]
    began = cpu_seconds()
    subprocess.run([*command, "-movflags", "+faststart", str(folder / "bare.mp4")], check=True)
    return cpu_seconds() - began


def flash_of(movie: Path, near: float) -> float:
    """Second of the whitest frame."""
    with av.open(str(movie)) as container:
        stream = container.streams.video[0]
        container.seek(int(max(0, near - 5) * 1_000_000))
        frames = container.decode(stream)
        return max((float(frame.to_ndarray(format="gray").mean()), float(frame.time)) for frame in frames)[1]


def beep_of(movie: Path, near: float) -> float:
    """Second at which the high tone begins."""
    with av.open(str(movie)) as container:
        stream = container.streams.audio[0]
        container.seek(int(max(0, near - 5) * 1_000_000))
        frames = [(float(frame.time), frame.to_ndarray()[0]) for frame in container.decode(stream)]
    rate, first = int(stream.rate), frames[0][0]
    heard = np.concatenate([samples for _, samples in frames])
    short = rate // 500  # 2 ms: the beep has six waves in it
    blocks = heard[: len(heard) // short * short].reshape(-1, short)
    high = np.abs(np.fft.rfft(blocks, axis=1))[:, round(3000 / 500)]
    return first + int(np.argmax(high > 0.5 * high.max())) * short / rate


def frames_of(clip: Path) -> int:
    """How many frames a clip has."""
    with av.open(str(clip), stream_options=[{"skip_frame": "all"}]) as container:
        return int(container.streams.video[0].frames)


def cpu_seconds() -> float:
    """Of this process and of the programs that it called and that have ended."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def memory() -> float:
    """Peak of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000


class Programs(threading.Thread):
    """Looks at the programs that this process runs; `largest` is the highest peak of one, in MB."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.ended = threading.Event()
        self.largest = 0.0

    def run(self) -> None:
        mine = Path("/proc/self/exe").readlink()
        while not self.ended.wait(0.1):
            for listed in Path("/proc/self/task").glob("*/children"):
                with suppress(OSError, ValueError):
                    for child in listed.read_text().split():
                        if Path(f"/proc/{child}/exe").readlink() != mine:
                            (peak,) = re.findall(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{child}/status").read_text())
                            self.largest = max(self.largest, int(peak) / 1000)


if __name__ == "__main__":
    main()
