"""What do the embedded models know of a world of drawn films, and of films that they never saw?

    python benchmarks/embedded.py [WEIGHTS] [--films 8]

Prints one JSON line a figure, with its baseline and the 95 % interval from resampled films: keyframes rebuilt from
their own tokens (rebuilt_films.py), films dreamt from their scripts alone (dreamt.py), and a story in plain words
(story.py). Nothing is fine-tuned. WEIGHTS is the folder of another autoencoder, such as the recipe `world` trains; then
only rebuilt keyframes are measured.
"""

import argparse
import tempfile
from pathlib import Path

import dreamt
import rebuilt_films
import story

EMBEDDED = Path(__file__).parent.parent / "models" / "embedded" / "autoencoder"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("weights", type=Path, nargs="?", help="folder of another autoencoder than the embedded one")
    parser.add_argument("--sheet", type=Path, help="write originals and rebuilt keyframes to this PNG")
    args = parser.parse_args()
    rebuilt_films.measure(args.weights or EMBEDDED, args.films, args.sheet)
    if args.weights is None:
        with tempfile.TemporaryDirectory() as scratch:
            dreamt.measure(args.films, scratch)
        story.measure()


if __name__ == "__main__":
    main()
