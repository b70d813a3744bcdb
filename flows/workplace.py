"""Where a flow works: its settings, and a storage that is its own as long as it works."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flows.lock import alone
from flows.preflight import preflight
from flows.recipes import Recipe, resolve
from storage.root import Storage


@contextmanager
def workplace(
    recipe: str, uri: str, overrides: Sequence[str], needs: Sequence[str] = ()
) -> Iterator[tuple[Recipe, Storage]]:
    """The settings and the storage of a flow; flows that it calls in this process work in the same place.

    Args:
        needs: fields of the recipe whose checkpoints and data must be there before the flow begins.

    Raises:
        ConfigError: unknown recipe or setting, a storage that is none, or something that is missing.
        StorageError: a storage that cannot be written, or in which another run is at work.
    """
    settings, storage = resolve(recipe, overrides), Storage(uri)
    preflight(settings, needs)
    with alone(storage):
        yield settings, storage
