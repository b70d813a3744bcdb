"""The takes of a story's shots, and the chosen ones; stored under the story's title.

Takes are stored by the content of their shot. So they stay valid when earlier shots are inserted or removed, and an
edited shot starts again with its first take.
"""

from collections.abc import Collection, Mapping

from pydantic import BaseModel, Field, ValidationError

from storage.errors import ConfigError, StorageError
from storage.fingerprint import fingerprint
from storage.root import Storage
from tasks.movies.stories.plan import Plan, Takes

_FOLDER = "stories/takes"


class StoredTakes(BaseModel, frozen=True, extra="forbid"):
    """The file: takes by shot id, and the path of the newest movie."""

    title: str
    movie: str = ""
    shots: dict[str, Takes] = Field(default_factory=dict)


def load(storage: Storage, title: str) -> dict[str, Takes]:
    """The takes of the story with that title, including those of shots that it no longer has."""
    return _stored(storage, _rel(title), title).shots


def save(storage: Storage, title: str, takes: Mapping[str, Takes], movie: str = "") -> None:
    """Stores some takes in addition to those of other shots; writes nothing if nothing changes.

    Args:
        movie: the story's newest movie, as a path in the storage; "" keeps the stored one.
    """
    known = _stored(storage, _rel(title), title)
    stored = StoredTakes(title=title, movie=movie or known.movie, shots={**known.shots, **takes})
    if stored != known:
        storage.write_bytes(_rel(title), stored.model_dump_json(indent=1).encode())


def newest(storage: Storage) -> dict[str, str]:
    """The newest movie of each story -> the story's title."""
    every = (_stored(storage, f"{_FOLDER}/{name}", "") for name in storage.list(_FOLDER))
    return {stored.movie: stored.title for stored in every if stored.movie}


def _stored(storage: Storage, rel: str, title: str) -> StoredTakes:
    if not storage.exists(rel):
        return StoredTakes(title=title)
    try:
        return StoredTakes.model_validate_json(storage.read_bytes(rel))
    except ValidationError as error:
        raise StorageError(f"cannot read {storage.url(rel)!r}: no run wrote it so; move it away") from error


def redone(plan: Plan, numbers: Collection[int], seed: int | None) -> dict[str, Takes]:
    """Adds and selects a new take of some shots; if a take with this seed exists, it is only selected.

    Args:
        numbers: of the shots.
        seed: of the new take; None for an unused one.

    Raises:
        ConfigError: no shot has such a number.
    """
    require(plan, numbers)
    made: dict[str, Takes] = {}
    for shot in (shot for shot in plan.shots if shot.placed.number in numbers):
        before, own = shot.takes, _own_seed(plan, shot.placed.shot.seed)
        every = (own, *before.seeds)
        wanted = max(every) + 1 if seed is None else seed
        seeds = before.seeds if wanted in every else (*before.seeds, wanted)
        made[shot.id] = Takes(seeds=seeds, chosen=(own, *seeds).index(wanted) + 1)
    return made


def picked(plan: Plan, chosen: Mapping[int, int]) -> dict[str, Takes]:
    """Selects existing takes: number of the shot -> number of the take.

    Raises:
        ConfigError: a shot or a take does not exist.
    """
    require(plan, chosen)
    made: dict[str, Takes] = {}
    for shot in (shot for shot in plan.shots if shot.placed.number in chosen):
        take, count = chosen[shot.placed.number], len(shot.takes.seeds) + 1
        if not 1 <= take <= count:
            raise ConfigError(
                f"shot {shot.placed.number} of {plan.story.title!r} has no take {take}: it has 1 to {count}; "
                f"--redo {shot.placed.number} makes another"
            )
        made[shot.id] = shot.takes.model_copy(update={"chosen": take})
    return made


def listed(plan: Plan) -> list[tuple[int, int, int, bool]]:
    """(shot, take, seed, whether the movie shows it) for all takes, in the order of the shots."""
    return [
        (shot.placed.number, number, seed, number == shot.takes.chosen)
        for shot in plan.shots
        for number, seed in enumerate((_own_seed(plan, shot.placed.shot.seed), *shot.takes.seeds), start=1)
    ]


def _own_seed(plan: Plan, seed: int | None) -> int:
    return plan.story.seed if seed is None else seed


def require(plan: Plan, numbers: Collection[int]) -> None:
    """Raises a ConfigError if a number is not that of a shot."""
    known = {shot.placed.number for shot in plan.shots}
    if lost := sorted(set(numbers) - known):
        raise ConfigError(f"{plan.story.title!r} has no shot {lost[0]}: its shots are 1 to {max(known)}")


def _rel(title: str) -> str:
    return f"{_FOLDER}/{fingerprint('takes', title)}.json"
