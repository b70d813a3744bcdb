"""Character consistency (Appendix B): long-term (LT) and short-term (ST), with face embeddings and without.

Shapes: T held-out keyframes, D face embedding.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from models.face.bank import medoid
from models.metrics.consistency import appearances, long_term, presence, short_term
from models.metrics.figure import Bools, Ints, Measured
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.tables import Tables
from tasks import dataset
from tasks.dataset import FilmData
from tasks.figures.looks import Looks, sample_names
from tasks.figures.retrieval import Floats

VERSIONS = {
    "original": "the originals themselves",
    "rebuilt": "keyframes rebuilt from their own tokens",
    "dreamt": "keyframes dreamt from the script with face embeddings",
    "few_shot": "keyframes dreamt from the script with face embeddings and reference frames",
    "no_faces": "keyframes dreamt without face embeddings",
}


def measured(
    storage: Storage, snapshot: Snapshot, looks: Mapping[str, Looks], same_face: float, main_faces: int
) -> Measured:
    """LT and ST of every version of the held-out keyframes that were looked at; characters are looked for in their own
    film."""
    found = Measured({}, {})
    films = dataset.load(storage, snapshot, "test")
    references = {film.film.film_id: reference_faces(storage, snapshot, film, main_faces) for film in films}
    seen = set(looks["original"].row_ids)
    places = {film.film.film_id: [t for t, row_id in enumerate(film.row_ids) if row_id in seen] for film in films}
    test = [film.row_ids[t] for film in films for t in places[film.film.film_id]]
    times_T = np.concatenate([_times(film, places[film.film.film_id]) for film in films])
    shown = {version: _presence(look.at(test).faces, places, references, same_face) for version, look in looks.items()}
    names = sample_names(test)
    for version, words in VERSIONS.items():
        if version not in looks:
            continue
        if version != "original":
            found.figures[f"lt_{version}"] = long_term(shown["original"], shown[version]).model_copy(
                update={
                    "what": "LT (Appendix B): of main characters' appearances in held-out keyframes, the share seen "
                    f"in {words}"
                }
            )
            found.samples[f"lt_{version}"] = {
                f"{names[place]}.{who}": float(there)
                for (who, place), there in appearances(shown["original"], shown[version]).items()
            }
        features_TE = looks[version].at(test).embeddings
        found.figures[f"st_{version}"] = short_term(features_TE, shown["original"], "adjacent", times_T).model_copy(
            update={"what": f"ST: cosine of features of adjacent keyframes of a main character in {words}"}
        )
    return found


def reference_faces(storage: Storage, snapshot: Snapshot, film: FilmData, main_faces: int) -> dict[int, Floats]:
    """character -> a typical face of it, for characters with at least `main_faces` faces.

    Those of the training half count; all of the film's where it has none.
    """
    work = {film.film.film_id: snapshot.work["faces"][film.film.film_id]}
    part = "train" if film.film.train else "test"
    faces: dict[int, list[Floats]] = {}
    for row in Tables(storage).read("faces", work).to_pylist():
        second = int(row["row_id"].rsplit("-", 1)[1])
        if row["character"] >= 0 and film.film.part(second) == part:
            faces.setdefault(row["character"], []).append(np.frombuffer(row["embedding"], np.float32))
    return {
        character: mine[medoid(np.stack(mine))] for character, mine in sorted(faces.items()) if len(mine) >= main_faces
    }


def _presence(
    faces: Sequence[Floats],
    places: Mapping[str, list[int]],
    references: Mapping[str, Mapping[int, Floats]],
    same: float,
) -> dict[int, Bools]:
    """A number for each main character of each film -> [T] where it is shown, false in other films.

    Args:
        places: film_id -> those of its keyframes that were looked at, film by film as in `faces`.
    """
    shown: dict[int, Bools] = {}
    start = 0
    for film_id, mine in places.items():
        here = slice(start, start + len(mine))
        start = here.stop
        for reference_D in references[film_id].values():
            present_T = np.zeros(len(faces), dtype=np.bool_)
            present_T[here] = presence(faces[here], reference_D, same)
            shown[len(shown)] = present_T
    return shown


def _times(film: FilmData, places: Sequence[int]) -> Ints:
    """Of some of a film's keyframes, when they are, in steps of its time."""
    step = np.diff(film.seconds).min() if len(film.seconds) > 1 else 1
    times_T: Ints = (np.asarray(film.seconds)[places] - film.seconds[0]) // step
    return times_T
