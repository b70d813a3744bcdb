"""What does fine-tuning the embedded weights on a film buy, and what would training from nothing give?

    python benchmarks/fine_tuning.py [--film FILM] [--storage FOLDER] [--sheet PICTURE]

Curates the film with the recipe `laptop` (the drawn film of `make demo` if none is given), and then trains on its first
half and draws its second half three times: with the embedded autoencoder and decoder as they are, with both fine-tuned,
and with all models from random weights. The first two fine-tune the autoregressive model. Figures are those of
metrics.json; sharpness is the mean absolute Laplacian of held-out keyframes, as a share of their originals'; `seconds`
is the time of training and drawing. Each figure is one JSON line per variant, and its baseline is the figure of the
variant from random weights.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import cv2
import numpy as np
from demo import Demo
from rebuilt_films import SIZE, Pictures

from flows.settings.recipes import resolve
from models.metrics.figure import Figure
from storage import snapshot as snapshots
from storage.decoding.pictures import decode
from storage.root import Storage
from storage.tables.tables import Tables
from tasks import dataset
from tasks.figures import measure
from tasks.progress import silent

VARIANTS = {
    "embedded": ["frozen.fine_tune_below=0"],
    "fine-tuned": ["frozen.fine_tune_below=null"],
    "from nothing": ["frozen.init=", "autoregressive.init="],
}
UNITS = {
    "rebuilt_top1_train": "share",
    "rebuilt_top1_held_out": "share",
    "rebuilt_psnr_train": "dB",
    "rebuilt_psnr_held_out": "dB",
    "rebuilt_similarity_held_out": "cosine",
    "dreamt_similarity": "cosine",
    "few_shot_similarity": "cosine",
    "lt_rebuilt": "share",
    "lt_dreamt": "share",
    "lt_few_shot": "share",
    "rebuilt_sharpness": "share of the originals'",
    "dreamt_sharpness": "share of the originals'",
    "seconds": "s",
}
COLUMNS = 8


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--film", default="", help="a film file")
    parser.add_argument("--storage", default="", help="folder to go on from; a temporary one if none is given")
    parser.add_argument("--sheet", type=Path, help="write originals, rebuilt and dreamt keyframes to this picture")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        compare(args.film, args.storage or scratch, args.sheet)


def compare(film: str, uri: str, path: Path | None) -> None:
    """Prints all figures; `path` is a picture of some held-out keyframes."""
    changes = [f"ingest.films={film}"] if film else []
    sets = [part for each in changes for part in ("--set", each)]
    command = [sys.executable, "-m", "flows.cli", "run", "build_dataset", "--storage", uri, *sets]
    subprocess.run(command, check=True, stdout=sys.stderr)
    storage, found, rows = Storage(uri), dict[str, dict[str, Figure]](), list[Pictures]()
    snapshot = snapshots.load(storage, snapshots.newest(storage))
    for variant, given in VARIANTS.items():
        demo, began = Demo(storage, resolve("laptop", [*changes, *given]), snapshot), time.monotonic()
        work = demo.renders()
        seconds = time.monotonic() - began
        pictures = held_out(demo, work["renders"])
        figures = measured(demo, work) | sharpness(pictures)
        found[variant] = figures | {"seconds": Figure(value=seconds, n=1, what="training and drawing")}
        some = np.linspace(0, len(pictures["original"]) - 1, COLUMNS).astype(int)
        rows += [np.concatenate(list(shown[some]), axis=1) for shown in list(pictures.values())[bool(rows) :]]
    tell(found)
    if path:
        cv2.imwrite(str(path), cv2.cvtColor(np.concatenate(rows), cv2.COLOR_RGB2BGR))


def measured(demo: Demo, work: Mapping[str, Mapping[str, str]]) -> dict[str, Figure]:
    """The figures of metrics.json."""
    settings = demo.settings
    shown = measure.Rendered(
        demo.storage,
        demo.snapshot.within(work),
        work,
        demo.autoregressive(work),
        settings.render.generation,
        settings.face,
    )
    return measure.read(demo.storage, measure.run(settings.evaluate, shown, settings.cluster, silent))


def held_out(demo: Demo, renders: Mapping[str, str]) -> dict[str, Pictures]:
    """The held-out keyframes in order: originals, rebuilt and dreamt ones."""
    films = dataset.load(demo.storage, demo.snapshot, "test")
    row_ids = [row_id for film in films for row_id in film.row_ids]
    drawn = Tables(demo.storage).read("renders", renders, ["row_id", "variant", "image"]).to_pylist()
    versions = {"original": dataset.images(demo.storage, demo.snapshot, row_ids)}
    for version in ("rebuilt", "dreamt"):
        versions[version] = {row["row_id"]: row["image"] for row in drawn if row["variant"] == version}
    return {
        name: np.stack([cv2.resize(decode(images[row_id]), SIZE, interpolation=cv2.INTER_AREA) for row_id in row_ids])
        for name, images in versions.items()
    }


def sharpness(pictures: Mapping[str, Pictures]) -> dict[str, Figure]:
    """How sharp rebuilt and dreamt keyframes are, as a share of their originals."""
    edges = {
        name: float(np.mean([np.abs(cv2.Laplacian(cv2.cvtColor(one, cv2.COLOR_RGB2GRAY), cv2.CV_32F)) for one in some]))
        for name, some in pictures.items()
    }
    n = len(pictures["original"])
    return {
        f"{name}_sharpness": Figure(value=edges[name] / edges["original"], n=n, what="mean absolute Laplacian")
        for name in ("rebuilt", "dreamt")
    }


def tell(found: Mapping[str, Mapping[str, Figure]]) -> None:
    """A table for people, and a JSON line a figure."""
    print(f"| figure | {' | '.join(found)} | n |\n|---|{'---|' * len(found)}---|")
    for name in UNITS:
        cells = ["" if figures[name].value is None else f"{figures[name].value:.3f}" for figures in found.values()]
        print(f"| {name} | {' | '.join(cells)} | {found['embedded'][name].n} |")
    for name, unit in UNITS.items():
        baseline = found["from nothing"][name].value
        for variant, figures in found.items():
            value = figures[name].value
            line = {"name": f"{name}, {variant}", "value": value, "unit": unit, "baseline": baseline}
            ratio = round(value / baseline, 3) if value is not None and baseline else None
            print(json.dumps(line | {"ratio": ratio, "n": figures[name].n}), flush=True)


if __name__ == "__main__":
    main()
