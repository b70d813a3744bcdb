"""The chain of references that the later flows start from: a snapshot and the three models trained on it."""

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import dataclass, replace

from flows.build_dataset import build_dataset
from flows.recipe import Recipe
from flows.recipes import resolve
from flows.reporting import warn
from flows.train_autoencoder import tokens, train_autoencoder
from flows.train_autoregressive import train_autoregressive
from flows.train_decoder import train_decoder
from storage import snapshot as snapshots
from storage.root import Storage
from tasks.cluster import gpus
from tasks.progress import telling


@dataclass(frozen=True)
class Trained:
    """Id of a snapshot and the models' folders in the storage; "" for what is still to be made."""

    snapshot: str = ""
    autoencoder: str = ""
    decoder: str = ""
    autoregressive: str = ""


def trained(recipe: str, storage: str, overrides: Sequence[str], given: Trained) -> Trained:
    """Fills in what is missing by running the flows that make it; called inside a flow."""
    snapshot = given.snapshot or build_dataset(recipe, storage, overrides)
    autoencoder = given.autoencoder or train_autoencoder(recipe, storage, overrides, snapshot)
    given = replace(given, snapshot=snapshot, autoencoder=autoencoder)

    def decoder() -> str:
        return given.decoder or train_decoder(recipe, storage, overrides, snapshot, autoencoder)

    def autoregressive() -> str:
        return given.autoregressive or train_autoregressive(recipe, storage, overrides, snapshot, autoencoder)

    settings, place = resolve(recipe, overrides, uses=set()), Storage(storage)
    if settings.side_by_side:
        tokens(settings, place, snapshots.load(place, snapshot), autoencoder)  # once: both works read them
    if settings.side_by_side and _room_for_two(settings):
        made = _side_by_side(decoder, autoregressive)
    else:
        made = [decoder(), autoregressive()]
    return replace(given, decoder=made[0], autoregressive=made[1])


def _room_for_two(settings: Recipe) -> bool:
    """Whether the cluster has GPUs for both trainings; the second would wait for the first until Ray gives it up."""
    fits = settings.train_decoder().fit, settings.train_autoregressive().fit
    needed = sum(fit.workers * fit.gpus for fit in fits)
    if not needed:
        return True
    with telling(warn):
        return needed <= gpus(settings.cluster)


def _side_by_side(*works: Callable[[], str]) -> list[str]:
    """Results of some works that need nothing of each other; the first error ends the waiting.

    The threads are daemons, so that Ctrl-C and an error end the run without waiting for the others.
    """
    results: dict[int, str | BaseException] = {}
    changed = threading.Condition()

    def call(place: int, work: Callable[[], str]) -> None:
        result: str | BaseException
        try:
            result = work()
        except BaseException as error:  # handed to the thread that waits
            result = error
        with changed:
            results[place] = result
            changed.notify()

    for place, work in enumerate(works):
        threading.Thread(target=copy_context().run, args=(call, place, work), daemon=True).start()
    with changed:
        while len(results) < len(works):
            changed.wait()
            for result in results.values():
                if isinstance(result, BaseException):
                    raise result
    return [result for _, result in sorted(results.items()) if isinstance(result, str)]
