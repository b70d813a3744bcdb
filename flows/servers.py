"""The servers that captions and scripts come from are asked before anything is decoded for them."""

from collections.abc import Collection

from flows.recipe import Recipe
from models.captioner import OpenAiConfig
from models.server import ServerError
from models.server.probe import probe
from models.writer import OpenAiWriterConfig
from storage.errors import MovieDreamerError
from storage.root import Storage
from tasks.curation.pipeline import CURATION, unfinished


class ServersError(MovieDreamerError):
    """Servers that can't be used; a line for each, with its URL and the cure."""


def ask_servers(settings: Recipe, storage: Storage, films: Collection[str] | None = None) -> None:
    """Asks each server for which there is work.

    Args:
        films: ids of those that this run works on; when None they are not known yet, and a server that has finished
            some of the storage's films with these settings is left alone.

    Raises:
        ServersError: for those that don't answer, refuse the key or don't have the model.
    """
    problems = []
    for stage in CURATION:
        for setting, backend in zip(stage.settings, stage.arguments(settings), strict=True):
            if isinstance(backend, (OpenAiConfig, OpenAiWriterConfig)) and unfinished(stage, settings, storage, films):
                try:
                    probe(backend.server)
                except ServerError as error:
                    problems.append(f"{setting}.server: {error}")
    if problems:
        raise ServersError("\n".join(problems))
