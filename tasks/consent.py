"""Checks whether a face may be used: face.consent names a folder with pictures of the people who agreed."""

import numpy as np
from numpy.typing import NDArray

from models.face import FaceConfig, FaceEmbedder
from models.face.cluster import distances
from storage.errors import ConfigError
from storage.stories.photographs import photograph

REFUSED = "no_consent"
"""The reason for the rejection of a face."""


class Consent:
    """The embeddings of the people who agreed.

    Raises:
        ConfigError: the folder can't be read or holds no picture, or a picture shows no face.
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
                raise ConfigError(
                    f"face.consent.folder: no face is found in {str(path)!r}: give a picture with a larger face"
                )
            known.append(found[0].embedding)
        if not known:
            raise ConfigError(f"face.consent.folder={folder!r} holds no pictures: add one of each person who agreed")
        self._known_NE = np.stack(known)

    def given(self, embedding: NDArray[np.float32] | None) -> bool:
        """Whether a face is similar to that of a person who agreed; always true without a folder."""
        if self._known_NE is None:
            return True
        if embedding is None:
            return False
        apart_1N = distances(np.asarray(embedding, np.float32)[None], self._known_NE, self._clustering)
        return bool(apart_1N.min() < self._clustering.threshold)

    def require(self, embedding: NDArray[np.float32], shown: str) -> None:
        """Raises ConfigError, which quotes `shown`, for the face of a person who has not agreed."""
        if not self.given(embedding):
            raise ConfigError(
                f"the face in {shown} is not similar to any in face.consent.folder: ask the person, and add their "
                "picture to the folder"
            )
