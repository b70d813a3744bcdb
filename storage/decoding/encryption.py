"""Whether a film's pictures are encrypted: what decodes of them is noise, or only what the scheme leaves clear.

The container's own marks count. Transport and program streams have theirs in each packet, which libav keeps to itself,
so pieces of the file from its beginning to its end are looked at here. A film that was copied may have lost its marks.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.stream import VideoStream

_PIECES, _PIECE = 16, 1 << 16  # of a file, and bytes of each
_SHARE = 0.05  # of the packets of pictures that must be marked: one alone is damage
_SYNC, _TS_SIZES = 0x47, (188, 192, 204)  # first byte of a transport packet; bytes from one to the next
_IN_STEP = 0.9  # share of the packets that begin so
_UNIT, _COPY_BITS = 6144, 0xC0  # bytes that AACS encrypts at a time; what its first packet says of copies
_SAMPLE_AES = 0xDB  # stream type of H.264
_PES_OF_PICTURES = re.compile(rb"\x00\x00\x01\xba.{10}\x00\x00\x01[\xe0-\xef]..([\x80-\xbf])", re.DOTALL)  # in a pack
_SLICES = {"h264": frozenset((1, 5)), "hevc": frozenset((*range(10), *range(16, 22)))}  # types of units
_NOISY_BITS, _FEWEST_BITS = 0.25, 8  # share of first bits that must be wrong (half are right by chance), of how many
_UNEVEN = 4  # a byte of noise is not that many times as frequent as others
_FAIRPLAY = re.compile(rb"stsd.{12}drmi", re.DOTALL)
_WINDOWS_MEDIA_DRM = tuple(  # GUIDs of objects in an ASF's header
    bytes.fromhex(guid)
    for guid in (
        *("fbb3112223bdd211b4b700a0c955fc6e", "14e68a292226174cb935dae07ee9289c"),
        "335805438169e6499b74ad12cb86d58c",
    )
)


def encryption(path: Path, container: "InputContainer") -> str:
    """The scheme by which the moving pictures are encrypted; "" where the file as a whole tells none.

    Raises:
        OSError: when the file cannot be read.
    """
    name = container.format.name
    if any("enc_key_id" in stream.metadata for stream in container.streams.video):
        return "Matroska's encryption"
    if name == "mpegts":
        return _of_transport_stream(path, {stream.id for stream in container.streams.video})
    if name == "mpeg" and _is_scrambled(_program_marks(path)):
        return "CSS"
    if name.startswith("asf"):
        head = next(_pieces(path))
        return "Windows Media DRM" if any(mark in head for mark in _WINDOWS_MEDIA_DRM) else ""
    if "mp4" in name and any(not stream.codec_context for stream in container.streams.video):
        return "FairPlay" if any(_FAIRPLAY.search(piece) for piece in _pieces(path)) else ""
    return ""


def is_encrypted(packet: "Packet[VideoStream]") -> bool:
    """Whether the container marks this packet: a film may begin in the clear."""
    return packet.has_sidedata("encryption_info")


def is_noise(container: "InputContainer", stream: "VideoStream") -> bool:
    """Whether what does not decode is noise in whole packets, as in the copy of an encrypted film that lost its marks.

    Common Encryption leaves clear where a packet's units begin, their first byte or two, and often the headers of
    slices. Each picture's first slice then begins with a bit that is 1 in the clear, and noise otherwise; or its key
    frames fail, though all packets are whole. Some programs encrypt packets as a whole: no zeros of lengths are left.
    """
    context = stream.codec_context
    if context.name not in _SLICES:
        return False
    length = _length_bytes(context.name, context.extradata or b"")
    packets, broken, zeros, keys, failed, bits = 0, 0, 0, 0, 0, list[bool]()
    counts_B = np.zeros(256, np.int64)  # of each byte
    for packet in container.demux(stream):
        if not packet.size:
            continue
        data = bytes(packet)
        units = _units(data, length)
        packets, broken, zeros = packets + 1, broken + (not units), zeros + data.count(b"\0\0")
        counts_B += np.bincount(np.frombuffer(data, np.uint8), minlength=256)
        bits += [first for unit in units if (first := _first_bit(context.name, unit)) is not None][:1]
        if packet.is_keyframe:
            keys, failed = keys + 1, failed + (not _decodes(packet, stream))
    if len(bits) >= _FEWEST_BITS and bits.count(False) > _NOISY_BITS * len(bits):
        return True
    if broken > packets / 2:
        return zeros < packets / 4 and bool(counts_B.max() < _UNEVEN * counts_B.mean())
    return length > 0 and not broken and failed == keys > 0


def is_blu_ray(path: Path) -> bool:
    """Whether a file is a Blu-ray's stream as AACS encrypts it: of each unit only the first bytes are clear."""
    with path.open("rb") as file:
        data = file.read(4 * _UNIT)
    starts = [data[at : at + 5] for at in range(0, len(data) - 4, _UNIT)]
    return bool(starts) and all(start[4] == _SYNC and start[0] & _COPY_BITS for start in starts)


def _length_bytes(codec: str, extradata: bytes) -> int:
    """Bytes of the length in front of each unit; 0 where start codes part them."""
    place = 4 if codec == "h264" else 21
    return (extradata[place] & 3) + 1 if extradata[:1] == b"\1" and len(extradata) > place else 0


def _units(data: bytes, length: int) -> list[bytes]:
    """The units of a packet; none if their lengths don't add up to its own."""
    if not length:
        return data.split(b"\0\0\1")[1:]
    units, at = [], 0
    while at < len(data):
        end = at + length + int.from_bytes(data[at : at + length])
        units.append(data[at + length : end])
        at = end
    return units if at == len(data) else []


def _first_bit(codec: str, unit: bytes) -> bool | None:
    """Of a slice, the first bit behind the unit's header; None of any other unit."""
    header = 1 if codec == "h264" else 2
    if len(unit) <= header or (unit[0] & 0x1F if header == 1 else unit[0] >> 1 & 0x3F) not in _SLICES[codec]:
        return None
    return unit[header] >= 0x80


def _decodes(packet: "Packet[VideoStream]", stream: "VideoStream") -> bool:
    """Whether a key frame decodes by itself, without any error."""
    import av

    decoder = av.CodecContext.create(stream.codec_context.name, "r")
    decoder.extradata, decoder.options = stream.codec_context.extradata, {"err_detect": "explode"}
    decoder.thread_count = 1
    try:
        return bool([*decoder.decode(packet), *decoder.decode(None)])
    except av.error.FFmpegError:
        return False


def _pieces(path: Path) -> Iterator[bytes]:
    size = path.stat().st_size
    with path.open("rb") as file:
        for start in np.unique(np.linspace(0, max(0, size - _PIECE), _PIECES, dtype=np.int64)):
            file.seek(int(start))
            yield file.read(_PIECE)


def _is_scrambled(marks: list[bool]) -> bool:
    return sum(marks) > _SHARE * len(marks)


def _program_marks(path: Path) -> list[bool]:
    return [bool(found[1][0] & 0x30) for piece in _pieces(path) for found in _PES_OF_PICTURES.finditer(piece)]


def _of_transport_stream(path: Path, pids: set[int]) -> str:
    marks: list[bool] = []
    for piece in _pieces(path):
        packets = _transport_packets(piece)
        if packets is None:
            continue
        if any(_SAMPLE_AES in _stream_types(bytes(packet)) for packet in packets[_are_program_maps(packets)]):
            return "SAMPLE-AES"
        pid = (packets[:, 1].astype(int) & 0x1F) << 8 | packets[:, 2]
        marks += (packets[np.isin(pid, list(pids)), 3] >= 0x40).tolist()
    return "a transport stream's scrambling" if _is_scrambled(marks) else ""


def _transport_packets(piece: bytes) -> np.ndarray | None:
    """uint8 [packets, 188] from the first on that is whole; None where there are none."""
    data = np.frombuffer(piece, np.uint8)
    for size in _TS_SIZES:
        for first in range(min(size, len(data))):
            count = (len(data) - first) // size  # of whole packets
            if count and (data[first : first + count * size : size] == _SYNC).mean() > _IN_STEP:
                starts = first + size * np.arange(count)
                packets: np.ndarray = data[starts[data[starts] == _SYNC, None] + np.arange(_TS_SIZES[0])]
                return packets
    return None


def _are_program_maps(packets: np.ndarray) -> np.ndarray:
    """[packets] whether each begins one of the tables that tell the streams' types."""
    alone = (packets[:, 1] & 0x40 > 0) & (packets[:, 3] & 0x30 == 0x10)
    result: np.ndarray = alone & (packets[:, 4] == 0) & (packets[:, 5] == 2) & (packets[:, 6] & 0xF0 == 0xB0)
    return result


def _stream_types(packet: bytes) -> set[int]:
    table = packet[5:]
    end = 3 + (int.from_bytes(table[1:3], "big") & 0xFFF) - 4  # without its checksum
    at, types = 12 + (int.from_bytes(table[10:12], "big") & 0xFFF), set()
    while at + 5 <= min(end, len(table)):
        types.add(table[at])
        at += 5 + (int.from_bytes(table[at + 3 : at + 5], "big") & 0xFFF)
    return types
