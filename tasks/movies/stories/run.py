"""Renders stories: plans them, then makes their pieces in pools that work in parallel.

A story that fails does not stop the others; its outcome gives the reason. After a run was stopped or killed, the next
run makes the missing pieces.
"""

import time
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

from storage.root import Storage
from tasks.cluster import ClusterConfig
from tasks.movies.stories import board, inputs, places, work
from tasks.movies.stories.inputs import Faces
from tasks.movies.stories.places import movie_place, page_place
from tasks.movies.stories.plan import STAGES, Plan, Settings, missing
from tasks.movies.stories.prepare import AS_TOLD, Order, Planned, prepare
from tasks.movies.stories.rates import STARTING, Rates
from tasks.movies.stories.stream import ActorPool, Answer, Name, Piece, stream
from tasks.progress import Progress

STAGE = "stories"

State = Literal["done", "failed", "unfinished", "planned"]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a story.

    Attributes:
        made: pieces of each stage that this run made, or would make.
        kept: pieces of each stage that existed before.
        error: why it failed.
        movie, page: their URLs.
        notes: deviations of the movie from the story.
    """

    name: str
    title: str
    state: State
    made: Mapping[str, int] = field(default_factory=dict)
    kept: Mapping[str, int] = field(default_factory=dict)
    error: str = ""
    movie: str = ""
    page: str = ""
    notes: Sequence[str] = ()


@dataclass(frozen=True)
class Estimate:
    """The pieces that a run will make, and its hours; None if a stage was never measured in this storage."""

    pieces: Mapping[str, int]
    hours: float | None
    price: float | None


def pools(settings: Settings, files: Mapping[str, str], storage: Storage, cluster: ClusterConfig) -> list[ActorPool]:
    """Two pools that share slots and GPUs evenly: one draws keyframes, the other animates them.

    More pools would load the same libraries more often without getting more GPUs.
    """
    draw = {
        "scripts": partial(work.scripts, settings, dict(files), storage),
        "tokens": partial(work.tokens, settings, storage),
        "keyframes": partial(work.keyframes, settings, storage),
    }
    film = {
        "enlarged": partial(work.enlarged, settings, storage),
        "clips": partial(work.clips, settings, storage),
        "movies": partial(work.movies, dict(files), storage),
        "pages": partial(work.pages, dict(files), storage),
    }
    slots = min(1.0, cluster.cpus / (2 * cluster.workers))
    gpus = cluster.gpus_a_worker / 2
    return [
        ActorPool(draw, cluster.workers, settings.stories.batch, slots, gpus),
        ActorPool(film, cluster.workers, 1, slots, gpus),
    ]


def estimate(stories: Sequence[Planned], settings: Settings, storage: Storage, cluster: ClusterConfig) -> Estimate:
    """The estimate for the missing pieces of some stories."""
    pieces = _missing(stories, storage)
    hours = Rates.load(storage).hours(pieces, settings, pools(settings, {}, storage, cluster))
    price = settings.stories.price
    return Estimate(_counts(pieces), hours, None if hours is None or price is None else hours * price)


def prepared(
    sources: Sequence[str], settings: Settings, storage: Storage, order: Order = AS_TOLD
) -> tuple[list[Planned], list[Outcome]]:
    """The stories that can be rendered, and failed outcomes of the others."""
    stories: list[Planned] = []
    failed: list[Outcome] = []
    for source in sources:
        try:
            stories.append(prepare(source, settings, storage, order))
        except ValueError as error:  # among them ConfigError
            failed.append(Outcome(source, "", "failed", error=str(error)))
    return stories, failed


def usable(stories: Sequence[Planned], settings: Settings, storage: Storage) -> tuple[list[Planned], list[Outcome]]:
    """The stories whose pictures and music can be used, and failed outcomes of the others."""
    faces = Faces(settings.face)
    good: list[Planned] = []
    failed: list[Outcome] = []
    for one in stories:
        if faults := list(inputs.faults(one.plan, one.files, faces, storage)):
            failed.append(Outcome(one.name, one.plan.story.title, "failed", error="\n".join(faults)))
        else:
            good.append(one)
    return good, failed


def look(stories: Sequence[Planned], storage: Storage) -> list[Outcome]:
    """The pieces that would be made of each story, without making them."""
    there = places.there(storage)
    return [_outcome(one, _lacks(one.plan, storage, there), {}, there, False, storage) for one in stories]


def run(
    stories: Sequence[Planned],
    settings: Settings,
    storage: Storage,
    cluster: ClusterConfig,
    progress: Progress,
    hours: float | None = None,
) -> list[Outcome]:
    """Makes the missing pieces of all stories, in the order of the stories.

    Args:
        hours: after which no piece is started.

    Raises:
        StageError: a model cannot be loaded.
        StorageError: the storage cannot be read or written.
    """
    began = time.monotonic()
    until = float("inf") if hours is None else began + 3600 * hours
    there = places.there(storage)
    lacks = [_lacks(one.plan, storage, there) for one in stories]
    pending = {piece.name: piece for pieces in lacks for piece in pieces}
    files = {key: file for one in stories for key, file in one.files.items()}
    answers: dict[Name, Answer] = {}
    start = 0.0
    progress(STAGE, 0, len(pending))
    try:
        for answer in stream(pending.values(), pools(settings, files, storage, cluster), cluster, until):
            start = start or time.monotonic() - began - answer.seconds
            answers[answer.piece.name] = answer
            progress(STAGE, len(answers), len(pending))
    finally:
        if made := [answer for answer in answers.values() if not answer.failure]:
            Rates.load(storage).learnt([Answer(STARTING, start), *made], settings).save(storage)
    pairs = zip(stories, lacks, strict=True)
    return [_outcome(one, mine, answers, there, True, storage) for one, mine in pairs]


def _outcome(
    one: Planned, lacks: Sequence[Piece], answers: Mapping[Name, Answer], there: set[Name], run: bool, storage: Storage
) -> Outcome:
    """The outcome of a story that lacked some pieces before.

    Args:
        there: pieces that existed before.
        run: whether the missing pieces were to be made.
    """
    made = lacks if not run else [one for one in lacks if one.name in answers and not answers[one.name].failure]
    kept = _counts({piece.name: piece for piece in one.plan.pieces() if piece.name in there}.values())
    outcome = Outcome(one.name, one.plan.story.title, "done", _counts(made), kept)
    failures = [answers[piece.name].failure for piece in lacks if piece.name in answers]
    if any(failures):
        return replace(outcome, state="failed", error=next(filter(None, failures)))
    if lacks and not run:
        return replace(outcome, state="planned")
    if any(piece.name not in answers for piece in lacks):
        return replace(outcome, state="unfinished")
    movie, page = (storage.url(rel) for rel in (movie_place(one.plan), page_place(one.plan)))
    return replace(outcome, movie=movie, page=page, notes=places.notes(storage, one.plan))


def _missing(stories: Sequence[Planned], storage: Storage) -> list[Piece]:
    there = places.there(storage)
    return list({piece.name: piece for one in stories for piece in _lacks(one.plan, storage, there)}.values())


def _lacks(plan: Plan, storage: Storage, there: set[Name]) -> list[Piece]:
    movie = {plan.movie_name} if storage.exists(movie_place(plan)) else set()
    page = {("pages", plan.page)} if movie and board.is_there(plan, storage) else set()
    return missing(plan.pieces(), there | movie | page)


def _counts(pieces: Iterable[Piece]) -> dict[str, int]:
    counts = Counter(piece.stage for piece in pieces)
    return {stage: counts[stage] for stage in STAGES if counts[stage]}
