"""Photographs of the cast and pictures of places, in the formats in which phones and the web make them."""

import warnings
from io import BytesIO
from pathlib import Path

from PIL import Image, UnidentifiedImageError, features

from storage.decoding.pictures import Pixels, as_seen
from storage.errors import ConfigError
from storage.printable import printable

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "JPEG2000")
"""What is read, as Pillow names it; never formats that run programs, as EPS does. Phones' MPO are JPEG."""

SMALLEST = 32
"""Pixels of the shorter side."""

LARGEST = 4096
"""Pixels of the longer side; what is larger becomes smaller."""

MOST_PIXELS = 178_000_000
"""In a picture as it is stored; more is taken for an attack."""

MOST_BYTES = 200 * 2**20
"""In the file of a picture."""

_HEIF = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")
_BRANDS = slice(8, 12)  # of an ISO media file


def photograph(path: Path) -> Pixels:
    """A picture file as RGB uint8 [height, width, 3]: upright, in sRGB, on white where it is clear, its first frame.

    Raises:
        ConfigError: naming the file, what is wrong with it, and the cure.
    """
    shown = printable(str(path))
    try:
        if (size := path.stat().st_size) > MOST_BYTES:
            raise ConfigError(f"{shown!r} has {size:,} bytes, at most {MOST_BYTES:,} are read: save it smaller")
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{shown!r} can't be read: {error.strerror}") from None
    return decoded(data, shown)


def decoded(data: bytes, shown: str) -> Pixels:
    """As `photograph`, from the bytes of a file; errors call it `shown`."""
    if data[4:8] == b"ftyp" and data[_BRANDS] in _HEIF:
        cure = "save it as JPEG (a phone's camera settings: most compatible), or convert it with `heif-convert`"
        raise ConfigError(f"{shown!r} is HEIF (HEIC), which isn't read: {cure}")
    if data[4:8] == b"ftyp" and data[_BRANDS] in (b"avif", b"avis") and not features.check("avif"):
        raise ConfigError(f"{shown!r} is AVIF, which this Pillow doesn't read: save it as JPEG or PNG")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # damaged EXIF, and sizes on which MOST_PIXELS decides
            with Image.open(BytesIO(data), formats=FORMATS) as image:
                width, height = image.size
                _require_size(width, height, shown)
                if max(image.size) > LARGEST:
                    image.thumbnail((LARGEST, LARGEST))
                return as_seen(image)
    except ConfigError:
        raise
    except UnidentifiedImageError:
        if not data:
            raise ConfigError(f"{shown!r} is empty: copy it again") from None
        raise ConfigError(f"{shown!r} is not a picture in a supported format: give a JPEG, PNG, WebP or AVIF") from None
    except Image.DecompressionBombError:
        raise ConfigError(f"{shown!r} has more pixels than are read ({MOST_PIXELS:,}): save it smaller") from None
    except Exception as error:  # each of Pillow's decoders raises what it likes
        raise ConfigError(f"{shown!r} doesn't open ({printable(str(error))}): save it again as JPEG or PNG") from None


def _require_size(width: int, height: int, shown: str) -> None:
    if width * height > MOST_PIXELS:
        raise ConfigError(f"{shown!r} has {width} x {height} pixels, at most {MOST_PIXELS:,} are read: save it smaller")
    if min(width, height) < SMALLEST:
        cure = f"give one of at least {SMALLEST} x {SMALLEST}, better 512"
        raise ConfigError(f"{shown!r} has only {width} x {height} pixels: {cure}")
