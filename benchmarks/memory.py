"""Does a film's length show in the memory that its curation takes?

    python benchmarks/memory.py --films 3 --keyframes 600 --times 10

The same number of films goes through all stages twice, with fake models and pictures of noise: once of `keyframes`
each, once ten times as long. Each run has a Ray of its own; the memory is that of all processes together, shared pages
counted once, so the object store is in it. The peer is Ray Data's way for a film: map_batches whose function returns a
film's rows at once.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import fakes

from storage.root import Storage
from tasks.cluster import ClusterConfig, connect


def main() -> None:
    """Prints a line a run and the ratio of the peaks as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--films", type=int, default=3)
    parser.add_argument("--keyframes", type=int, default=600)
    parser.add_argument("--times", type=int, default=10)
    parser.add_argument("--width", type=int, default=320)
    parser.add_argument("--child", nargs=3, metavar=("WHAT", "STORAGE", "KEYFRAMES"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.child:
        what, storage, keyframes = args.child
        size = (args.width, args.width * 9 // 16)
        (engine if what == "engine" else ray_data)(Storage(storage), args.films, int(keyframes), size)
        return
    peaks: dict[tuple[str, int], float] = {}
    for what in ("engine", "ray data"):
        for times in (1, args.times):
            with tempfile.TemporaryDirectory() as folder:
                peaks[what, times] = peak(what, folder, args.keyframes * times, args)
            print(f"{what}, {args.films} films of {args.keyframes * times} keyframes: {peaks[what, times]:.0f} MiB")
    mine, peer = (peaks[what, args.times] / peaks[what, 1] for what in ("engine", "ray data"))
    result = {"name": "memory_of_longer_films", "value": round(mine, 3), "unit": f"peak at {args.times} times over 1"}
    print(json.dumps(result | {"baseline": round(peer, 3), "ratio": round(mine / peer, 3), "n": args.films}))


def engine(storage: Storage, films: int, keyframes: int, size: tuple[int, int]) -> None:
    made = fakes.Fakes(keyframes, size)
    fakes.curate(storage, fakes.film_ids(films), made, ClusterConfig(object_store_mb=256))


def ray_data(storage: Storage, films: int, keyframes: int, size: tuple[int, int]) -> None:
    connect(ClusterConfig(object_store_mb=256))
    import ray

    def decode(row: dict[str, Any]) -> list[dict[str, Any]]:
        image = fakes.picture(size, 1)
        rows: list[dict[str, Any]] = fakes.keyframe_rows(row["item"], 0, keyframes, image, size).to_pylist()
        return rows

    ray.data.from_items(fakes.film_ids(films)).flat_map(decode).write_parquet(storage.url("rows"))


def peak(what: str, storage: str, keyframes: int, args: argparse.Namespace) -> float:
    """MiB of the processes of a run, at their most."""
    command = [sys.executable, __file__, "--films", str(args.films), "--width", str(args.width)]
    command += ["--child", what, storage, str(keyframes)]
    child = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    most = 0.0
    while child.poll() is None:
        most = max(most, resident(child.pid))
        time.sleep(0.3)
    if child.returncode:
        raise SystemExit(f"{what} ended with exit code {child.returncode}")
    return most


def resident(process: int) -> float:
    """MiB that a process and all that it started hold now."""
    children: dict[int, list[int]] = {}
    for folder in Path("/proc").iterdir():
        try:
            stat = (folder / "stat").read_text() if folder.name.isdigit() else ""
        except OSError:
            continue
        if stat:
            children.setdefault(int(stat.rpartition(")")[2].split()[1]), []).append(int(folder.name))
    found = [process]
    for one in found:
        found += children.get(one, [])
    return sum(map(proportional, found)) / 1024


def proportional(process: int) -> int:
    """KiB, each shared page divided by how many processes share it."""
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("Pss:")), 0)


if __name__ == "__main__":
    main()
