"""Sets of single images: one table says where each image is; pictures are read on demand.

Layouts: any folder, WebDataset shards, Open Images, JourneyDB, Objects365.
"""

import logging
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from PIL import Image
from pydantic import BaseModel, Field

from storage.decoding.pictures import as_seen, shape_as_seen
from storage.errors import ConfigError, StorageError
from storage.images import image_layouts
from storage.images.image_layouts import Listed
from storage.printable import LINE, printable
from storage.root import Storage
from storage.stories.photographs import FORMATS

if TYPE_CHECKING:
    from pyarrow import NativeFile

_NEXT = 32  # images that are tried in place of one that can't be read

_COLUMNS: dict[str, pa.DataType] = {
    "set": pa.int16(),
    "name": pa.string(),  # of its file, or of its shard
    "offset": pa.int64(),  # in the shard; -1 for a file
    "bytes": pa.int64(),  # -1 for all of the file
    "height": pa.int32(),  # 0 if not asked for
    "width": pa.int32(),
    "turn": pa.int16(),  # degrees counterclockwise that bring it upright
    "licence": pa.string(),
}
INDEX = pa.schema(list(_COLUMNS.items()))


class FolderConfig(BaseModel, frozen=True, extra="forbid"):
    """All images below a folder, or below a place in an object store."""

    kind: Literal["folder"] = "folder"
    root: str = Field(description="folder or URI")
    licence: str = Field("unknown", description="licence of the images")


class WebDatasetConfig(BaseModel, frozen=True, extra="forbid"):
    """All images in the tar files below a folder."""

    kind: Literal["webdataset"] = "webdataset"
    root: str = Field(description="folder or URI")
    licence: str = Field("unknown", description="licence of the images")


class OpenImagesConfig(BaseModel, frozen=True, extra="forbid"):
    """Open Images: images named by their id, and the table of ids with licence and rotation beside them."""

    kind: Literal["open_images"] = "open_images"
    root: str = Field(description="folder or URI")
    subset: str = Field("train", description="subset of the set")


class JourneyDbConfig(BaseModel, frozen=True, extra="forbid"):
    """JourneyDB: <subset>/imgs with the shards unpacked, and a file of annotations that names each image."""

    kind: Literal["journeydb"] = "journeydb"
    root: str = Field(description="folder or URI")
    subset: str = Field("train", description="subset of the set")
    licence: str = Field("JourneyDB terms of use", description="licence of the images")


class Objects365Config(BaseModel, frozen=True, extra="forbid"):
    """Objects365: patches with images, and zhiyuan_objv2_<subset>.json with their sizes."""

    kind: Literal["objects365"] = "objects365"
    root: str = Field(description="folder or URI")
    subset: str = Field("train", description="subset of the set")
    licence: str = Field("CC BY 4.0 annotations; images as their owners say", description="licence of the images")


ImagesConfig = Annotated[
    FolderConfig | WebDatasetConfig | OpenImagesConfig | JourneyDbConfig | Objects365Config, Field(discriminator="kind")
]


def index(sets: Sequence[ImagesConfig], with_shapes: bool = False) -> pa.Table:
    """The location of every image of some sets (INDEX), sorted within each set.

    Args:
        with_shapes: also the height and width of each, read from its header if there is no metadata.

    Raises:
        ConfigError: for a set without images or without its metadata; it says what belongs where.
    """
    parts = []
    for place, one in enumerate(sets):
        storage = Storage(one.root)
        listed = sorted(_listed(one, storage), key=lambda item: (item.name, item.offset))
        if not listed:
            raise ConfigError(f"{one.root!r} holds no images of kind={one.kind}: {type(one).__doc__}")
        columns = dict(zip(Listed._fields, zip(*listed, strict=True), strict=True))
        arrays = [pa.array(columns[field.name], field.type) for field in INDEX if field.name in columns]
        parts.append(
            pa.Table.from_arrays([pa.repeat(pa.scalar(place, pa.int16()), len(listed)), *arrays], schema=INDEX)
        )
    table = pa.concat_tables(parts)
    if not with_shapes:
        return table
    images = Images(sets, table)
    shapes = [images.shape(row) for row in range(len(images))]
    table = table.set_column(4, INDEX.field(4), pa.array([height for height, _ in shapes], pa.int32()))
    return table.set_column(5, INDEX.field(5), pa.array([width for _, width in shapes], pa.int32()))


class Images:
    """The images of an index, in its order. Small: it opens files when they are asked for."""

    window = 1
    """Images that are read together: each is read for itself."""

    def __init__(self, sets: Sequence[ImagesConfig], table: pa.Table) -> None:
        self._storages = [Storage(one.root) for one in sets]
        self._columns = {name: table[name].combine_chunks() for name in table.column_names}
        self._open = lru_cache(maxsize=64)(self._opened)
        self._lock = threading.Lock()  # a shard has one place to read from

    def __len__(self) -> int:
        return len(self._columns["name"])

    def shape(self, row: int) -> tuple[int, int]:
        """Height and width of the upright image.

        Raises:
            StorageError: when they are not in the index and the image can't be read.
        """
        known = int(self._columns["height"][row].as_py()), int(self._columns["width"][row].as_py())
        if known[0]:
            return known
        try:
            with Image.open(BytesIO(self._bytes(row)), formats=FORMATS) as image:
                height, width = shape_as_seen(image)
                return (width, height) if self._columns["turn"][row].as_py() in (90, 270) else (height, width)
        except (OSError, StorageError) as error:
            raise StorageError(f"{self.name(row)!r} cannot be read as an image: {error}") from error

    def name(self, row: int) -> str:
        """Where the image is, for messages."""
        place, name, offset, _ = self._where(row)
        return self._storages[place].url(name) + (f" at {offset}" if offset >= 0 else "")

    def read(self, row: int) -> NDArray[np.uint8]:
        """RGB upright; transparent parts are white. For an image that can't be read the next one, with a warning.

        Raises:
            StorageError: when none of the next ones can be read either.
        """
        for following in range(_NEXT):
            place = (row + following) % len(self)
            try:
                return self._decoded(place)
            except (
                OSError,
                ValueError,
                SyntaxError,
                RuntimeError,
                Image.DecompressionBombError,
                StorageError,
            ) as error:
                logging.getLogger(__name__).warning(
                    "%r is left out, it can't be read: %s", self.name(place), printable(str(error), LINE)
                )
        raise StorageError(f"none of {_NEXT} images from {self.name(row)!r} on can be read")

    def _decoded(self, row: int) -> NDArray[np.uint8]:
        with Image.open(BytesIO(self._bytes(row)), formats=FORMATS) as image:
            return np.rot90(as_seen(image), self._columns["turn"][row].as_py() // 90)

    def _bytes(self, row: int) -> bytes:
        place, name, offset, size = self._where(row)
        if offset < 0:
            return self._storages[place].read_bytes(name)
        with self._lock:
            file = self._open(place, name)
            file.seek(offset)
            return bytes(file.read(size))

    def _where(self, row: int) -> tuple[int, str, int, int]:
        place, name, offset, size = (self._columns[name][row].as_py() for name in ("set", "name", "offset", "bytes"))
        return int(place), str(name), int(offset), int(size)

    def _opened(self, place: int, name: str) -> "NativeFile":
        return self._storages[place].open(name)


def _listed(config: ImagesConfig, storage: Storage) -> Iterator[Listed]:
    match config:
        case FolderConfig():
            return image_layouts.folder(storage, config.licence)
        case WebDatasetConfig():
            return image_layouts.webdataset(storage, config.licence)
        case OpenImagesConfig():
            return image_layouts.open_images(storage, config.subset)
        case JourneyDbConfig():
            return image_layouts.journeydb(storage, config.subset, config.licence)
        case Objects365Config():
            return image_layouts.objects365(storage, config.subset, config.licence)
