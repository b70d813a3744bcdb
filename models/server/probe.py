"""A cheap check of a server before a long run: whether it answers and has the model."""

from collections.abc import Mapping
from typing import Any

from models.server import ServerConfig

PATIENCE = 10  # seconds


def probe(config: ServerConfig) -> None:
    """Asks for the list of models. A server without such a list is accepted.

    Raises:
        ServerError: the server does not answer, refuses the key, or does not list the model.
    """
    import httpx

    url, key = f"{config.base_url}/models", config.key()
    try:
        answer = httpx.get(url, headers={"Authorization": f"Bearer {key}"} if key else {}, timeout=PATIENCE)
    except (httpx.RequestError, httpx.InvalidURL) as error:
        raise config.error(url, f"{type(error).__name__} {error}".strip()) from error
    if answer.status_code in (401, 403):
        what = f"the key in the environment variable {config.key_variable!r}" if key else "a request without a key"
        raise config.error(url, f"HTTP {answer.status_code}, it refuses {what}")
    if answer.status_code >= 500:
        raise config.error(url, f"HTTP {answer.status_code}")
    names = _names(answer) if answer.status_code == 200 else []
    if names and config.model not in {name for full in names for name in (full, full.partition(":")[0])}:  # name:tag
        some = ", ".join(map(repr, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        raise config.error(url, f"it has no model {config.model!r}, but {some}")


def _names(answer: Any) -> list[str]:
    try:
        said = answer.json()
    except ValueError:
        return []
    models = said.get("data") if isinstance(said, Mapping) else None
    ids = [one.get("id") for one in models if isinstance(one, Mapping)] if isinstance(models, list) else []
    return [name for name in ids if isinstance(name, str)]
