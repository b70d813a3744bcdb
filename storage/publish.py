"""Copies the newest movie's files to the storage root, where people look for them."""

from storage.errors import StorageError
from storage.layout import PUBLISHED, is_published
from storage.root import Storage


def publish(storage: Storage, movie_id: str) -> list[str]:
    """Copies movies/<movie_id>/{movie.mp4, storyboard.html, metrics.json} to the root, each whole or not at all.

    The movies of further films (movie-2.mp4 and on) go with them, and those of an earlier set leave the root. They
    belong together: where a file that no run made has the name of one of them, it stays, and none is copied.

    Returns:
        URLs of the three: at the root or, where that can't be, in the movie's folder.

    Raises:
        StorageError: when one of them is not there, before any is copied.
    """
    folder = f"movies/{movie_id}"
    if lacking := [name for name in PUBLISHED if not storage.exists(f"{folder}/{name}")]:
        raise StorageError(f"cannot publish {storage.url(folder)!r}: it lacks {', '.join(lacking)}")
    further = [name for name in storage.list(folder) if is_published(name) and name not in PUBLISHED]
    taken = in_the_way(storage, movie_id)
    for name in filter(is_published, storage.list("")):
        if taken or name not in (*further, *PUBLISHED):
            storage.delete(name)
    if taken:
        return [storage.url(f"{folder}/{name}") for name in PUBLISHED]
    for name in (*further, *PUBLISHED):
        with storage.local(f"{folder}/{name}") as file:
            storage.upload(file, name)
    return [storage.url(name) for name in PUBLISHED]


def in_the_way(storage: Storage, movie_id: str) -> list[str]:
    """Files at the root that no run made, or that were changed since, with the names of a movie's."""
    names = filter(is_published, storage.list(f"movies/{movie_id}"))
    return [name for name in names if storage.occupied(name) and not storage.record.made(name)]


def notes(storage: Storage, movie_id: str) -> list[str]:
    """A sentence for each file that is in the way: that it is left alone, and where the movie's own is."""
    return [
        f"{storage.url(name)!r} was not made by a run, or was changed since, and is left alone: this movie's is "
        f"{storage.url(f'movies/{movie_id}/{name}')!r}"
        for name in in_the_way(storage, movie_id)
    ]
