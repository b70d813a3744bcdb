"""Other ways to go on after a kill, which benchmarks/killed.py kills as it kills ours.

Each program goes through films in parts of 16 keyframes, writes a part's rows as soon as it has them, and is called
again until it ends. Each writes a line to a log when it begins a part.

Daft isn't installed with moviedreamer. Install it anywhere, with what its writer imports, and name the place:

    pip install --no-deps --target DAFT daft==0.7.26 pyiceberg==0.11.1 mmh3 strictyaml tenacity pyroaring
    PYTHONPATH=DAFT python benchmarks/killed.py
"""

import importlib.util
import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq

from tasks.cluster import ClusterConfig, connect

PART = 16  # keyframes
_MODEL = 0.003  # seconds a keyframe
_CLUSTER = ClusterConfig(cpus=2, object_store_mb=128)
_ENV = {"DAFT_RUNNER": "ray", "DAFT_ANALYTICS_ENABLED": "0"}


def parts(films: int, keyframes: int) -> list[dict[str, Any]]:
    """A row of the input each: what is to be made, and its id."""
    return [
        {"part": f"{film}:{first}", "film": film, "first": first, "count": min(PART, keyframes - first)}
        for film in map("film{}".format, range(films))
        for first in range(0, keyframes, PART)
    ]


def work(folder: Path, part: dict[str, Any]) -> list[str]:
    """The ids of the part's rows."""
    with (folder / "log").open("a") as log:
        log.write(f"{part['film']} {part['first']}\n")
    time.sleep(_MODEL * part["count"])
    return [f"{part['film']}:{part['first'] + number}" for number in range(part["count"])]


def inputs(folder: Path, todo: list[dict[str, Any]]) -> str:
    """A folder with a file for each part, so that each is a task of its own."""
    films = folder / "films"
    films.mkdir(exist_ok=True)
    for number, part in enumerate(todo):
        pq.write_table(pa.Table.from_pylist([part]), films / f"{number}.parquet")
    return str(films)


def by_hand(folder: Path, todo: list[dict[str, Any]]) -> None:
    """Each part is appended to a Delta table as it comes, and a film with rows counts as done."""
    from deltalake import DeltaTable, write_deltalake

    table, done = str(folder / "rows"), set[str]()
    if DeltaTable.is_deltatable(table):
        done = {row.partition(":")[0] for row in DeltaTable(table).to_pyarrow_table()["row"].to_pylist()}
    for part in todo:
        if part["film"] not in done:
            write_deltalake(table, pa.table({"row": work(folder, part)}), mode="append")


def ray_data(folder: Path, todo: list[dict[str, Any]]) -> None:
    """Ray Data writes Parquet and keeps the ids of what it has written."""
    import ray
    from ray.data.checkpoint import CheckpointConfig

    connect(_CLUSTER)
    context = ray.data.DataContext.get_current()
    context.checkpoint_config = CheckpointConfig(
        id_column="part", checkpoint_path=str(folder / "ids"), delete_checkpoint_on_success=False
    )

    def made(part: dict[str, Any]) -> dict[str, Any]:
        return {"part": part["part"], "rows": work(folder, part)}

    films = ray.data.read_parquet(inputs(folder, todo), override_num_blocks=len(todo))
    films.map(made).write_parquet(str(folder / "rows"))


def daft(folder: Path, todo: list[dict[str, Any]]) -> None:
    """Daft stages a Delta table's files and their ids, and commits them all at the end."""
    import daft  # type: ignore[import-not-found]

    connect(_CLUSTER)
    store = daft.CheckpointStore(f"file://{folder}/ids")

    @daft.func(return_dtype=daft.DataType.list(daft.DataType.string()))  # type: ignore[untyped-decorator]
    def made(film: str, first: int, count: int) -> list[str]:
        return work(folder, {"film": film, "first": first, "count": count})

    rows = daft.read_parquet(f"{inputs(folder, todo)}/*.parquet", checkpoint=daft.CheckpointConfig(store, on="part"))
    rows = rows.with_column("rows", made(daft.col("film"), daft.col("first"), daft.col("count")))
    rows.select("part", "rows").write_deltalake(
        str(folder / "rows"), checkpoint=daft.IdempotentCommit(store, idempotence_key="films")
    )


PEERS: dict[str, Callable[[Path, list[dict[str, Any]]], None]] = {
    "appended by hand": by_hand,
    "Ray Data's checkpoint": ray_data,
    "Daft's checkpoint store and Delta": daft,
}


def killed(name: str, folder: Path, films: int, keyframes: int, kills: int, draw: random.Random) -> int | None:
    """Prints what a peer lost and doubled; rows of both, None where it isn't installed or doesn't end."""
    if name.startswith("Daft") and not importlib.util.find_spec("daft"):
        print(f"{name}: not installed; benchmarks/peers.py says how")
        return None
    folder.mkdir()
    todo, log = parts(films, keyframes), folder / "log"
    environment = os.environ | _ENV | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    command = [sys.executable, __file__, name, str(folder), str(films), str(keyframes)]
    for kill in range(kills + 1):
        goal = len(begun(log)) + draw.randint(1, max(1, len(todo) // max(1, kills)))
        with (folder / "said").open("wb") as said:
            child = subprocess.Popen(command, env=environment, stdout=said, stderr=said, start_new_session=True)
        while child.poll() is None and (kill == kills or len(begun(log)) < goal):
            time.sleep(0.01)
        if child.poll() is None:
            os.killpg(child.pid, signal.SIGKILL)
        if child.wait() and kill == kills:
            print(f"{name}: ended with {child.returncode}: {(folder / 'said').read_text()[-500:]}")
            return None
    found, wanted = Counter(rows(folder / "rows")), films * keyframes
    lost, doubled = wanted - len(found), found.total() - len(found)
    again = len(begun(log)) - len(set(begun(log)))
    print(f"{name}: rows lost {lost}, doubled {doubled}; parts begun again {again} of {len(todo)}", flush=True)
    return lost + doubled


def begun(log: Path) -> list[str]:
    return log.read_text().splitlines() if log.exists() else []


def rows(place: Path) -> list[str]:
    """The ids of all rows that lie there."""
    from deltalake import DeltaTable

    if DeltaTable.is_deltatable(str(place)):
        table = DeltaTable(str(place)).to_pyarrow_table()
    else:
        table = pyarrow.dataset.dataset(place, exclude_invalid_files=True).to_table()
    if "row" in table.column_names:
        return [str(row) for row in table["row"].to_pylist()]
    return [row for some in table["rows"].to_pylist() for row in some]


if __name__ == "__main__" and sys.argv[1:]:  # by benchmarks/killed.py
    PEERS[sys.argv[1]](Path(sys.argv[2]), parts(int(sys.argv[3]), int(sys.argv[4])))
