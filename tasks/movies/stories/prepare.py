"""Reads story files, hashes pictures and looks up takes, so that errors are found before anything is rendered."""

import hashlib
from collections.abc import Mapping
from dataclasses import astuple, dataclass, field
from pathlib import PurePosixPath

from storage import checkpoints
from storage import snapshot as snapshots
from storage.errors import ConfigError, FilmError
from storage.printable import printable
from storage.remote import is_remote, local_path, read_bytes, split
from storage.root import Storage
from storage.snapshot import Part
from storage.stories import files as story_files
from storage.stories import reading
from storage.stories.story import Story
from storage.tables.tables import Tables
from tasks import dataset
from tasks.movies.stories import takes
from tasks.movies.stories.plan import Models, Past, Plan, Settings, StoriesConfig, Takes
from tasks.movies.stories.planner import plan
from tasks.training import tokens
from tasks.training.frozen import FrozenConfig
from tasks.training.pretrained import pretrained, pretrained_places

_CURE = "train them there with `moviedreamer run studio`, or name another --storage"


@dataclass(frozen=True)
class Order:
    """What the command asks for; shots are given by number.

    Attributes:
        only: shots that the movie shows; empty for all.
        redo: shots that get a new take, with `seed` or, if that is None, with an unused seed.
        take: shot -> number of the take to show.
        continues: film that the stories go on from, in place of their own `continue`.
    """

    only: frozenset[int] = frozenset()
    redo: frozenset[int] = frozenset()
    seed: int | None = None
    take: Mapping[int, int] = field(default_factory=dict)
    continues: str = ""


AS_TOLD = Order()


@dataclass(frozen=True)
class Planned:
    """A story that is ready to be rendered.

    Attributes:
        name: of its file, as given by the user.
        files: hash -> path of its pictures.
        takes: new takes to store when it is rendered.
    """

    name: str
    plan: Plan
    files: Mapping[str, str] = field(default_factory=dict)
    takes: Mapping[str, Takes] = field(default_factory=dict)


def models(config: StoriesConfig, storage: Storage, frozen: FrozenConfig, autoregressive: str) -> Models:
    """The given models, otherwise the newest ones of the storage, otherwise the weights that trainings start from.

    Writes nothing; `keep` copies these weights into the storage.

    Args:
        frozen, autoregressive: as in tasks.training.pretrained.

    Raises:
        ConfigError: a model is missing.
    """
    given = {name: getattr(config, name) for name in Models.__annotations__}
    found = {name: folder or checkpoints.newest(storage, name) for name, folder in given.items()}
    if not all(found.values()) and not any(given.values()) and frozen.init and autoregressive:
        return Models(*pretrained_places(frozen, autoregressive))
    for name, folder in found.items():
        if not folder or not storage.exists(f"{folder}/{checkpoints.MARKER}"):
            what = f"no model at stories.{name}={folder!r}" if given[name] else f"no trained {name} model"
            raise ConfigError(f"there is {what} in {storage.base!r}: {_CURE}")
    return Models(**{name: folder for name, folder in found.items() if folder})


def keep(models: Models, frozen: FrozenConfig, autoregressive: str, storage: Storage) -> None:
    """Copies the weights that trainings start from into the storage, if `models` found no others."""
    if not all(storage.exists(f"{folder}/{checkpoints.MARKER}") for folder in astuple(models)):
        pretrained(frozen, autoregressive, storage)


def prepare(source: str, settings: Settings, storage: Storage, order: Order = AS_TOLD) -> Planned:
    """The plan of a story file, a path or URI.

    Raises:
        ConfigError: the file is not a story, or a picture, film, shot or take does not exist.
    """
    story = _read(source)
    story = story.model_copy(update={"continues": order.continues}) if order.continues else story
    places = {name: _beside(source, name) for name in _names(story)}
    pictures = {name: _hash(place) for name, place in places.items()}
    past = _past(story, settings, storage)
    known = takes.load(storage, story.title)
    made = plan(story, settings, pictures, known, past)
    changed = {**takes.redone(made, order.redo, order.seed), **takes.picked(made, order.take)}
    if changed:
        made = plan(story, settings, pictures, {**known, **changed}, past)
    if order.only:
        takes.require(made, order.only)
        made = made.only(order.only)
    return Planned(source, made, {pictures[name]: place for name, place in places.items()}, changed)


def is_story(name: str) -> bool:
    """Whether a file is a story, by its extension."""
    return PurePosixPath(name).suffix.lower() in reading.ENDINGS


def _read(source: str) -> Story:
    if not is_remote(source):
        return reading.read(local_path(source))
    try:
        return reading.parse(read_bytes(source), split(source)[1])
    except FilmError as error:
        raise ConfigError(error.detail) from error


def _names(story: Story) -> list[str]:
    """Files that the story names, without duplicates."""
    named = (*story.cast, *story.places, *story.props)
    return list(
        dict.fromkeys([file for one in named for file in one.pictures] + ([story.music] if story.music else []))
    )


def _beside(source: str, name: str) -> str:
    """The path or URI of a file that a story names."""
    if not is_remote(source):
        return str(story_files.beside(local_path(source).parent, name))
    if said := story_files.inside(name):
        raise ConfigError(said)
    scheme, place, options = split(source)
    place = f"{place.rpartition('/')[0]}/{name}"
    found = f"{scheme}://{place}" + (f"?{options}" if options else "")
    if split(found) != (scheme, place, options):
        raise ConfigError(f"{printable(name)!r} ends like the options of an object store: rename the file")
    return found


def _hash(place: str) -> str:
    try:
        return hashlib.sha256(read_bytes(place)).hexdigest()
    except FilmError as error:
        raise ConfigError(error.detail) from error


def _past(story: Story, settings: Settings, storage: Storage) -> Past | None:
    """The last keyframes of the film that the story continues."""
    if not story.continues:
        return None
    if not snapshots.ids(storage):
        raise ConfigError(f"{story.title!r} continues {story.continues!r}, and {storage.base!r} has no films: {_CURE}")
    snapshot = snapshots.load(storage, snapshots.newest(storage))
    try:
        film = dataset.film_called(storage, snapshot, story.continues)
    except ConfigError as error:
        raise ConfigError(f"{story.title!r} continues a film, but {error}") from error
    keys = tokens.STAGE.keys([settings.frozen, snapshot, settings.models.autoencoder], snapshot.work)
    if (film.film_id, keys.get(film.film_id, "")) not in Tables(storage).done("tokens"):
        raise ConfigError(
            f"{film.name!r} has no tokens of {settings.models.autoencoder!r}: run train_autoregressive with it first"
        )
    part: Part = "test" if film.test else "train"
    row_ids = dataset.of_film(dataset.feature_rows(storage, snapshot), film, part).row_ids
    count = settings.render.generation.window - 1
    return Past(snapshot.id, film.film_id, tuple(row_ids[-count:]), keys[film.film_id])
