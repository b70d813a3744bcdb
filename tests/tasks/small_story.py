"""A storage with a small curated film in it, without decoding or detecting anything: rows written by hand."""

import io

import numpy as np
import pyarrow as pa
from PIL import Image

from storage.films.provenance import UNKNOWN
from storage.root import Storage
from storage.snapshot import Snapshot, SnapshotFilm, save
from storage.tables.schemas import SCHEMAS
from storage.tables.tables import Tables
from tests.storage.finished import finish

FILM, OTHER = "0123456789abcdef", "fedcba9876543210"
SECONDS, WIDTH, HEIGHT = 12, 128, 96
BACKEND = {"backend": "by hand", "revision": "1", "licence": "none"}


def webp(second: int) -> bytes:
    """Two shots of another colour each, and a bright block that moves."""
    pixels = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    pixels[:] = (30, 60, 140) if second % 6 < 3 else (150, 110, 40)
    pixels[30:60, 8 * second : 8 * second + 24] = 230
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "WEBP", quality=90)
    return file.getvalue()


def small_story(storage: Storage, source: str = "film.mp4", has_audio: bool = False) -> Snapshot:
    """Twelve keyframes with a script each, a face in every second one; six to learn from, six held out."""
    work = write_story(storage, FILM, source, has_audio)
    film = SnapshotFilm(film_id=FILM, title="small story", train=(0, 5), test=(6, 11))
    snapshot = Snapshot.of((film,), work, {})
    save(storage, snapshot)
    return snapshot


def two_stories(storage: Storage) -> Snapshot:
    """The small story to learn from, and another film, held out as a whole."""
    works = [write_story(storage, film_id, "film.mp4", has_audio=False) for film_id in (FILM, OTHER)]
    work = {name: works[0][name] | works[1][name] for name in works[0]}
    films = (
        SnapshotFilm(film_id=FILM, title="small story", train=(0, SECONDS - 1), test=None),
        SnapshotFilm(film_id=OTHER, title="another story", train=None, test=(0, SECONDS - 1)),
    )
    snapshot = Snapshot.of(films, work, {})
    save(storage, snapshot)
    return snapshot


def write_story(storage: Storage, film_id: str, source: str, has_audio: bool) -> dict[str, dict[str, str]]:
    """The rows of a film; returns the finished work."""
    random = np.random.default_rng(0)
    sentences = random.normal(size=(4, 384)).astype(np.float16)
    person = random.normal(size=128).astype(np.float32) / 30
    rows: dict[str, list[dict]] = {name: [] for name in ("films", "keyframes", "characters", "captions", "scripts",
                                                         "faces", "features")}  # fmt: skip
    rows["films"].append(
        UNKNOWN | {"source": source, "title": "small story", "seconds": 12.0, "fps": 24.0, "width": WIDTH,
         "height": HEIGHT, "has_audio": has_audio, "licence": "none"}
    )  # fmt: skip
    for second in range(SECONDS):
        row = {"row_id": f"{film_id}-{second:06d}"}
        shot, box = second // 3, {"x0": 0.1, "y0": 0.2, "x1": 0.4, "y1": 0.7}
        rows["keyframes"].append(
            {**row, "second": second, "pts": float(second), "shot": shot, "to_cut": 0.0, "motion": 0.0,
             "look": 0, "image": webp(second), "width": WIDTH, "height": HEIGHT}
        )  # fmt: skip
        said = ["A person in blue."] if second % 2 else []
        rows["captions"].append({**row, "subject": "frame", "text": "A block.", **BACKEND})
        rows["scripts"].append(
            {**row, "characters": said, "scene_elements": ["A block."], "plots": [f"Shot {shot} goes on."],
             "text": "", "written_by": "template", "reason": "chosen", **BACKEND}
        )  # fmt: skip
        faces = []
        if second % 2:
            faces = [person + random.normal(size=128).astype(np.float32) / 1000]
            rows["characters"].append({"character_id": f"{row['row_id']}-p0", **row, **box, "score": 0.9, **BACKEND})
            rows["captions"].append({**row, "subject": f"{row['row_id']}-p0", "text": "A person in blue.", **BACKEND})
            rows["faces"].append(
                {"face_id": f"{row['row_id']}-f0", **row, "character_id": f"{row['row_id']}-p0", **box, "score": 0.9,
                 "embedding": faces[0].tobytes(), "character": 0, "rejected": "", **BACKEND}
            )  # fmt: skip
        kinds = [0, 1, 2] if second % 2 else [1, 2]
        rows["features"].append(
            {**row, "second": second, "shot": shot, "sentences": sentences[: len(kinds)].tobytes(),
             "sentences_flipped": sentences[: len(kinds)].tobytes(), "sentence_width": 384, "sentence_kinds": kinds,
             "faces": b"".join(face.astype(np.float16).tobytes() for face in faces),
             "face_width": 128, "face_characters": [0] * len(faces), "face_boxes": list(box.values()) * len(faces)}
        )  # fmt: skip
    tables = Tables(storage)
    for name, found in rows.items():
        schema = SCHEMAS[name]
        whole = [{**row, "film_id": film_id, "fingerprint": "f00d"} for row in found]
        tables.commit(name, film_id, "f00d", pa.Table.from_pylist(whole, schema=schema))
        finish(tables, name, film_id, "f00d", len(found))
    return {name: {film_id: "f00d"} for name in rows if name != "films"}
