"""A media file: opened, its moving picture chosen, and what is wrong with it in words."""

import os
import re
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from fractions import Fraction
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from storage.decoding.encryption import encryption, is_blu_ray
from storage.decoding.untagged import tagged
from storage.errors import FilmError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.stream import Stream
    from av.video.stream import VideoStream

SMALLEST_SIDE = 64  # pixels
LONGEST = 10_000_000  # seconds of a film, nearly four months: more is damage
_FROM_ZERO = ("matroska,webm", "flv", "live_flv", "nut")  # formats whose duration begins at 0
_NO_TIMES = 0x80  # FFmpeg's AVFMT_NOTIMESTAMPS: bare streams

_FORMATS = (  # hold their pictures themselves; playlists, scripts and patterns lead to other files and servers
    *(
        "3g2",
        "apng",
        "av1",
        "avi",
        "asf",
        "dv",
        "flv",
        "gif",
        "gxf",
        "h264",
        "hevc",
        "ivf",
        "live_flv",
        "m4v",
        "matroska",
    ),
    *("mjpeg", "mov", "mpeg", "mpegts", "mpegvideo", "mxf", "nsv", "nut", "obu", "ogg", "rm", "vc1", "vvc", "wtv"),
    "yuv4mpegpipe",
)
_PICTURES = ("AVIF", "BMP", "GIF", "ICO", "JPEG", "JPEG2000", "PNG", "PPM", "PSD", "TIFF", "WEBP")  # formats of Pillow
_JPEG = b"\xff\xd8\xff"
_OTHER_KINDS = {  # no films, but libav plays the pictures inside some of them
    "a PDF document": rb".{0,1000}?%PDF-\d",
    "an Office document": rb"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1",
    "a ZIP archive or document": rb"PK[\x03\x05]",
    "a RAR archive": rb"Rar!\x1a\x07",
    "a 7z archive": rb"7z\xbc\xaf\x27\x1c",
    "an LHA archive": rb"..-l[hz][0-9ds]-",
    "a gzip archive": rb"\x1f\x8b\x08",
    "a tar archive": rb".{257}ustar",
    "a cpio archive": rb"0707[01][127]",
    "an ar archive": rb"!<arch>\n",
    "a CAB archive": rb"MSCF\0\0\0\0",
    "a compressed file": rb"\xfd7zXZ\0|\x28\xb5\x2f\xfd|\x04\x22\x4d\x18|BZh[1-9]1AY",  # xz, zstd, lz4, bzip2
    "the image of a disc": rb".{32769}(CD001|BEA01)",
    "only sound (MP3)": rb"ID3",
    "only sound (FLAC)": rb"fLaC",
    "only sound (WAV)": rb"RIFF.{4}WAVE",
}
_ENCRYPTED = {"OpenSSL": b"Salted__", "age": b"age-encryption.org/", "PGP": b"-----BEGIN PGP MESSAGE-----"}
_MXF = rb"\x06\x0e\x2b\x34\x02\x05\x01.\x0d\x01\x02\x01\x01"  # begins the keys of all partitions and of their index
_BEGINNING = re.compile(  # of a film, in formats that tell it; libav goes on in the last three, but not from another
    rb"\0\0\0[\x10-\x7f]ftyp(?!jp[2hmx] )|FLV\x01[\0-\5]\0\0\0\x09|DKIF\0\0 \0|\.RMF\0\0\0|YUV4MPEG2 "
    rb"|nut/multimedia container\0"
    rb"|\x30\x26\xb2\x75\x8e\x66\xcf\x11\xa6\xd9|\xb7\xd8\x00\x20\x37\x49\xda\x11\xa6\x4e"  # ASF, WTV
    rb"|\x89PNG\r\n\x1a\n.{29,99}acTL|RIFF.{4}AVI |\x1aE\xdf\xa3.{1,40}?(?:matroska|webm)|OggS\0\x02"
    rb"|" + _MXF + rb"\x02",
    re.DOTALL,
)
_TAIL = 1 << 26  # bytes behind the last picture that are searched for another film
_CLOCK = re.compile(r"(\d+):(\d\d):(\d\d\.\d+)")
OPTIONS = {"protocol_whitelist": "file", "format_whitelist": ",".join(_FORMATS)}
"""With which files from outside are opened."""


@contextmanager
def opened(path: Path) -> Iterator[tuple["InputContainer", "VideoStream"]]:
    """The file's container and the picture that players show; nothing but the file is read, whatever it refers to.

    No other protocol than files, none of the formats that name other files, and no external media of a MOV.

    Raises:
        FilmError: missing, unreadable, not_a_video, truncated, no_video_stream, encrypted, unknown_codec or too_small;
            decode_failed for a picture without a size.
    """
    import av

    try:
        _refuse_other_kinds(path)
        container = _container(path)
    except (MemoryError, FilmError):  # the first says nothing of the file
        raise
    except (av.error.FFmpegError, OSError, ValueError) as error:
        raise _unopenable(path, error) from error
    with container:
        if scheme := encryption(path, container):
            raise FilmError("encrypted", f"{str(path)!r} is encrypted ({scheme})")
        yield container, _moving_picture(path, container)


def _refuse_other_kinds(path: Path) -> None:
    head = _head(path)
    for kind, beginning in _OTHER_KINDS.items():
        if re.match(beginning, head, re.DOTALL):
            raise FilmError("not_a_video", f"{str(path)!r} is not a video: it holds {kind}")
    for tool, beginning in _ENCRYPTED.items():
        if head.startswith(beginning):
            raise FilmError("encrypted", f"{str(path)!r} is encrypted ({tool})")
    with suppress(tarfile.HeaderError):  # of an old tar nothing is known but the sum of its header
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "replace")
        raise FilmError("not_a_video", f"{str(path)!r} is not a video: it holds a tar archive")


def _container(path: Path) -> "InputContainer":
    import av

    place, options = f"file:{path}", dict(OPTIONS)
    if end := _end_of_mxf(path):  # of others libav is to read nothing: it mixes the parts of joined ones
        place, options["protocol_whitelist"] = f"subfile,,start,0,end,{end},,:{place}", "file,subfile"
    container: InputContainer
    try:
        container = av.open(place, options=options, metadata_errors="replace")
    except MemoryError:
        raise
    except av.error.FFmpegError:
        if path.suffix.lower() != ".mjpeg" or not _head(path).startswith(_JPEG):
            raise
        container = av.open(place, format="mjpeg", options=dict(OPTIONS))  # libav took it for one picture
    if container.format.name == "avi" and (file := tagged(path, container)):
        container.close()
        container = av.open(file, format="avi", options=dict(OPTIONS), metadata_errors="replace")
    if container.format.name == "mjpeg" and not _head(path).startswith(_JPEG):
        container.close()
        raise ValueError("pictures inside of something else")
    return container


def path_of(container: "InputContainer") -> Path:
    """The file that was opened."""
    return Path(re.sub(r"(subfile,.*?,,:)?file:", "", container.name, count=1))


def _end_of_mxf(path: Path) -> int:
    """The byte at which an MXF ends by its own account; 0 if it gives none, and for other formats."""
    with path.open("rb") as file:
        if not re.match(_MXF + rb"\x02", file.read(16), re.DOTALL):
            return 0
        _klv_length(file)
        place = int.from_bytes(file.read(32)[24:])  # of the last partition, which its index follows
        while 0 < place < path.stat().st_size:
            file.seek(place)
            key = file.read(16)
            if not key.startswith(b"\x06\x0e\x2b\x34"):
                return 0
            length = _klv_length(file)
            place = file.tell() + length
            if re.match(_MXF + rb"\x11", key, re.DOTALL):
                return place
        return 0


def _klv_length(file: IO[bytes]) -> int:
    """The length that stands behind a key of an MXF; 0 behind the end of the file."""
    first = int.from_bytes(file.read(1))
    return int.from_bytes(file.read(first & 0x7F)) if first & 0x80 else first


def frame_rate(container: "InputContainer", stream: "VideoStream") -> Fraction:
    """Frames a second, as the codec says in a bare stream (.h264, .m2v), where libav takes 25 for the average.

    Elsewhere the lower of both: an AVI that was copied from another file counts ticks where it has no frames.
    """
    average, guessed = stream.average_rate, stream.guessed_rate
    if container.format.flags & _NO_TIMES:
        return guessed or average or Fraction(25)
    rates = [average or stream.codec_context.framerate, guessed]  # ASF tells no average
    return min(filter(None, rates), default=Fraction(25))


def _moving_picture(path: Path, container: "InputContainer") -> "VideoStream":
    """The default one, of several the largest; a still picture, as of an animated AVIF, where there is nothing else."""
    from av.stream import Disposition

    films = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not films:
        if lost := missing_end(path):
            raise FilmError("truncated", f"{str(path)!r} has no video stream that can be read: {lost}")
        types = {stream.type.replace("video", "a cover's picture") for stream in container.streams}
        kinds = ", ".join(sorted(types)) or "nothing"
        raise FilmError("no_video_stream", f"{str(path)!r} has no video stream, only: {kinds}")
    films = [stream for stream in films if stream.codec_context]
    if not films:
        raise FilmError("unknown_codec", f"the video codec of {str(path)!r} is unknown: convert it to H.264")
    stream = max(
        films, key=lambda film: (film.frames != 1, film.disposition & Disposition.default, film.width * film.height)
    )
    if not (stream.width and stream.height):
        raise FilmError("decode_failed", f"the header of {str(path)!r} does not give the picture's size")
    if min(stream.width, stream.height) < SMALLEST_SIDE:
        size = f"{stream.width}x{stream.height}"
        raise FilmError("too_small", f"{str(path)!r} is {size} pixels; {SMALLEST_SIDE}x{SMALLEST_SIDE} is the least")
    return stream


def told_length(container: "InputContainer", stream: "VideoStream") -> float | None:
    """Seconds from the first frame to the picture's end, as the header tells them; None where it doesn't.

    Sound may begin before the picture and go on behind it: of the picture's own length and the file's the shorter is
    told. Some formats count from 0, wherever the film begins; files whose duration is less than their beginning don't.
    """
    first, begin = seconds_of(stream.start_time, stream), (container.start_time or 0) / 1_000_000
    told = [seconds_of(stream.duration, stream), _tagged_end(stream) - first]
    if whole := (container.duration or 0) / 1_000_000:
        skipped = max(begin, 0) if container.format.name in _FROM_ZERO else 0
        told.append((whole - skipped if skipped < whole else whole) - max(0, first - begin))
    return min((seconds for seconds in told if 0 < seconds < LONGEST), default=None)


def seconds_of(ticks: int | None, stream: "Stream | Packet[Any]") -> float:
    """Ticks of a stream, or of a packet, in seconds; 0 where they are not known."""
    return float(ticks * stream.time_base) if ticks and stream.time_base else 0.0


def _tagged_end(stream: "VideoStream") -> float:
    """Seconds, as programs that write Matroska note them for each stream; 0 where they don't."""
    clock = _CLOCK.fullmatch(stream.metadata.get("DURATION", ""))
    return sum(float(part) * unit for part, unit in zip(clock.groups(), (3600, 60, 1), strict=True)) if clock else 0.0


def _unopenable(path: Path, error: Exception) -> FilmError:
    if not path.exists():
        return FilmError("missing", f"there is no file {str(path)!r}")
    if path.is_dir():
        return FilmError("not_a_video", f"{str(path)!r} is a folder, not a file")
    if not os.access(path, os.R_OK):
        return FilmError("unreadable", f"{str(path)!r} may not be read: check its permissions")
    if path.stat().st_size == 0:
        return FilmError("not_a_video", f"{str(path)!r} is empty (0 bytes)")
    if lost := missing_end(path):
        return FilmError("truncated", f"{str(path)!r} cannot be opened: {lost}")
    head = _head(path)
    if not any(head):
        kind = "zeros, as a download does that did not finish"
    elif _is_text(head[:4096]):
        kind = "text"
    elif is_blu_ray(path):
        return FilmError("encrypted", f"{str(path)!r} is encrypted (AACS)")
    elif picture := picture_instead(path):
        return picture
    else:
        kind = "no media format known here"
    return FilmError("not_a_video", f"{str(path)!r} is not a video: it holds {kind} ({type(error).__name__})")


def missing_end(path: Path) -> str:
    """What an MP4 or MOV lacks at its end, as a sentence; "" when it is whole, or another format."""
    size, at, kinds = path.stat().st_size, 0, []
    with path.open("rb") as file:
        while at + 8 <= size:
            file.seek(at)
            head = file.read(16)
            length, kind = int.from_bytes(head[:4], "big"), head[4:8]
            if at == 0 and kind != b"ftyp":
                return ""
            kinds.append(kind)
            if length == 1:
                length = int.from_bytes(head[8:], "big")
            elif length == 0:  # reaches to the end of the file
                length = size - at
            if length < 8:
                return "its structure is damaged"
            at += length
            if at > size:
                return f"its end is missing: it declares {at} bytes or more and has {size}"
    if not kinds or b"moov" in kinds or b"meta" in kinds:  # the second is a still picture's
        return ""
    return f"its end is missing: no index ('moov') in its {size} bytes"


def joined_on(path: Path, place: int) -> str:
    """What is said of a film that begins behind a place of the file, as `cat` joins files; "" if there is none."""
    with path.open("rb") as file:
        file.seek(place)
        found = _BEGINNING.search(file.read(_TAIL), 1)
    if not found:
        return ""
    where = f"at byte {place + found.start()} of {path.stat().st_size}"
    return f"another film is joined on {where} and left out: split the file there"


def _head(path: Path) -> bytes:
    if not path.is_file():
        return b""
    with path.open("rb") as file:
        return file.read(1 << 16)


def picture_instead(path: Path) -> FilmError | None:
    """The reason to leave out a picture that libav reads as no film, still or WebP; None for anything else."""
    from PIL import Image

    try:
        with Image.open(path, formats=_PICTURES) as image:
            kind = str(image.format).replace("WEBP", "WebP")
            animated = kind == "WebP" and getattr(image, "is_animated", False)
    except MemoryError:
        raise
    except Exception:  # of all kinds, for files that only begin like a picture
        return None
    if animated:
        cure = "convert it, as a recent ffmpeg does: ffmpeg -i film.webp film.mp4"
        return FilmError("not_a_video", f"{str(path)!r} is an animated {kind}, which is not supported: {cure}")
    return FilmError("not_a_video", f"{str(path)!r} is not a video: it holds a still picture ({kind})")


def _is_text(head: bytes) -> bool:
    return min(head, default=0) >= 9 and head.decode(errors="replace").count("\ufffd") < len(head) / 2
