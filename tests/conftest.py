"""What tests of several folders share: a new storage, one small Ray for the whole session, and one thread for torch."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from storage.root import Storage
from tasks.cluster import ClusterConfig

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: of tiny models two threads are slower


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    return Storage(str(tmp_path / "out"))


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterConfig]:
    """Stages connect to it when the first of them has work."""
    yield ClusterConfig(cpus=4, object_store_mb=128)
    import ray

    ray.shutdown()
