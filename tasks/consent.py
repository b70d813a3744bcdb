"""Asks of a face whether it may be used: face.consent names a folder with pictures of the people who agreed."""

import numpy as np
from numpy.typing import NDArray

from models.face import FaceConfig, FaceEmbedder
from models.face.cluster import distances
from storage.errors import ConfigError
from storage.stories.photographs import photograph

REFUSED = "no_consent"
"""Why such a face is not in the face bank."""


class Consent:
    """The faces of those who agreed, as an embedder knows them.

    Raises:
        ConfigError: for a folder that can't be read or holds no picture, and a picture without a face.
    """

    def __init__(self, config: FaceConfig, embedder: FaceEmbedder) -> None:
        self._clustering, folder = config.clustering, config.consent.folder
        self._known_NE: NDArray[np.float32] | None = None
        if not folder:
            return
        try:
            pictures = config.consent.pictures
        except OSError as error:
            raise ConfigError(f"face.consent.folder={folder!r} can't be read: {error.strerror}") from None
        known = []
        for path in pictures:
            (found,) = embedder.faces([photograph(path)])
            if not found or found[0].embedding is None:
                raise ConfigError(f"face.consent.folder: no face is found in {str(path)!r}: give a larger one of it")
            known.append(found[0].embedding)
        if not known:
            raise ConfigError(f"face.consent.folder={folder!r} holds no pictures: give one of each who agreed")
        self._known_NE = np.stack(known)

    def given(self, embedding: NDArray[np.float32] | None) -> bool:
        """Whether a face is like one of those who agreed; always where no folder is named."""
        if self._known_NE is None:
            return True
        if embedding is None:
            return False
        apart_1N = distances(np.asarray(embedding, np.float32)[None], self._known_NE, self._clustering)
        return bool(apart_1N.min() < self._clustering.threshold)

    def require(self, embedding: NDArray[np.float32], shown: str) -> None:
        """Raises ConfigError, which quotes `shown`, for the face of somebody who has not agreed."""
        if not self.given(embedding):
            raise ConfigError(
                f"the face in {shown} is like none of those in face.consent.folder: ask the person, and add a picture "
                "of them there"
            )
