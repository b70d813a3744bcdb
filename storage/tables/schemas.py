"""The schemas of the tables, and checks of rows against them.

Boxes are x0, y0, x1, y1 as fractions of the keyframe; `fingerprint` identifies the work that made a row.
Delta has only one binary type, so files have `binary` where a schema has `large_binary`. storage.tables.tables converts
it back; other readers (DuckDB, Polars, Spark) see bytes.
"""

import pyarrow as pa

_Columns = list[tuple[str, pa.DataType]]


def _schema(*columns: tuple[str, pa.DataType]) -> pa.Schema:
    return pa.schema(list(columns))


_ROW: _Columns = [("row_id", pa.string()), ("film_id", pa.string()), ("fingerprint", pa.string())]
_BOX: _Columns = [("x0", pa.float32()), ("y0", pa.float32()), ("x1", pa.float32()), ("y1", pa.float32())]
_BACKEND: _Columns = [("backend", pa.string()), ("revision", pa.string()), ("licence", pa.string())]
_STRINGS = pa.list_(pa.string())

FILMS = _schema(
    ("film_id", pa.string()),
    ("fingerprint", pa.string()),
    ("source", pa.string()),  # as the user gave it
    ("title", pa.string()),
    ("seconds", pa.float64()),
    ("fps", pa.float64()),
    ("width", pa.int32()),  # as shown: after rotation and with square pixels
    ("height", pa.int32()),
    ("has_audio", pa.bool_()),
    ("licence", pa.string()),
    ("origin", pa.string()),  # where the film is from, "" if unknown
    ("availability", pa.string()),  # who may access it, "" if unknown
    ("year", pa.int32()),  # 0 if unknown
    ("movie", pa.string()),  # the movie that the file is a part of, "" for a whole movie
    ("phash", pa.string()),  # no longer written: ""
)

KEYFRAMES = _schema(
    *_ROW,
    ("second", pa.int32()),  # nominal
    ("pts", pa.float64()),  # seconds after the film's first frame
    ("shot", pa.int32()),
    ("to_cut", pa.float32()),  # seconds to the nearest cut, or end of the film
    ("motion", pa.float32()),  # mean absolute luma difference to the keyframe before, 0-255
    ("look", pa.int64()),  # see storage.decoding.look; null in rows of earlier versions
    ("image", pa.large_binary()),  # WebP or JPEG
    ("width", pa.int32()),
    ("height", pa.int32()),
)

CHARACTERS = _schema(("character_id", pa.string()), *_ROW, *_BOX, ("score", pa.float32()), *_BACKEND)

CAPTIONS = _schema(
    *_ROW,
    ("subject", pa.string()),  # "frame" or a character_id
    ("text", pa.string()),
    *_BACKEND,
)

SCRIPTS = _schema(
    *_ROW,
    ("characters", _STRINGS),
    ("scene_elements", _STRINGS),
    ("plots", _STRINGS),
    ("text", pa.string()),  # as in the paper's figure 16
    ("written_by", pa.string()),  # "llm", "template" or "film"
    ("reason", pa.string()),  # why the template was used, "" otherwise
    *_BACKEND,
)

FACES = _schema(
    ("face_id", pa.string()),
    *_ROW,
    ("character_id", pa.string()),  # "" when the face belongs to no person box
    *_BOX,
    ("score", pa.float32()),
    ("embedding", pa.binary()),  # float32, length depends on the embedder (dlib 128, FaRL 512)
    ("character", pa.int32()),  # cluster in the film, -1 = alone or rejected
    ("rejected", pa.string()),  # why it is not in the face bank (models.face.quality, tasks.consent), "" if it is
    *_BACKEND,
)

FEATURES = _schema(
    *_ROW,
    ("second", pa.int32()),
    ("shot", pa.int32()),
    ("sentences", pa.binary()),  # float16 [S, E], S <= 15, E depends on the encoder (MiniLM 384, LongCLIP 768)
    ("sentences_flipped", pa.binary()),  # float16 [S, E] of the mirrored keyframe
    ("sentence_width", pa.int32()),  # E
    ("sentence_kinds", pa.list_(pa.int8())),  # [S] 0 character, 1 scene element, 2 plot
    ("faces", pa.binary()),  # float16 [F, G], F <= 5, G depends on the embedder (dlib 128, FaRL 512)
    ("face_width", pa.int32()),  # G
    ("face_characters", pa.list_(pa.int32())),  # [F]
    ("face_boxes", pa.list_(pa.float32())),  # [F, 4] x0, y0, x1, y1 of each face
)

LATENTS = _schema(
    *_ROW,
    ("latents", pa.binary()),  # float16 [2, C, H, W] of the keyframe and its mirror image
    ("latents_shape", pa.list_(pa.int32())),  # C, H, W
    ("features", pa.binary()),  # float16 [2, N, E] of the image encoder; empty if the compressor reads the latents
    ("features_shape", pa.list_(pa.int32())),  # N, E
)

TOKENS = _schema(
    *_ROW,
    ("second", pa.int32()),
    ("tokens", pa.binary()),  # float32 [L, D]
    ("tokens_flipped", pa.binary()),  # float32 [L, D] of the mirrored keyframe
    ("count", pa.int32()),  # L
    ("width", pa.int32()),  # D
)

RENDERS = _schema(
    *_ROW,
    ("variant", pa.string()),  # "rebuilt", "dreamt", "few_shot" or "no_faces"
    ("image", pa.large_binary()),  # WebP
)

REJECTS = _schema(
    ("film_id", pa.string()),  # "" if the film's bytes are unknown
    ("source", pa.string()),
    ("fingerprint", pa.string()),
    ("stage", pa.string()),
    ("reason", pa.string()),  # short code
    ("detail", pa.string()),  # for people; quotes the input
    ("attempts", pa.int32()),
)

WORK = _schema(
    ("film_id", pa.string()),
    ("stage", pa.string()),
    ("fingerprint", pa.string()),
    ("rows", pa.int32()),
    ("attempts", pa.int32()),
)

SCHEMAS: dict[str, pa.Schema] = {
    "films": FILMS,
    "keyframes": KEYFRAMES,
    "characters": CHARACTERS,
    "captions": CAPTIONS,
    "scripts": SCRIPTS,
    "faces": FACES,
    "features": FEATURES,
    "latents": LATENTS,
    "tokens": TOKENS,
    "renders": RENDERS,
    "rejects": REJECTS,
    "work": WORK,
}

KEYS: dict[str, tuple[str, ...]] = {
    "films": ("film_id",),
    "keyframes": ("row_id",),
    "characters": ("character_id",),
    "captions": ("row_id", "subject"),
    "scripts": ("row_id",),
    "faces": ("face_id",),
    "features": ("row_id",),
    "latents": ("row_id",),
    "tokens": ("row_id",),
    "renders": ("row_id", "variant"),
    "rejects": ("source", "film_id", "stage", "fingerprint"),
    "work": ("stage", "film_id", "fingerprint"),
}
"""The columns that identify a row within one film and fingerprint; tables are read sorted by them."""


def checked(table: str, film_id: str, fingerprint: str, rows: pa.Table) -> pa.Table:
    """The rows in SCHEMAS[table], sorted by the table's id; `film_id` and `fingerprint` may be omitted.

    Raises:
        ValueError: columns, types, ids or uniqueness are wrong.
    """
    if table not in SCHEMAS or table in ("work", "rejects"):
        raise ValueError(f"no table {table!r} to commit rows to: one of {sorted(set(SCHEMAS) - {'work', 'rejects'})}")
    schema = SCHEMAS[table]
    for name, value in (("film_id", film_id), ("fingerprint", fingerprint)):
        if name not in rows.column_names:
            rows = rows.append_column(name, pa.array([value] * rows.num_rows, pa.string()))
        elif others := set(rows[name].unique().to_pylist()) - {value}:
            raise ValueError(f"rows for {table!r} of {name} {value!r} hold others: {sorted(map(str, others))[:3]}")
    missing, unknown = set(schema.names) - set(rows.column_names), set(rows.column_names) - set(schema.names)
    if missing or unknown:
        raise ValueError(f"rows for {table!r}: missing columns {sorted(missing)}, unknown columns {sorted(unknown)}")
    try:
        rows = rows.select(schema.names).cast(schema)
    except pa.ArrowInvalid as error:
        raise ValueError(f"rows for {table!r} do not fit its schema: {error}") from error
    if gaps := [name for name in schema.names if rows[name].null_count]:
        raise ValueError(f"rows for {table!r} have nulls in {gaps}")
    keys = rows.select(list(KEYS[table]))
    if keys.group_by(keys.column_names, use_threads=False).aggregate([]).num_rows != rows.num_rows:
        raise ValueError(f"rows for {table!r} of film {film_id!r} repeat a {' + '.join(KEYS[table])}")
    return rows.sort_by([(key, "ascending") for key in KEYS[table]])


def row_id(film_id: str, second: int) -> str:
    """Id of the keyframe at a nominal second of a film."""
    return f"{film_id}-{second:06d}"


def second_of(row_id: str) -> int:
    """Nominal second of a keyframe."""
    return int(row_id.rpartition("-")[2])


def film_of(row_id: str) -> str:
    """film_id of a keyframe."""
    return row_id.rpartition("-")[0]


def character_id(row_id: str, index: int) -> str:
    """Id of a person in a keyframe, counted from 0."""
    return f"{row_id}-p{index}"


def face_id(row_id: str, index: int) -> str:
    """Id of a face in a keyframe, counted from 0."""
    return f"{row_id}-f{index}"
