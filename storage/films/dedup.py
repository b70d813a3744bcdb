"""Of the films that show the same pictures one is used: the best that can be."""

from collections.abc import Sequence, Set

from storage.films.films import FilmSource
from storage.films.perceptual import lost_pictures, near_duplicates
from storage.tables.rejects import Reject


def without_copies(
    films: Sequence[FilmSource], held: Set[str] = frozenset(), lost: Set[str] = frozenset()
) -> tuple[list[FilmSource], list[Reject]]:
    """The films without those whose pictures a better one shows, and "near_duplicate" for each of these.

    One that is not lost is better, then one that is held already, so that a later copy never makes work be done again;
    then a whole one, then one of more pixels, of more bytes, and the one that was given first. What is not said of the
    film that stays it inherits from its copies, the better first.

    Args:
        held: ids of films that the storage has keyframes of.
        lost: ids of films that turned out to be of no use; they have their reject, and get no other.
    """
    ranked = sorted(films, key=lambda film: (film.film_id in lost, film.film_id not in held, *_worse(film)))
    better = near_duplicates([film.phash for film in ranked])
    for copy, kept in sorted(better.items()):
        ranked[kept] = ranked[kept].heir(ranked[copy])
    near = {ranked[copy].film_id: ranked[kept] for copy, kept in better.items()}
    rejects = [
        _near_duplicate(film, near[film.film_id]) for film in films if film.film_id in near and film.film_id not in lost
    ]
    now = {film.film_id: film for film in ranked}
    return [now[film.film_id] for film in films if film.film_id not in near], rejects


def _worse(film: FilmSource) -> tuple[int, int, int]:
    return lost_pictures(film.phash), -film.width * film.height, -film.size


def _near_duplicate(film: FilmSource, kept: FilmSource) -> Reject:
    better = _worse(film) < _worse(kept)
    cure = f": to keep this one instead, run without {kept.address!r}" if better else ""
    why = "the storage already holds" if better else "is kept"
    detail = (
        f"{_told(film)} shows the same pictures as {_told(kept)}, which {why}"
        f"{cure}{film.unheard(kept)}; if they are two films, set ingest.near_duplicates=false"
    )
    return Reject(source=film.address, reason="near_duplicate", detail=detail, film_id=film.film_id)


def _told(film: FilmSource) -> str:
    damaged = ", damaged" if lost_pictures(film.phash) else ""
    return f"{film.address!r} ({film.width}x{film.height}, {film.size} bytes{damaged})"
