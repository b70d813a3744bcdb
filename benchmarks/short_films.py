"""What does the start of a decoding process cost a short film?

    python benchmarks/short_films.py --films 200 --seconds 10

Encodes a film by x264 and takes its keyframes again and again. In CPU-seconds of user and system time of all processes:

- forked: storage.decoding.child.decode_in_child, whose processes are forked from a server that has imported everything.
  The server's own start and end are counted.
- anew: the same in a new Python process for each film, as before.
- start: what a forked process costs beside the decoding itself: a file that is no film, through the same server.

Both ways run in turn, a quarter of the films at a time.
"""

import argparse
import contextlib
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory

from decode_cost import cpu, output

from storage.decoding.child import decode_in_child, end_servers
from storage.decoding.decode import KeyframesConfig
from storage.errors import FilmError
from storage.movies.encoder import ffmpeg_binary

TURNS = 4
WANTED = {"ratio": 0.6, "start": 0.1}
ANEW = """
import sys
from pathlib import Path
from tempfile import TemporaryFile
from storage.decoding.decode import KeyframesConfig, decode_film
with TemporaryFile() as spool:
    decode_film(Path(sys.argv[1]), KeyframesConfig.model_validate_json(sys.argv[2]), spool)
"""


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--size", default="320x180", help="of the film")
    parser.add_argument("--keyframes", default="448x256", help="of what is taken from it")
    args = parser.parse_args()
    width, height = map(int, args.keyframes.split("x"))
    config = KeyframesConfig(width=width, height=height)
    with TemporaryDirectory(prefix="short-films-") as scratch:
        film, text = Path(scratch) / "film.mp4", Path(scratch) / "text.mp4"
        text.write_text("no film")
        picture = f"testsrc2=s={args.size}:r=25:d={args.seconds}"
        command = [ffmpeg_binary(), "-loglevel", "error", "-f", "lavfi", "-i", picture, "-c:v", "libx264"]
        subprocess.run([*command, "-preset", "veryfast", str(film)], check=True)

        def fork() -> None:
            decode_in_child(film, config).close()

        def begin_anew() -> None:
            output([sys.executable, "-c", ANEW, str(film), config.model_dump_json()])

        def start() -> None:
            with contextlib.suppress(FilmError):
                decode_in_child(text, config)

        start()
        costs = dict.fromkeys(("forked", "anew"), 0.0)
        for _ in range(TURNS):
            for name, way in (("forked", fork), ("anew", begin_anew)):
                costs[name] += spent(way, args.films // TURNS)
        many, few = (spent(start, count) for count in (args.films, 1))
    costs = {name: cost / (args.films // TURNS * TURNS) for name, cost in costs.items()}
    of_start = (many - few) / (args.films - 1)
    for name, cost in costs.items():
        print(f"{name}: {cost:.3f} CPU-seconds a film of {args.seconds} s", file=sys.stderr)
    told = {"name": "short_films_start", "value": of_start, "unit": "CPU-seconds a film", "n": args.films}
    print(json.dumps(told | {"wanted": WANTED["start"]}))
    forked, anew = costs["forked"], costs["anew"]
    told = {"name": "short_films", "value": forked, "unit": "CPU-seconds a film", "baseline": anew}
    print(json.dumps(told | {"ratio": forked / anew, "n": args.films, "wanted": WANTED["ratio"]}))


def spent(way: Callable[[], None], times: int) -> float:
    """CPU-seconds of this process and of those that it starts."""
    end_servers()
    before = cpu(children=False) + cpu(children=True)
    for _ in range(times):
        way()
    end_servers()
    return cpu(children=False) + cpu(children=True) - before


if __name__ == "__main__":
    main()
