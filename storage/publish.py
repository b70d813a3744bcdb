"""The newest movie's files, copied to the storage root where people look for them."""

import re

from storage.errors import StorageError
from storage.root import Storage

PUBLISHED = ("movie.mp4", "storyboard.html", "metrics.json")  # in this order: the last one makes a movie count
_FURTHER = re.compile(r"movie-\d+\.mp4")


def publish(storage: Storage, movie_id: str) -> list[str]:
    """Copies movies/<movie_id>/{movie.mp4, storyboard.html, metrics.json} to the root, each whole or not at all.

    The movies of further films (movie-2.mp4 and on) go with them, and those of an earlier set leave the root.

    Returns:
        URLs of the three.

    Raises:
        StorageError: when one of them is not there, before any is copied.
    """
    if lacking := [name for name in PUBLISHED if not storage.exists(f"movies/{movie_id}/{name}")]:
        raise StorageError(f"cannot publish {storage.url(f'movies/{movie_id}')!r}: it lacks {', '.join(lacking)}")
    further = [name for name in storage.list(f"movies/{movie_id}") if _FURTHER.fullmatch(name)]
    for name in set(filter(_FURTHER.fullmatch, storage.list(""))) - set(further):
        storage.delete(name)
    for name in (*further, *PUBLISHED):
        with storage.local(f"movies/{movie_id}/{name}") as file:
            storage.upload(file, name)
    return [storage.url(name) for name in PUBLISHED]


def movies(storage: Storage) -> list[str]:
    """Ids of the complete movies, sorted."""
    return [name for name in storage.list("movies") if storage.exists(f"movies/{name}/{PUBLISHED[-1]}")]
