"""Killed at any moment and run again, a storage holds what an undisturbed run leaves: nothing lost, nothing doubled."""

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from storage.root import Storage
from storage.tables import batches
from storage.tables.batches import _Fenced
from storage.tables.delta import open_table
from storage.tables.schemas import KEYS
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig
from tasks.curation import ingest, keyframes
from tasks.curation.ingest import IngestConfig
from tasks.progress import silent
from tests.tasks.clips import write_clip
from tests.tasks.killable import SMALL

KILLABLE = Path(__file__).parents[1] / "killable.py"


class PowerCutError(BaseException):
    """Nobody catches it, as nobody catches SIGKILL."""


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two good films, one of which is damaged, and one that is none."""
    folder = tmp_path_factory.mktemp("films")
    write_clip(folder / "a.mp4", 4, seed=1)
    write_clip(folder / "b.mp4", 3, seed=2)
    whole = write_clip(folder / "c.mp4", 12, seed=3).read_bytes()  # its index stands in front
    (folder / "c.mp4").write_bytes(whole[: len(whole) * 7 // 10])
    (folder / "d.mp4").write_text("no film\n" * 100)
    return folder


def everything(storage: Storage) -> dict[str, list[dict[str, Any]]]:
    """All rows that lie in the tables, finished or not, each table sorted by its id."""
    found = {}
    for name, keys in KEYS.items():
        table = open_table(storage, name)
        rows = table.to_pyarrow_table().to_pylist() if table else []
        found[name] = sorted(rows, key=lambda row, keys=keys: [row[key] for key in keys])
    return found


def decode_all(storage: Storage, films: Path, cluster: ClusterConfig) -> None:
    ingested = ingest.run(IngestConfig(films=(str(films),)), storage, silent)
    keyframes.run(SMALL, storage, ingested, cluster, silent)


def test_a_run_that_dies_at_each_of_its_writes_ends_as_an_undisturbed_one(
    films: Path, tmp_path: Path, cluster: ClusterConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, killed = Storage(str(tmp_path / "undisturbed")), Storage(str(tmp_path / "killed"))
    decode_all(undisturbed, films, cluster)

    writes = last = 0

    def counted(write: Any) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            nonlocal writes
            writes += 1
            made = write(*args, **kwargs)
            if writes == last:
                raise PowerCutError
            return made

        return call

    monkeypatch.setattr(Tables, "judge", counted(Tables.judge))
    monkeypatch.setattr(batches, "write_file", counted(batches.write_file))
    monkeypatch.setattr(_Fenced, "append", counted(_Fenced.append))
    for moment in (2, 3, 4, 5, 1):  # the write after which a run ends; the rejects and withdrawals count too
        writes, last = 0, moment
        with pytest.raises(PowerCutError):
            decode_all(killed, films, cluster)
    last = 0
    decode_all(killed, films, cluster)
    assert everything(killed) == everything(undisturbed)
    assert [row["reason"] for row in everything(killed)["rejects"]] == ["partly_decoded", "not_a_video"]


def run(storage: Path, films: Path, kill_at: str | None = None) -> list[str]:
    """Runs the curation in a process group of its own, and kills the group when it prints `kill_at`."""
    command = [sys.executable, str(KILLABLE), str(storage), str(films)]
    lines = []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            lines.append(line.strip())
            if lines[-1] == kill_at:
                os.killpg(process.pid, signal.SIGKILL)
                break
    assert process.returncode == (-signal.SIGKILL if kill_at else 0)
    return lines


@pytest.mark.slow
def test_killed_with_its_process_group_at_five_moments_and_run_again_it_equals_an_undisturbed_run(
    films: Path, tmp_path: Path
) -> None:
    assert run(tmp_path / "undisturbed", films)[-1] == "all 1 1"
    for moment in ("keyframes 0 4", "characters 0 3", "characters 3 3", "faces 0 3", "captions 0 3"):
        assert run(tmp_path / "killed", films, kill_at=moment)[-1] == moment
    resumed = run(tmp_path / "killed", films)
    told = Counter(line.split()[0] for line in resumed if ".mp4 " not in line)
    assert {stage for stage, times in told.items() if times > 1} == {"captions"}  # others say once that they are done
    assert everything(Storage(str(tmp_path / "killed"))) == everything(Storage(str(tmp_path / "undisturbed")))
