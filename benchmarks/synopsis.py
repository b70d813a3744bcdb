"""From a synopsis of ten lines to a movie, as a new user would: how long does it take?

    python benchmarks/synopsis.py [--storage FOLDER] [--set SETTING=VALUE]

Writes benchmarks/synopsis.txt as a story of thirty keyframes with `moviedreamer write`, changes one of its lines, and
renders it into a new storage with the recipe `laptop` and the weights of this repository. The last line is JSON: the
seconds of all of that; the baseline is ten minutes.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import av

from storage.movies.mix import loudness

SYNOPSIS = Path(__file__).with_suffix(".txt")
KEYFRAMES = 30
BEFORE, AFTER = "plot: They walk through", "plot: They run through"
LIMIT = 600.0  # seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", type=Path, help="keep the movie in this new folder")
    parser.add_argument("--set", action="append", default=[], help="a setting of the recipe laptop, as the program's")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measure(Path(scratch), args.storage or Path(scratch) / "out", args.set)


def measure(folder: Path, storage: Path, changes: list[str]) -> None:
    """Prints what was made, and how long it took."""
    story = folder / "story.yaml"
    began = time.monotonic()
    call("write", str(SYNOPSIS), "-o", str(story), "--keyframes", str(KEYFRAMES))
    written = time.monotonic()
    text = story.read_text(encoding="utf-8")
    assert text.count(BEFORE) == 1
    story.write_text(text.replace(BEFORE, AFTER), encoding="utf-8")
    sets = [word for one in changes for word in ("--set", one)]
    report = json.loads(call("render", str(story), "--storage", str(storage), "--json", *sets))
    ended = time.monotonic()
    (one,) = report["stories"]
    with av.open(one["movie"]) as movie:
        seconds, tracks = (movie.duration or 0) / 1_000_000, [stream.type for stream in movie.streams]
    print(f"write {written - began:.0f} s, render {ended - written:.0f} s: {', '.join(tracks)}; {one['movie']}")
    print(f"the movie lasts {seconds:.1f} s, at {loudness(Path(one['movie'])):.1f} LUFS")
    result = {"name": "synopsis_to_movie", "value": round(ended - began, 1), "unit": "seconds", "baseline": LIMIT}
    print(json.dumps(result | {"ratio": round((ended - began) / LIMIT, 3), "n": KEYFRAMES}))


def call(*words: str) -> str:
    """What the program prints."""
    command = [sys.executable, "-m", "flows.cli", *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


if __name__ == "__main__":
    main()
