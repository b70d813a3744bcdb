"""The face bank (Appendix C): looks up a character's face in another frame.

Otherwise the autoregressive model would copy the face of its target ("face embedding randomization", §3.4).

Shapes: N faces of a film, F of a character, E numbers per embedding.
"""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

import numpy as np
from numpy.typing import NDArray

_TOGETHER = 512  # faces per block of distances


def medoid(embeddings_FE: NDArray[np.float32]) -> int:
    """Index of the face that is nearest to all others."""
    faces_FE = embeddings_FE.astype(np.float64)
    squares_F = (faces_FE**2).sum(1)
    apart = []
    for start in range(0, len(faces_FE), _TOGETHER):
        some = slice(start, start + _TOGETHER)
        squares_GF = squares_F[some, None] + squares_F - 2 * faces_FE[some] @ faces_FE.T
        apart.append(np.sqrt(np.maximum(squares_GF, 0.0)).sum(1))
    return int(np.concatenate(apart).argmin())


@dataclass(frozen=True)
class Others(Sequence[NDArray[np.float32]]):
    """The embeddings [E] of a character's faces outside one frame, looked up lazily.

    Args:
        places_F: indices of all faces of the character.
        own: sorted positions in `places_F` of the frame's faces.
    """

    embeddings_NE: NDArray[np.float32]
    places_F: Sequence[int]
    own: Sequence[int]

    def __len__(self) -> int:
        return len(self.places_F) - len(self.own)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.float32]: ...
    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.float32]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[np.float32] | list[NDArray[np.float32]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        place = range(len(self))[index]
        for own in self.own:
            place += place >= own
        face_E: NDArray[np.float32] = self.embeddings_NE[self.places_F[place]]
        return face_E


class FaceBank:
    """All faces of a film with their character from clustering; -1 marks a face without a similar one."""

    def __init__(
        self,
        face_ids: Sequence[str],
        row_ids: Sequence[str],
        characters: Sequence[int],
        embeddings_NE: NDArray[np.float32],
    ) -> None:
        sizes = (len(face_ids), len(row_ids), len(characters), len(embeddings_NE))
        if len(set(sizes)) != 1:
            raise ValueError(f"a bank needs one row id, character and embedding for each face id, got {sizes}")
        if len(set(face_ids)) != len(face_ids):
            twice = [face for face, n in Counter(face_ids).items() if n > 1]
            raise ValueError(f"face ids must be unique, got {twice[0]!r} more than once")
        self.face_ids = tuple(face_ids)
        self.row_ids = tuple(row_ids)
        self.characters = tuple(int(character) for character in characters)
        self.embeddings_NE = embeddings_NE
        faces_of = defaultdict(list)
        for index in sorted(range(len(self.face_ids)), key=self.face_ids.__getitem__):
            if self.characters[index] >= 0:
                faces_of[self.characters[index]].append(index)
        self._faces_of = dict(faces_of)
        self._own: dict[tuple[int, str], list[int]] = defaultdict(list)
        for character, faces in self._faces_of.items():
            for place, face in enumerate(faces):
                self._own[character, self.row_ids[face]].append(place)
        self._typical: dict[int, int] = {}

    def others(self, character: int, not_row: str) -> list[int]:
        """All faces of `character` in frames other than `not_row`, sorted by id; none for -1 and unknown characters."""
        return [index for index in self._faces_of.get(character, ()) if self.row_ids[index] != not_row]

    def choices(self, character: int, not_row: str) -> Others:
        """Their embeddings, without copies."""
        return Others(self.embeddings_NE, self._faces_of.get(character, ()), self._own.get((character, not_row), ()))

    def typical(self, character: int, not_row: str) -> int | None:
        """Index of the most typical face of `character` in frames other than `not_row`; None if there is none."""
        if character not in self._typical and (mine := self._faces_of.get(character)):
            self._typical[character] = mine[medoid(self.embeddings_NE[mine])]
        best = self._typical.get(character)
        if best is not None and self.row_ids[best] == not_row:
            others = self.others(character, not_row)
            return others[medoid(self.embeddings_NE[others])] if others else None
        return best


def agreement(characters: Sequence[int], truth: Sequence[str | None]) -> list[bool]:
    """For each face with a character and a ground truth: whether it shows the majority person of its character."""
    if len(truth) != len(characters):
        raise ValueError(f"purity needs one truth for each of {len(characters)} faces, got {len(truth)}")
    names = defaultdict(list)
    for character, name in zip(characters, truth, strict=True):
        if character >= 0 and name is not None:
            names[character].append(name)
    prevailing = {character: Counter(sorted(mine)).most_common(1)[0][0] for character, mine in names.items()}
    return [name == prevailing[character] for character, mine in names.items() for name in mine]
