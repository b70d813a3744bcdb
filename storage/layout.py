"""The list of places that flows write to, as path patterns.

The record (storage.record) says which files runs made. Any other file at one of these places is in a run's way.
"""

import re
from itertools import zip_longest

from storage.tables.schemas import SCHEMAS

HOME = ".prefect"
"""Folder of a local storage for Prefect's state and the lock; what is in it is written by Prefect itself."""

RECORD = ".moviedreamer"
"""Folder of what storage.record and storage.lease write; listings leave it out."""

PUBLISHED = ("movie.mp4", "storyboard.html", "metrics.json")
"""Of a movie's files those that the root has too, in the order of their copying: the last one makes a movie count."""

MODELS = ("codec", "first_stage", "autoencoder", "decoder", "autoregressive")
"""Folders under checkpoints/."""

_ID = "[0-9a-f]{16}"
_RUN = f"checkpoints/{'|'.join(MODELS)}/{_ID}"
_MOVIE = r"movie(-\d+)?\.mp4"
_PUBLISHED = rf"{_MOVIE}|storyboard\.html|metrics\.json"

PLACES = (
    f"tables/{'|'.join(SCHEMAS)}",
    rf"snapshots/{_ID}\.json",
    rf"cards/{_ID}/data_card\.(html|json)",
    rf"exports/{_ID}/index\.json|(train|test)-\d{{6}}\.(tar|json)",
    rf"images/{_ID}\.parquet",
    rf"{_RUN}/\d{{6,}}|final/**",
    rf"{_RUN}/samples/\d{{6,}}\.webp",
    rf"{_RUN}/tensorboard/**",
    rf"{_RUN}/not_finite/\d{{6,}}-\d+\.safetensors",
    rf"{_RUN}/ray/\.validate_storage_marker",
    rf"{_RUN}/progress\.json",
    r"films/hashes\.parquet|drawn-\d+-\d+s-\d+x\d+(-r\d+)?\.(mp4|truth\.json)",
    rf"evaluations/{_ID}/(metrics|report)\.json|quality\.html",
    rf"evaluations/vectors/{_ID}\.safetensors",
    rf"movies/{_ID}/{_MOVIE}|storyboard\.html|metrics\.json|notes\.json|about\.json",
    rf"movies/{_ID}/.+\.(mp4|jpg|about\.json)",
    rf"pieces/scripts|tokens/{_ID}\.safetensors",
    rf"pieces/keyframes/{_ID}\.(webp|json)",
    rf"pieces/enlarged/{_ID}\.webp",
    rf"pieces/clips/{_ID}\.mp4",
    rf"pieces/speech/{_ID}\.wav",
    r"stories/rates\.json|report\.json|quality\.(html|json)",
    rf"stories/takes|queue/{_ID}\.json",
    _PUBLISHED,
)
"""Each a path of patterns; `**` is any path below. Delta Lake decides what lies in a table's folder."""

FOLDERS = tuple(dict.fromkeys(place.split("/")[0] for place in PLACES if "/" in place))


def is_published(name: str) -> bool:
    """Whether a name at the root is one of the newest movie's files."""
    return re.fullmatch(_PUBLISHED, name) is not None


def is_place(rel: str) -> bool:
    """Whether a flow may write a file at `rel`, or needs a folder there."""
    return any(_fits(place, rel) for place in PLACES)


def leads_on(rel: str) -> bool:
    """Whether there are places below the folder `rel`; "" is the root."""
    depth = rel.count("/") + 1
    return not rel or any(_fits(place, rel) and (place.endswith("**") or place.count("/") >= depth) for place in PLACES)


def _fits(place: str, rel: str) -> bool:
    """Whether `rel` is a path that `place` describes, or the beginning of one."""
    wanted, got = place.split("/"), rel.split("/")
    if wanted[-1] == "**":
        wanted = [*wanted[:-1], *["[^/]+"] * max(1, len(got) - len(wanted) + 1)]
    pairs = list(zip_longest(wanted, got))
    return len(got) <= len(wanted) and all(re.fullmatch(pattern, name) for pattern, name in pairs if name is not None)
