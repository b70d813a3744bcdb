"""Where a flow works: its settings, and a storage that is its own as long as it works."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from flows.lock import alone, at_work
from flows.needs import needs
from flows.preflight import preflight
from flows.recipes import Recipe, resolve
from storage.claim import claim
from storage.root import Storage


@contextmanager
def workplace(
    recipe: str, uri: str, overrides: Sequence[str], flow: str, **given: str
) -> Iterator[tuple[Recipe, Storage]]:
    """The settings and the storage of a flow; flows that it calls in this process work in the same place.

    Args:
        flow: its name; what it uses must be there and fit before it begins.
        given: what it need not make, by name; see flows.needs.

    Raises:
        ConfigError: unknown recipe or setting, a storage that is none or is not ours, or something that is missing.
        ServersError: a server that can't be used.
        StorageError: a storage that cannot be written, or in which another run is at work.
    """
    settings, storage = checked(recipe, uri, overrides, flow, **given)
    if not at_work(storage):
        claim(storage)
    with alone(storage):
        yield settings, storage


def checked(recipe: str, uri: str, overrides: Sequence[str], flow: str, **given: str) -> tuple[Recipe, Storage]:
    """The settings and the storage of a flow, checked as `workplace` does, but neither claimed nor locked."""
    uses = needs(flow, given)
    settings, storage = resolve(recipe, overrides, uses), Storage(uri)
    preflight(settings, storage, uses)
    return settings, storage
