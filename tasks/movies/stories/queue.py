"""A folder of stories as a queue. Outcomes are stored by the story's content, so each story is rendered once.

Stories are rendered in the order of their names. An edited story, or one with another photograph, counts as new. A
failed story is not retried until it changes; one that ran out of time continues in the next run.
"""

import hashlib
from collections.abc import Sequence

from pydantic import BaseModel

from storage.errors import FilmError
from storage.fingerprint import fingerprint
from storage.remote import is_remote, listed, local_path, read_bytes
from storage.root import Storage
from tasks.movies.stories.prepare import Planned, is_story
from tasks.movies.stories.run import Outcome, State

_FINAL: tuple[State, ...] = ("done", "failed")


class Entry(BaseModel, frozen=True, extra="forbid"):
    """The outcome of a story."""

    source: str
    title: str
    state: State
    error: str = ""
    movie: str = ""


def sources(folder: str) -> list[str]:
    """The story files directly in a folder (a path or URI), sorted by name.

    Raises:
        FilmError: the folder does not exist or cannot be read.
    """
    if is_remote(folder):
        depth = folder.partition("?")[0].rstrip("/").count("/") + 1
        found = [name for name in listed(folder) if name.partition("?")[0].count("/") == depth]
    else:
        try:
            found = [str(path) for path in local_path(folder).iterdir() if path.is_file()]
        except OSError as error:
            raise FilmError("missing", f"stories.folder={folder!r} can't be read: {error.strerror}") from error
    return sorted(name for name in found if is_story(name.partition("?")[0]))


def key(story: Planned | Outcome) -> str:
    """A hash of the story's content, or of its bytes if it cannot be read."""
    if isinstance(story, Planned):
        return fingerprint("queued", story.plan.story, story.plan.pictures)
    try:
        return fingerprint("queued", hashlib.sha256(read_bytes(story.name)).hexdigest(), story.error)
    except FilmError as error:
        return fingerprint("queued", story.name, str(error))


def new(stories: Sequence[Planned], failed: Sequence[Outcome], storage: Storage) -> tuple[list[Planned], list[Outcome]]:
    """The stories that the queue has not finished."""
    known = {name.removesuffix(".json") for name in storage.list("stories/queue")}
    return [one for one in stories if key(one) not in known], [one for one in failed if key(one) not in known]


def record(stories: Sequence[Planned], outcomes: Sequence[Outcome], storage: Storage) -> None:
    """Stores the outcomes of finished stories.

    Args:
        stories: the planned ones; other outcomes are of files that could not be read.
    """
    planned = {one.name: one for one in stories}
    for one in (one for one in outcomes if one.state in _FINAL):
        entry = Entry(source=one.name, title=one.title, state=one.state, error=one.error, movie=one.movie)
        text = entry.model_dump_json(indent=1)
        storage.write_bytes(f"stories/queue/{key(planned.get(one.name, one))}.json", text.encode())
