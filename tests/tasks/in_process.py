"""A stage's work in this process instead of Ray's actors, which have tests of their own."""

from collections.abc import Iterator, Mapping

from storage.root import Storage
from tasks.cluster import ClusterConfig, Pool
from tasks.made import Answer, Film, Make, answered


def in_process(
    storage: Storage, keys: Mapping[str, str], make: Make, pool: Pool, cluster: ClusterConfig
) -> Iterator[Answer]:
    work = make()
    for film_id, key in keys.items():
        yield from answered(storage, Film(film_id, key), 1, work)
