"""The servers that captions and scripts come from are asked before anything is decoded for them."""

from collections.abc import Collection

from flows.recipe import Recipe
from models.captioner import OpenAiConfig
from models.server import ServerError
from models.server.probe import probe
from models.writer import OpenAiWriterConfig
from storage.errors import MovieDreamerError
from storage.root import Storage
from tasks.curation.unfinished import unfinished


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
    identities = {
        "keyframes": settings.keyframes.identity(),
        "characters": settings.detector,
        "faces": settings.face,
        "captions": settings.captioner,
        "scripts": settings.writer,
    }
    problems = []
    for stage, setting, backend in (
        ("captions", "captioner.server", settings.captioner),
        ("scripts", "writer.server", settings.writer),
    ):
        if isinstance(backend, (OpenAiConfig, OpenAiWriterConfig)) and unfinished(stage, identities, storage, films):
            try:
                probe(backend.server)
            except ServerError as error:
                problems.append(f"{setting}: {error}")
    if problems:
        raise ServersError("\n".join(problems))
