"""The flows of training: a snapshot becomes three models, each trained on what the previous one makes."""

import threading
from collections.abc import Callable, Sequence
from contextvars import copy_context
from dataclasses import replace

from prefect import flow, task
from prefect.cache_policies import NO_CACHE

import tasks.training.tokens
import tasks.training.train_autoencoder
import tasks.training.train_autoregressive
import tasks.training.train_decoder
from flows.curation import curate
from flows.display.artifacts import show_training
from flows.display.reporting import reported, warn
from flows.run import References, Run, documented, opened
from flows.server.rescue import HOOKS
from flows.settings.recipe import Recipe
from storage import snapshot as snapshots
from storage.snapshot import Snapshot
from tasks.cluster import gpus
from tasks.progress import telling
from tasks.stage import Work


@flow(name="train_autoencoder", **HOOKS)
@documented
def train_autoencoder(
    recipe: str = "laptop", storage: str = "out", overrides: Sequence[str] = (), snapshot: str = ""
) -> References:
    """Trains the autoencoder (stages 1 and 2), and makes the tokens of all keyframes.

    Returns:
        The snapshot and the autoencoder.
    """
    given = References(snapshot)
    with opened("train_autoencoder", recipe, storage, overrides, given) as run:
        data, made = encoded(run, given)
        tokens(run, data, made)
        return made


@flow(name="train_decoder", **HOOKS)
@documented
def train_decoder(
    recipe: str = "laptop",
    storage: str = "out",
    overrides: Sequence[str] = (),
    snapshot: str = "",
    autoencoder: str = "",
) -> References:
    """Continues training the decoder (stage 3), which then also reads descriptions and faces. The tokens do not change.

    Returns:
        Snapshot, autoencoder and decoder.
    """
    given = References(snapshot, autoencoder)
    with opened("train_decoder", recipe, storage, overrides, given) as run:
        data, made = encoded(run, given)
        return replace(made, decoder=decoder(run, data, made, tokens(run, data, made)))


@flow(name="train_autoregressive", **HOOKS)
@documented
def train_autoregressive(
    recipe: str = "laptop",
    storage: str = "out",
    overrides: Sequence[str] = (),
    snapshot: str = "",
    autoencoder: str = "",
) -> References:
    """Trains the model that writes keyframe tokens from multimodal scripts; it reads no pixels.

    Returns:
        Snapshot, autoencoder and autoregressive model.
    """
    given = References(snapshot, autoencoder)
    with opened("train_autoregressive", recipe, storage, overrides, given) as run:
        data, made = encoded(run, given)
        return replace(made, autoregressive=autoregressive(run, data, tokens(run, data, made)))


def encoded(run: Run, given: References) -> tuple[Snapshot, References]:
    """The snapshot, and `given` with snapshot and autoencoder filled in; missing ones are made."""
    data = snapshots.load(run.storage, given.snapshot) if given.snapshot else curate(run)
    return data, replace(given, snapshot=data.id, autoencoder=given.autoencoder or autoencoder(run, data))


def trained(run: Run, given: References) -> tuple[Snapshot, References]:
    """As `encoded`, with all models filled in."""
    data, made = encoded(run, given)
    if made.decoder and made.autoregressive:
        return data, made
    work = tokens(run, data, made)

    def decode() -> str:
        return made.decoder or decoder(run, data, made, work)

    def predict() -> str:
        return made.autoregressive or autoregressive(run, data, work)

    both = run.settings.side_by_side and _room_for_two(run.settings)
    models = _side_by_side(decode, predict) if both else [decode(), predict()]
    return data, replace(made, decoder=models[0], autoregressive=models[1])


@task(cache_policy=NO_CACHE)
def autoencoder(run: Run, data: Snapshot) -> str:
    """Trains the autoencoder."""
    config = run.settings.train_autoencoder()
    with reported("autoencoder") as progress:
        model = tasks.training.train_autoencoder.run(config, run.storage, data, run.settings.cluster, progress)
    show_training("autoencoder", run.storage, model)
    return model


@task(cache_policy=NO_CACHE)
def tokens(run: Run, data: Snapshot, models: References) -> Work:
    """The tokens of all keyframes; existing ones are not made again."""
    with reported("tokens", of="films") as progress:
        return tasks.training.tokens.run(
            run.settings.frozen, run.storage, data, models.autoencoder, run.settings.cluster, progress
        )


@task(cache_policy=NO_CACHE)
def decoder(run: Run, data: Snapshot, models: References, work: Work) -> str:
    """Trains the decoder."""
    config = run.settings.train_decoder()
    with reported("decoder") as progress:
        model = tasks.training.train_decoder.run(
            config, run.storage, data, models.autoencoder, work, run.settings.cluster, progress
        )
    show_training("decoder", run.storage, model)
    return model


@task(cache_policy=NO_CACHE)
def autoregressive(run: Run, data: Snapshot, work: Work) -> str:
    """Trains the autoregressive model."""
    config = run.settings.train_autoregressive()
    with reported("autoregressive") as progress:
        model = tasks.training.train_autoregressive.run(config, run.storage, data, work, run.settings.cluster, progress)
    show_training("autoregressive", run.storage, model)
    return model


def _room_for_two(settings: Recipe) -> bool:
    """Whether the cluster has GPUs for both trainings; without them the second would wait until Ray gives it up."""
    fits = settings.train_decoder().fit, settings.train_autoregressive().fit
    needed = sum(fit.workers * fit.gpus for fit in fits)
    if not needed:
        return True
    with telling(warn):
        return needed <= gpus(settings.cluster)


def _side_by_side(*works: Callable[[], str]) -> list[str]:
    """Runs independent functions side by side and returns their results; the first error ends the waiting.

    The threads are daemons, so that Ctrl-C and an error end the run without waiting for the others.
    """
    results: dict[int, str | BaseException] = {}
    changed = threading.Condition()

    def call(place: int, work: Callable[[], str]) -> None:
        result: str | BaseException
        try:
            result = work()
        except BaseException as error:  # raised by the waiting thread
            result = error
        with changed:
            results[place] = result
            changed.notify()

    for place, work in enumerate(works):
        threading.Thread(target=copy_context().run, args=(call, place, work), daemon=True).start()
    with changed:
        while True:
            for result in results.values():
                if isinstance(result, BaseException):
                    raise result
            if len(results) == len(works):
                break
            changed.wait()
    return [result for _, result in sorted(results.items()) if isinstance(result, str)]
