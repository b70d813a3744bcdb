"""Layouts of known image sets: each lists its images with their metadata."""

import csv
import io
import json
import posixpath
import tarfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from storage.errors import ConfigError
from storage.root import Storage

ENDINGS = (".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff")
_OPEN_IMAGES = ("image_ids_and_rotation.csv", "{0}-images-with-rotation.csv", "{0}-images-boxable-with-rotation.csv")
_JOURNEYDB = ("{0}_anno.jsonl", "{0}_anno_realease_repath.jsonl")


class Listed(NamedTuple):
    """An image below a storage root; the fields are those of `storage.images.images.INDEX`."""

    name: str
    licence: str
    offset: int = -1
    bytes: int = -1
    height: int = 0
    width: int = 0
    turn: int = 0


def folder(storage: Storage, licence: str) -> Iterator[Listed]:
    """Every image file."""
    return (Listed(name, licence) for name in _images(storage))


def webdataset(storage: Storage, licence: str) -> Iterator[Listed]:
    """Every image in every tar file, by its place in it."""
    for name in storage.walk(""):
        if not name.endswith(".tar"):
            continue
        with storage.open(name) as file, tarfile.open(fileobj=file, mode="r:") as tar:
            for member in tar:
                if member.isfile() and member.name.lower().endswith(ENDINGS):
                    yield Listed(name, licence, member.offset_data, member.size)


def open_images(storage: Storage, subset: str) -> Iterator[Listed]:
    """Images <id>.jpg anywhere; licence and rotation as the table of ids has them.

    Raises:
        ConfigError: when there is no such table, or it has another form.
    """
    names = list(storage.walk(""))
    table = _metadata(
        storage, names, [name.format(subset) for name in _OPEN_IMAGES], "storage.googleapis.com/openimages"
    )
    known = {posixpath.splitext(posixpath.basename(name))[0]: name for name in names if name.lower().endswith(ENDINGS)}
    rows = csv.DictReader(io.StringIO(storage.read_bytes(table).decode(errors="replace")))
    try:
        for row in rows:
            if row.get("Subset", subset) == subset and (name := known.get(row["ImageID"])):
                turn = int(float(row.get("Rotation") or 0)) % 360
                yield Listed(name, row.get("License") or "unknown", turn=turn)
    except (csv.Error, KeyError, ValueError) as error:
        raise ConfigError(f"{storage.url(table)!r}, line {rows.line_num}: not a row of that table: {error}") from error


def journeydb(storage: Storage, subset: str, licence: str) -> Iterator[Listed]:
    """The images that the annotations of a subset name and that were unpacked.

    Raises:
        ConfigError: when there are no annotations.
    """
    names = list(storage.walk(""))
    table = _metadata(storage, names, [name.format(subset) for name in _JOURNEYDB], "JourneyDB/JourneyDB on the hub")
    here = posixpath.dirname(table)
    known = {name for name in names if name.lower().endswith(ENDINGS)}
    for line in io.BytesIO(storage.read_bytes(table)):
        name = posixpath.normpath(posixpath.join(here, "imgs", json.loads(line.decode(errors="replace"))["img_path"]))
        if name in known:
            yield Listed(name, licence)


def objects365(storage: Storage, subset: str, licence: str) -> Iterator[Listed]:
    """The images that the annotations of a subset name, below whatever folder their patches were put in.

    Raises:
        ConfigError: when there are no annotations.
    """
    names = list(storage.walk(""))
    said = [f"zhiyuan_objv2_{subset}.json"]
    text = storage.read_bytes(_metadata(storage, names, said, "www.objects365.org")).decode(errors="replace")
    table = json.loads(text)
    known = {_patch(name): name for name in names if name.lower().endswith(ENDINGS)}
    for image in table["images"]:
        if name := known.get(_patch(image["file_name"])):
            yield Listed(name, licence, height=int(image["height"]), width=int(image["width"]))


def _images(storage: Storage) -> Iterator[str]:
    return (name for name in storage.walk("") if name.lower().endswith(ENDINGS))


def _patch(name: str) -> str:
    """patch<n>/<file>: what is the same in all copies of the set."""
    return "/".join(name.split("/")[-2:])


def _metadata(storage: Storage, names: Iterable[str], wanted: list[str], origin: str) -> str:
    found = sorted(name for name in names if posixpath.basename(name) in wanted)
    if not found:
        raise ConfigError(f"{storage.base!r} has none of {', '.join(wanted)}: fetch it from {origin} and put it there")
    return found[0]
