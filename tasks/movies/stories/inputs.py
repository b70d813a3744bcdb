"""Checks the pictures and music of a story before anything is made from them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from models import face
from models.face import FaceConfig
from models.face.bank import medoid
from storage.decoding.pictures import Pixels
from storage.errors import ConfigError, FilmError
from storage.movies.mix import check_track
from storage.printable import printable
from storage.remote import fetched, read_bytes
from storage.root import Storage
from storage.stories import photographs
from tasks.consent import Consent
from tasks.movies.stories.places import movie_place, place
from tasks.movies.stories.plan import Plan


class Faces:
    """Embeds the faces of people in photographs; models are loaded at the first call."""

    def __init__(self, config: FaceConfig) -> None:
        self._config = config
        self._known: dict[tuple[str, ...], NDArray[np.float32]] = {}

    def of(self, who: str, files: Mapping[str, str]) -> NDArray[np.float32]:
        """The embedding of a person's face: the most typical one of the largest faces in each photograph.

        Args:
            files: hash -> path of the photographs.

        Raises:
            ConfigError: a photograph is not a picture, none shows a face, the person has not consented, or
                `face.consent.folder` can't be used.
            FilmError: a file is missing or can't be reached.
        """
        key = tuple(files)
        if key not in self._known:
            self._known[key] = self._found(who, list(files.values()))
        return self._known[key]

    def _found(self, who: str, files: Sequence[str]) -> NDArray[np.float32]:
        found = [self._embedder.faces([read(file)])[0] for file in files]
        faces = [faces[0].embedding for faces in found if faces and faces[0].embedding is not None]
        if not faces:
            raise ConfigError(
                f"no face is found in {', '.join(map(repr, files))}: give {who!r} a picture that shows one larger"
            )
        for one in faces:
            self._consent.require(one, f"a photograph of {who!r}")
        return faces[medoid(np.stack(faces))]

    @cached_property
    def _embedder(self) -> face.FaceEmbedder:
        return face.build(self._config)

    @cached_property
    def _consent(self) -> Consent:
        return Consent(self._config, self._embedder)


def read(file: str) -> Pixels:
    """A picture by path or URI.

    Raises:
        ConfigError: the file is not a picture, or the picture is too small or too large.
        FilmError: the file is missing or can't be reached.
    """
    return photographs.decoded(read_bytes(file), printable(file))


def faults(plan: Plan, files: Mapping[str, str], faces: Faces, storage: Storage) -> Iterator[str]:
    """Yields the reasons why pictures or music of a story can't be used.

    Files are not read again if the storage already has the scripts, or the movie, made from them.

    Args:
        files: hash -> path.
    """
    story = plan.story
    if not storage.exists(place(("scripts", plan.key))):
        for one in (*story.places, *story.props):
            for name in one.pictures:
                yield from _said(read, files[plan.pictures[name]])
        for one in (one for one in story.cast if one.pictures):
            mine = {plan.pictures[name]: files[plan.pictures[name]] for name in one.pictures}
            bad = [said for file in mine.values() for said in _said(read, file)]
            yield from bad or _said(faces.of, one.name, mine)
    if story.music and plan.settings.sound.music and not storage.exists(movie_place(plan)):
        yield from _said(_listen, files[plan.pictures[story.music]])


def _listen(file: str) -> None:
    with fetched(file) as path:
        check_track(path)


def _said(look: Callable[..., object], *arguments: object) -> Iterator[str]:
    try:
        look(*arguments)
    except FilmError as error:
        yield error.detail
    except ConfigError as error:
        yield str(error)
