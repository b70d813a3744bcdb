"""Can the looks of a person be read out of a sentence's vector?

    python benchmarks/sentences.py

People of drawn films are described in the films' own words. A linear probe (ridge regression) learns the colour of
clothes, the colour of hair and the skin from the vectors of 60 films' sentences and names them for 30 other films, of
the sentences that say them. The baseline are vectors that are the mean over a sentence's word pieces, as
sentence-transformers has them. The last line is JSON.
"""

import numpy as np
from numpy.typing import NDArray
from rebuilt_films import tell

from drawn.film import truth
from drawn.words import told
from models.sentence.minilm import MiniLm, MiniLmConfig

FILMS, LEARNT = range(1, 91), 60
LOOKS = ("hair", "skin", "top")
Vectors = NDArray[np.float32]


def main() -> None:
    encoder, films = MiniLm(MiniLmConfig()), [described(seed) for seed in FILMS]
    said = [sentence for film in films for sentence, _ in film]
    means = np.concatenate([encoder.means(said[i : i + 32]) for i in range(0, len(said), 32)])
    phrases = encoder.encode(said)
    film = np.concatenate([np.full(len(some), i) for i, some in enumerate(films)])
    for look in LOOKS:
        names = np.array([names[look] for some in films for _, names in some])
        stated = np.array([name in sentence for name, sentence in zip(names, said, strict=True)])
        mine, theirs = (probed(vectors[stated], names[stated], film[stated]) for vectors in (phrases, means))
        tell(f"sentence_{look}", "share", mine, theirs, FILMS[LEARNT:])


def described(seed: int) -> list[tuple[str, dict[str, str]]]:
    """(sentence, how the person looks) of a film, each sentence once."""
    film, found = truth(seed), dict[str, dict[str, str]]()
    for second in range(len(film.timeline)):
        for sentence in told(film, second, seed=0).characters:
            name = next(name for name in film.who if sentence.startswith(name))
            who = film.who[name]
            found[sentence] = {"hair": f"{who.hair} ", "skin": f"{who.skin} skin", "top": f"{who.top} "}
    return list(found.items())


def probed(vectors: Vectors, names: NDArray[np.str_], film: NDArray[np.int_]) -> list[NDArray[np.float64]]:
    """Of each film that was not learnt whether the probe is right, a sentence each."""
    labels = sorted(set(names))
    wanted = (names[:, None] == np.array(labels)).astype(float)
    inputs, learnt = vectors - vectors[film < LEARNT].mean(0), film < LEARNT
    x, y = inputs[learnt].astype(float), wanted[learnt] - wanted[learnt].mean(0)
    weights = np.linalg.solve(x.T @ x + 0.1 * np.eye(x.shape[1]), x.T @ y)
    right = np.array(labels)[(inputs @ weights + wanted[learnt].mean(0)).argmax(1)] == names
    return [right[film == i].astype(float) for i in range(LEARNT, len(FILMS))]


if __name__ == "__main__":
    main()
