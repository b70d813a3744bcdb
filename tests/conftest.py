"""One small Ray for the whole test session: stages connect to it when the first of them has work."""

from collections.abc import Iterator

import pytest

from tasks.cluster import ClusterConfig


@pytest.fixture(scope="session")
def cluster() -> Iterator[ClusterConfig]:
    yield ClusterConfig(cpus=4, object_store_mb=128)
    import ray

    ray.shutdown()
