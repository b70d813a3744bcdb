"""AVIs whose header names no codec, as ffmpeg writes HEVC there: libav takes their pictures for raw ones."""

import io
import re
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

from storage.errors import FilmError

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_FORMAT = re.compile(rb"strh....vids.*?strf....(.{14}(..))\0{4}", re.DOTALL)  # up to the codec; bits of a pixel
_HEADER = 1 << 16  # bytes
_PACKETS = 8  # that tell the codec
_TAGS = {"hevc": b"HEVC", "vvc": b"vvc1", "h264": b"H264"}


class Tagged(io.FileIO):
    """A file, read as if `tag` stood at `place`."""

    def __init__(self, path: Path, place: int, tag: bytes) -> None:
        super().__init__(path)
        self.name = f"file:{path}"
        self._place, self._tag = place, tag

    def read(self, size: int | None = -1) -> bytes:
        start = self.tell()
        data = bytearray(super().read(size) or b"")
        for index, byte in enumerate(self._tag, self._place - start):
            if 0 <= index < len(data):
                data[index] = byte
        return bytes(data)


def tagged(path: Path, container: "InputContainer") -> Tagged | None:
    """The file with the codec's name; None where the header names it, or its pictures are raw ones.

    Raises:
        FilmError: unknown_codec.
    """
    import av

    if not any(_is_raw(stream) for stream in container.streams.video):
        return None
    with path.open("rb") as file:
        found = _FORMAT.search(file.read(_HEADER))
    if found is None:
        return None
    with av.open(f"file:{path}", format="avi", options={"protocol_whitelist": "file"}) as again:
        stream = next(filter(_is_raw, again.streams.video))
        extradata = stream.codec_context.extradata
        packets = [packet for packet in islice(again.demux(stream), _PACKETS) if packet.size]
    largest = max((packet.size for packet in packets), default=0)
    if not packets or largest * 8 >= stream.width * stream.height * int.from_bytes(found[2], "little"):
        return None
    for codec, tag in _TAGS.items():
        if _decodes(codec, extradata, packets):
            return Tagged(path, found.end(1), tag)
    raise FilmError("unknown_codec", f"the header of {str(path)!r} names no video codec: convert it to H.264")


def _is_raw(stream: "VideoStream") -> bool:
    return stream.codec_context is not None and stream.codec_context.name == "rawvideo"


def _decodes(codec: str, extradata: bytes | None, packets: "list[Packet[VideoStream]]") -> bool:
    import av

    decoder = av.CodecContext.create(codec, "r")
    decoder.options, decoder.thread_count = {"err_detect": "explode"}, 1
    decoder.extradata = extradata
    try:
        return any(decoder.decode(packet) for packet in [*packets, None])
    except av.error.FFmpegError:
        return False
