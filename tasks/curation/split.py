"""The split into training and held-out keyframes, by halves of films or by whole movies, and its audit."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Annotated, Literal, Self

from pydantic import BaseModel, Field, model_validator

from storage.errors import ConfigError, MovieDreamerError
from storage.films.passages import Passage
from storage.snapshot import Snapshot, SnapshotFilm, Span

_NAMED = 5  # leaks that a message names
_FAR = 1 / 3  # largest deviation from the requested share, relative to it


class HalvesConfig(BaseModel, frozen=True, extra="forbid"):
    """The beginning of each film is for training, the rest is held out. For few films."""

    kind: Literal["halves"] = "halves"
    train_fraction: float = Field(
        0.5, gt=0.0, lt=1.0, description="share of each film, from its beginning, for training"
    )


class FilmsConfig(BaseModel, frozen=True, extra="forbid"):
    """A movie, with all its files, is either for training or held out (section 4.1 of the paper, which holds out 100).

    Movies that share a passage (storage.films.passages) stay together too. Movies are drawn by the hash of their name.
    With a share, films added later do not move others, except for a movie that was moved to an empty side; with few
    movies the share is therefore met only approximately (see `far_off`). A number is always met, and films added later
    may replace others.
    """

    kind: Literal["films"] = "films"
    test: float = Field(0.1, gt=0.0, description="held-out movies: a number if at least 1, a share if below 1")
    seed: int = Field(0, description="seed of the draw")

    @model_validator(mode="after")
    def _counts_whole_movies(self) -> Self:
        if self.test >= 1 and self.test != int(self.test):
            raise ValueError(f"test={self.test}: a share below 1, or a whole number of movies")
        return self


SnapshotConfig = Annotated[HalvesConfig | FilmsConfig, Field(discriminator="kind")]


class FilmRow(BaseModel, frozen=True):
    """The split's input for a film; `seconds` are those of its keyframes, `looks` the number of usable hashes."""

    film_id: str
    title: str
    movie: str
    seconds: tuple[int, ...]
    looks: int


class Audit(BaseModel, frozen=True, extra="forbid"):
    """The result of an audit without leaks: counts of each side.

    Args:
        shared: pairs of films that share a passage, which is on one side.
        unseen: films whose pictures were not compared.
    """

    films: dict[str, int]
    movies: dict[str, int]
    shared: int
    unseen: int


class LeakError(MovieDreamerError):
    """Training data is also held out; the message names it."""


def split(config: SnapshotConfig, films: Sequence[FilmRow], shared: Sequence[Passage] = ()) -> tuple[SnapshotFilm, ...]:
    """The films in their order, each with its training and held-out seconds.

    Args:
        shared: passages of two of the films, which are held out together.

    Raises:
        ConfigError: there are fewer movies than the split needs.
    """
    match config:
        case HalvesConfig():
            return tuple(_halves(film, config.train_fraction) for film in films)
        case FilmsConfig():
            held_out = _drawn(config, _movies(films, shared))
            return tuple(_whole(film, film.film_id in held_out) for film in films)


def far_off(
    config: SnapshotConfig, snapshot: Snapshot, films: Sequence[FilmRow], shared: Sequence[Passage] = ()
) -> str:
    """A message if the held-out share of movies differs much from the requested one, otherwise ""."""
    if isinstance(config, HalvesConfig) or config.test >= 1:
        return ""
    movies, tested = _movies(films, shared), {film.film_id for film in snapshot.of_part("test")}
    there, held = set(movies), {name for name, film_ids in movies.items() if tested.intersection(film_ids)}
    share = len(held) / len(there)
    if abs(share - config.test) <= max(config.test * _FAR, 0.5 / len(there)):
        return ""
    nearest = min(max(round(config.test * len(there)), 1), len(there) - 1)
    cure = f"snapshot.test={nearest} holds out {nearest}" if len(held) != nearest else "no number is nearer"
    drawn = {movie for movie in there if _draw(config.seed, movie) < config.test}
    why = (
        "each movie is drawn on its own, so that films added later do not move it"
        if drawn & held and there - held - drawn
        else "the draw left one side empty, so one movie was moved there until more films come"
    )
    return (
        f"snapshot.test={config.test:g} holds out {len(held)} of {len(there)} movies, a share of {share:.2f}: {why}; "
        f"{cure}; with more films the share comes closer; films that share pictures count as one movie"
    )


def audit(snapshot: Snapshot, films: Sequence[FilmRow], shared: Sequence[Passage] = ()) -> Audit:
    """Checks that no film, movie, shared passage or keyframe is on both sides.

    With halves, each movie is on both sides by design; the other checks still hold.

    Raises:
        LeakError: something is on both sides; the message names it.
    """
    parts = {film.film_id: film for film in snapshot.films}
    leaks = [f"film {film.title!r} is there twice" for film in snapshot.films if parts[film.film_id] is not film]
    for film in parts.values():
        if film.train and film.test and film.train[0] <= film.test[1] and film.test[0] <= film.train[1]:
            leaks.append(f"{film.title!r} has the seconds {film.train} to learn from and {film.test} held out")
    sides: dict[str, dict[str, str]] = {"train": {}, "test": {}}
    for film in parts.values():
        for side in ("train", "test"):
            if getattr(film, side) is not None:
                sides[side].setdefault(film.movie or film.film_id, film.title)
    if snapshot.by_films:
        leaks += [
            f"movie {movie!r} is learnt from in {sides['train'][movie]!r} and held out in {sides['test'][movie]!r}"
            for movie in sorted(sides["train"].keys() & sides["test"].keys())
        ]
    known = [film for film in films if film.film_id in parts]
    together = [passage for passage in shared if passage.one in parts and passage.other in parts]
    leaks += [_passage_text(passage, parts) for passage in together if _leaks(passage, parts)]
    if leaks:
        more = f", and {len(leaks) - _NAMED} more" if len(leaks) > _NAMED else ""
        raise LeakError(
            f"snapshot {snapshot.id}: what is learnt from is also held out: {'; '.join(leaks[:_NAMED])}{more}; "
            "split by snapshot.kind=films, which keeps such films on one side, or leave one out: a near duplicate by "
            "dedup.remove=true, a film that shares a passage by not giving it"
        )
    counts = {side: sum(getattr(film, side) is not None for film in parts.values()) for side in sides}
    return Audit(
        films=counts,
        movies={side: len(movies) for side, movies in sides.items()},
        shared=len({(passage.one, passage.other) for passage in together}),
        unseen=sum(not film.looks for film in known),
    )


def _leaks(passage: Passage, parts: Mapping[str, SnapshotFilm]) -> bool:
    """Whether a second of it is for training in one film and held out in the other."""
    one, other = parts[passage.one], parts[passage.other]

    def meet(mine: Span | None, others: Span | None) -> bool:
        if mine is None or others is None:
            return False
        first, last = (second - passage.offset for second in others)
        return max(mine[0], first, passage.first) <= min(mine[1], last, passage.last)

    return meet(one.train, other.test) or meet(one.test, other.train)


def _passage_text(passage: Passage, parts: Mapping[str, SnapshotFilm]) -> str:
    how = " mirrored" if passage.mirrored else ""
    return (
        f"{parts[passage.other].title!r} shows from {passage.first + passage.offset} s to "
        f"{passage.last + passage.offset} s{how} what {parts[passage.one].title!r} shows from {passage.first} s to "
        f"{passage.last} s, on the other side"
    )


def _halves(film: FilmRow, fraction: float) -> SnapshotFilm:
    """The film with two halves, each with at least one keyframe."""
    seconds = film.seconds
    middle = min(max(round(len(seconds) * fraction), 1), len(seconds) - 1)
    return SnapshotFilm(
        film_id=film.film_id,
        title=film.title,
        movie=film.movie,
        train=(seconds[0], seconds[middle - 1]),
        test=(seconds[middle], seconds[-1]),
    )


def _whole(film: FilmRow, held_out: bool) -> SnapshotFilm:
    span = film.seconds[0], film.seconds[-1]
    return SnapshotFilm(
        film_id=film.film_id,
        title=film.title,
        movie=film.movie,
        train=None if held_out else span,
        test=span if held_out else None,
    )


def _movies(films: Sequence[FilmRow], shared: Sequence[Passage]) -> dict[str, list[str]]:
    """A movie's name -> its films; movies that share a passage count as one."""
    import networkx

    named = [film.movie or film.film_id for film in films]
    of_film = {film.film_id: name for film, name in zip(films, named, strict=True)}
    together = networkx.Graph()
    together.add_nodes_from(named)
    together.add_edges_from((of_film[passage.one], of_film[passage.other]) for passage in shared)
    name_of = {name: min(group) for group in networkx.connected_components(together) for name in group}
    movies: dict[str, list[str]] = defaultdict(list)
    for film, name in zip(films, named, strict=True):
        movies[name_of[name]].append(film.film_id)
    return movies


def _drawn(config: FilmsConfig, movies: Mapping[str, Sequence[str]]) -> set[str]:
    """The films of the held-out movies."""
    wanted, there = (int(config.test) if config.test >= 1 else 1), len(movies)
    if there <= wanted:
        raise ConfigError(
            f"snapshot.test={config.test:g} needs {wanted + 1} movies, one of them to learn from, but there "
            f"{'is' if there == 1 else 'are'} {there}: give more films, or split each with snapshot.kind=halves; films "
            "that share pictures count as one movie"
        )
    draws = {movie: _draw(config.seed, movie) for movie in movies}
    if config.test < 1:
        wanted = min(max(sum(draw < config.test for draw in draws.values()), 1), there - 1)
    held_out = sorted(movies, key=lambda movie: (draws[movie], movie))[:wanted]
    return {film_id for movie in held_out for film_id in movies[movie]}


def _draw(seed: int, movie: str) -> float:
    """A number in 0-1 that depends only on the seed and the movie."""
    return int(hashlib.sha256(f"{seed} {movie}".encode()).hexdigest()[:13], 16) / 16**13
