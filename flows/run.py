"""A run: settings and storage, made once when a flow starts; everything that the flow calls takes them from it."""

import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from inspect import getdoc, signature
from typing import Any, TypeVar

from flows.catalogue import needs
from flows.display.artifacts import show_settings
from flows.server.keeper import kept
from flows.server.lock import alone
from flows.settings.preflight import preflight
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from storage.claim import claim
from storage.root import Storage


@dataclass(frozen=True)
class Run:
    """Complete, checked settings, and a storage in which no other run is at work."""

    settings: Recipe
    storage: Storage


@dataclass(frozen=True)
class References:
    """What a flow made, or was given and need not make; "" for what is missing.

    Attributes:
        snapshot: its id.
        autoencoder, decoder, autoregressive: the models' folders in the storage.
        files: URLs of results for people: movies, pages, figures.
    """

    snapshot: str = ""
    autoencoder: str = ""
    decoder: str = ""
    autoregressive: str = ""
    files: tuple[str, ...] = ()


NOTHING = References()
_PARAMETERS = {
    "recipe": "where the settings come from, one of `moviedreamer list`.",
    "storage": "folder, file://, s3://, gs:// or az://.",
    "overrides": "settings to change, `a.b=c` each, as `--set` on the command line.",
    "snapshot": 'id of the films to work on; "" for the recipe\'s own.',
    "autoencoder": "the model's folder in the storage; \"\" for the recipe's own.",
    "decoder": "the model's folder in the storage; \"\" for the recipe's own.",
    "autoregressive": "the model's folder in the storage; \"\" for the recipe's own.",
}
Work = TypeVar("Work", bound=Callable[..., Any])
_open: ContextVar[Run] = ContextVar("run")


def documented(work: Work) -> Work:
    """Adds the parameters to a flow's docstring, for the forms of a Prefect server."""
    lines = [f"    {name}: {_PARAMETERS[name]}" for name in signature(work).parameters]
    work.__doc__ = "\n".join([getdoc(work) or "", "", "Args:", *lines])
    return work


@contextmanager
def opened(
    flow: str,
    recipe: str,
    uri: str,
    overrides: Sequence[str] = (),
    given: References = NOTHING,
    into: bool = False,
    uses: frozenset[str] | None = None,
) -> Iterator[Run]:
    """Opens the run of a flow. If the command line has opened one already, the flow inside gets the same one.

    Args:
        flow: its name; everything it uses is checked before it begins.
        given: what the flow need not make.
        into: whether the storage may be a folder that holds other files.
        uses: fields of the recipe that are used, if they are not the flow's own.

    Raises:
        ConfigError: unknown recipe or setting, a storage that is none or is not ours, or something that is missing;
            nothing has been written then.
        ServersError: a server that can't be used.
        StorageError: a storage that cannot be reached or written, or in which another run is at work.
    """
    if run := _open.get(None):
        _show(flow, run)
        yield run
        return
    uses = needs(flow, vars(given)) if uses is None else uses
    run = Run(resolve(recipe, overrides, uses), Storage(uri).reached())
    preflight(run.settings, run.storage, uses)
    claim(run.storage, into)
    with kept(), alone(run.storage):
        if "PREFECT__FLOW_RUN_ID" in os.environ:  # a worker has started this process
            from flows.server.rescue import watch

            watch()
        token = _open.set(run)
        try:
            _show(flow, run)
            yield run
        finally:
            _open.reset(token)


def _show(flow: str, run: Run) -> None:
    """Shows the settings in Prefect if called inside a flow; the command line opens its run outside of one."""
    prefect = sys.modules.get("prefect.context")
    if prefect and prefect.FlowRunContext.get():
        show_settings(flow, run.settings)
