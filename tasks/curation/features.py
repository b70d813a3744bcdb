"""A curation stage: embeds scripts and faces, the input of the autoregressive model (§3.4).

Shapes: S sentences (at most 15), F faces (at most 5).
"""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from models import sentence
from models.autoregressive.script_tokens import CHARACTER, MAX_FACES, MAX_SENTENCES, PLOT, SCENE_ELEMENT
from models.face import FaceConfig
from models.sentence import SentenceConfig, SentenceEncoder
from storage.errors import FilmError
from storage.root import Storage
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import character_id
from tasks import rows
from tasks.made import Made, Step
from tasks.stage import Stage, Work

_MIRRORED = {"left": "right", "right": "left"}
_SIDE = re.compile(r"\b(left|right)\b", re.IGNORECASE)
_REVISION = 2  # of the rows: revision 2 added face_boxes


@dataclass(frozen=True)
class _Described:
    """A keyframe's sentences with their kinds, and its faces: the i-th face belongs to the i-th sentence."""

    sentences: list[str]
    kinds: list[int]
    faces: list[rows.Row]


def _make(
    config: SentenceConfig, face: FaceConfig, storage: Storage, work: Work
) -> Callable[[str], Iterator[Step | Made]]:
    """One row per keyframe: a vector for each sentence and its mirrored version, in the script's order, and the faces.

    Rejected faces are dropped. `face` gives the width of a face for keyframes without faces.
    """
    model = sentence.build(config)
    keyframes, scripts, faces = (FilmRows(storage, name, work[name]) for name in ("keyframes", "scripts", "faces"))

    def encode(film_id: str) -> Iterator[Step | Made]:
        total, done = len(keyframes.row_ids(film_id)), 0
        widths = {"sentence_width": model.width, "face_width": face.width}
        said: set[str] = set()
        for batch in keyframes.batches(film_id, ["row_id", "second", "shot"]):
            some = batch.to_pylist()
            wanted = [row["row_id"] for row in some]
            written = scripts.between(film_id, wanted[0], wanted[-1]).to_pylist()
            script_of = rows.by_row(written, lambda row: str(row["row_id"]), wanted)
            seen = rows.grouped([row for row in _faces(faces, film_id, wanted) if row["rejected"] == ""])
            described = {row_id: describe(row_id, script, seen.get(row_id, [])) for row_id, script in script_of.items()}
            vectors = _vectors(model, list(described.values()))
            said |= set(vectors)
            made = [_row(keyframe, described[keyframe["row_id"]], vectors) | widths for keyframe in some]
            yield Made({"features": rows.table("features", film_id, made)})
            done += len(some)
            yield Step(done, total)
        if note := _note(model, film_id, sorted(said)):
            yield Made({}, note)

    return encode


def _faces(table: FilmRows, film_id: str, row_ids: Sequence[str]) -> list[rows.Row]:
    found: list[rows.Row] = table.between(film_id, row_ids[0], row_ids[-1]).to_pylist()
    return found


def _note(model: SentenceEncoder, film_id: str, texts: Sequence[str]) -> FilmError | None:
    if long := model.too_long(texts):
        said = f"{len(long)} of the {len(texts)} sentences of film {film_id}, such as {long[0][:60]!r}..."
        return FilmError("long_sentences", f"{said}, are too long for {model.name}: only their first words are encoded")
    return None


def describe(row_id: str, script: rows.Row, faces: Sequence[rows.Row]) -> _Described:
    """Characters, scene elements, plots; characters with a face come first, by the size of the face.

    A face without a character comes after them, unless it would then belong to another character's sentence.
    """
    largest = sorted(faces, key=lambda row: (-_area(row), row["face_id"]))
    indices = {character_id(row_id, i): i for i in range(len(script["characters"]))}
    owned = [row for row in largest if row["character_id"] in indices][:MAX_FACES]
    seen = [indices[row["character_id"]] for row in owned]
    unseen = [i for i in range(len(script["characters"])) if i not in seen]
    if not unseen:
        owned += [row for row in largest if row["character_id"] not in indices]
    sentences = [
        *((script["characters"][i], CHARACTER) for i in [*seen, *unseen]),
        *((text, SCENE_ELEMENT) for text in script["scene_elements"]),
        *((text, PLOT) for text in script["plots"]),
    ][:MAX_SENTENCES]
    return _Described([text for text, _ in sentences], [kind for _, kind in sentences], owned[:MAX_FACES])


def _area(row: rows.Row) -> float:
    return float((row["x1"] - row["x0"]) * (row["y1"] - row["y0"]))


def _vectors(model: SentenceEncoder, described: Sequence[_Described]) -> dict[str, np.ndarray]:
    """Sentence or mirrored sentence -> vector; each is encoded once, because neighbours often have the same ones."""
    said = {text for one in described for text in one.sentences}
    texts = sorted(said | {mirrored(text) for text in said})
    vectors_NS = model.encode(texts).astype(np.float16)
    return dict(zip(texts, vectors_NS, strict=True))


def _row(keyframe: rows.Row, described: _Described, vectors: dict[str, np.ndarray]) -> rows.Row:
    return {
        "row_id": keyframe["row_id"],
        "second": keyframe["second"],
        "shot": keyframe["shot"],
        "sentences": b"".join(vectors[text].tobytes() for text in described.sentences),
        "sentences_flipped": b"".join(vectors[mirrored(text)].tobytes() for text in described.sentences),
        "sentence_kinds": described.kinds,
        "faces": b"".join(
            np.frombuffer(face["embedding"], np.float32).astype(np.float16).tobytes() for face in described.faces
        ),
        "face_characters": [face["character"] for face in described.faces],
        "face_boxes": [face[side] for face in described.faces for side in ("x0", "y0", "x1", "y1")],
    }


def _identity(config: SentenceConfig, face: FaceConfig) -> object:
    return config, _REVISION  # the inputs' fingerprints include the faces


STAGE = Stage(
    "features",
    inputs=("keyframes", "scripts", "faces"),
    tables=("features",),
    make=_make,
    settings=("sentence", "face"),
    identity=_identity,
)


def mirrored(sentence: str) -> str:
    """The sentence of a mirrored picture (section 3.4): swaps "left" and "right", which captions use only for sides."""
    return _SIDE.sub(_other_side, sentence)


def _other_side(side: re.Match[str]) -> str:
    other = _MIRRORED[side[0].lower()]
    return other.capitalize() if side[0][0].isupper() else other
