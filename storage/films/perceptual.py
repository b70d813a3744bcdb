"""What a film looks like, in 63 bits a frame: the same for its re-encoded, rescaled, letterboxed and mirrored copies.

Frames are taken at fixed shares of the film's length, so a copy whose beginning or end was cut off is another film
here; storage.films.passages finds it by its keyframes.

Shapes: F frames of N films.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from storage.decoding.container import opened, told_length
from storage.decoding.upright import upright

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

Pixels = NDArray[np.float32]
Bits = NDArray[np.uint64]
Told = NDArray[np.bool_]

FRAMES = 8
VERSION = 5  # of what follows, and of what storage.films.hashing keeps with it: those of another one are made anew
BITS = 14  # of 63, by which two pictures of one moment may differ: copies 0-14 where cut fast, other films from 20
SHARE = 0.75  # of the frames that can be compared must be alike
_SCREEN = 3  # frames of which one is alike, or cannot be compared, when SHARE of at most FRAMES is
FEWEST = 4  # frames that must be comparable
MIRROR = 0x5555_5555_5555_5555  # bits of a look that change when its picture is mirrored, but for a few

_LOOK = (160, 96)  # pixels at which borders are looked for
_SIDE, _KEPT = 32, 8  # of the picture that is transformed, and of the frequencies that are kept
_BLACK = 28  # luma of a border, at most
_FLAT = 6.0  # deviation of luma below which a picture says nothing: black, white, fog
_PLAIN, _LOST = "-", "x"
_EARLIER = (0.0, 1.0, 5.0, 15.0, 45.0)  # seconds before the time of a picture at which reading begins


def perceptual_hash(path: Path | str) -> str:
    """FRAMES hashes of 16 hex digits, joined by dots; "" where there are none.

    "-" stands for a picture that says nothing, "x" for one that does not decode.

    Raises:
        FilmError: as storage.decoding.container.opened does.
    """
    with opened(Path(path)) as (container, stream):
        frames = _frames(container, stream)
    seen = [frame for frame in frames if frame is not None]
    if not seen:
        return ""
    cropped = iter(_without_borders(np.stack(seen)))
    return ".".join(_LOST if frame is None else _hash(next(cropped)) for frame in frames)


def lost_pictures(phash: str) -> int:
    """How many of a film's pictures did not decode: of a film and a piece of it, the film is the one to keep."""
    return phash.split(".").count(_LOST)


def near_duplicates(hashes: Sequence[str]) -> dict[int, int]:
    """place -> the earliest place of a film that looks the same; films that are near to none are not in it.

    A film that is a near duplicate of an earlier one is never itself the original of a later one.
    """
    found: dict[int, int] = {}
    for later, earlier in near_pairs(hashes):
        if later not in found and earlier not in found:
            found[later] = earlier
    return found


def near_pairs(hashes: Sequence[str]) -> Iterator[tuple[int, int]]:
    """(later place, earlier place) of all pairs of films that look the same, one of them mirrored or not, sorted."""
    bits_FN, told_FN = _parsed(hashes)
    for place in range(1, len(hashes)):
        earlier = bits_FN[:, :place], told_FN[:, :place]
        plain = _alike(*earlier, bits_FN[:, place], told_FN[:, place])
        mirrored = _alike(*earlier, bits_FN[:, place] ^ np.uint64(MIRROR), told_FN[:, place])
        for near in np.union1d(plain, mirrored):
            yield place, int(near)


def alike(one: str, other: str) -> bool:
    """Whether two perceptual hashes are of the same film."""
    return bool(near_duplicates([one, other]))


def _alike(bits_FN: Bits, told_FN: Told, bits_F: Bits, told_F: Told) -> NDArray[np.intp]:
    """Places of those of N films that look like one more."""
    places = np.flatnonzero(_may_be_alike(bits_FN, told_FN, bits_F, told_F))
    compared_FN = told_FN[:, places] & told_F[:, None]
    near_FN = (np.bitwise_count(bits_FN[:, places] ^ bits_F[:, None]) <= BITS) & compared_FN
    compared_N = compared_FN.sum(axis=0)
    same_N: Told = (compared_N >= FEWEST) & (near_FN.sum(axis=0) >= SHARE * compared_N)
    return places[same_N]


def _may_be_alike(bits_FN: Bits, told_FN: Told, bits_F: Bits, told_F: Told) -> Told:
    """[N] false where a film is surely another: of alike films one of any three pictures is alike."""
    maybe_N = np.zeros(bits_FN.shape[1], np.bool_)
    for frame in range(_SCREEN):
        untold_N = ~(told_FN[frame] & told_F[frame])
        maybe_N |= untold_N | (np.bitwise_count(bits_FN[frame] ^ bits_F[frame]) <= BITS)
    return maybe_N


def _parsed(hashes: Sequence[str]) -> tuple[Bits, Told]:
    """[F, N] the bits, and whether the picture says anything."""
    bits_FN = np.zeros((FRAMES, len(hashes)), np.uint64)
    told_FN = np.zeros((FRAMES, len(hashes)), np.bool_)
    for place, text in enumerate(hashes):
        for frame, digits in enumerate(text.split(".") if text else ()):
            if digits not in (_PLAIN, _LOST):
                bits_FN[frame, place], told_FN[frame, place] = int(digits, 16) >> 1, True
    return bits_FN, told_FN


def _frames(container: "InputContainer", stream: "VideoStream") -> list[Pixels | None]:
    """Luma [H, W] of one picture from the middle of each of FRAMES equal parts of the film, None for a damaged one."""
    length = told_length(container, stream)
    if length is None:
        return []
    stream.codec_context.skip_frame = "NONREF"  # a picture more or less makes no difference
    start = float((stream.start_time or 0) * (stream.time_base or 0))
    frames: list[Pixels | None] = []
    for place in range(FRAMES):
        frame = _frame_at(container, stream, start, start + length * (place + 0.5) / FRAMES)
        if frame is None:
            frames.append(None)
            continue
        small = frame.reformat(*_LOOK, format="gray", interpolation="AREA").to_ndarray().astype(np.float32)
        turned = upright(small, frame)
        frames.append(_resized(turned, _LOOK) if turned.shape != small.shape else turned)
    return frames


def _frame_at(container: "InputContainer", stream: "VideoStream", start: float, at: float) -> "VideoFrame | None":
    """The first picture at or after a time, in seconds; None where none decodes.

    Formats without an index are entered inside a group of frames, which shows nothing, or nothing right, before the
    next key frame. Where no key frame is near before the time, the first one behind it is taken, if it is as near.
    """
    import av

    for earlier in _EARLIER:
        by = at + earlier if earlier == _EARLIER[-1] else at
        try:
            container.seek(int(max(min(start, 0.0), at - earlier) * 1_000_000))
            for frame in _from_key_frame(container.demux(stream), by):
                if frame.time is not None and frame.time >= at:
                    return frame
        except (av.error.FFmpegError, OverflowError):  # a time that no file has
            continue
    return None


def _from_key_frame(packets: "Iterator[Packet[VideoStream]]", by: float) -> "Iterator[VideoFrame]":
    """All frames from the first key frame on; none if it is later than `by` seconds."""
    for packet in packets:
        if packet.pts is not None and packet.time_base is not None and packet.pts * packet.time_base > by:
            return
        if packet.is_keyframe:
            yield from packet.decode()
            break
    for packet in packets:
        yield from packet.decode()


def _without_borders(frames_FHW: Pixels) -> list[Pixels]:
    """Cuts off the rows and columns that are black in all frames: letterbox and pillarbox."""
    brightest_HW = frames_FHW.max(axis=0)
    rows = np.flatnonzero(np.percentile(brightest_HW, 95, axis=1) > _BLACK)
    columns = np.flatnonzero(np.percentile(brightest_HW, 95, axis=0) > _BLACK)
    if len(rows) < _SIDE or len(columns) < _SIDE:
        return list(frames_FHW)
    return [frame[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1] for frame in frames_FHW]


def _hash(picture_HW: Pixels) -> str:
    bits = look(picture_HW)
    return f"{bits << 1:016x}" if bits else _PLAIN


def look(picture_HW: Pixels) -> int:
    """63 bits of what a picture shows, from its luma in 0-255; 0 where it says nothing."""
    small = _resized(picture_HW, (_SIDE, _SIDE))
    if small.std() < _FLAT:
        return 0
    waves = _cosines()
    low = (waves @ small @ waves.T).reshape(-1)[1:]  # without the mean
    return int("".join("1" if bit else "0" for bit in low > np.median(low)), 2)


def _cosines() -> Pixels:
    """The first _KEPT waves of the discrete cosine transform, [_KEPT, _SIDE]."""
    places = (np.arange(_SIDE) + 0.5) * np.pi / _SIDE
    waves: Pixels = np.cos(np.arange(_KEPT)[:, None] * places).astype(np.float32)
    return waves


def _resized(picture_HW: Pixels, size: tuple[int, int]) -> Pixels:
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(picture_HW)).resize(size, Image.Resampling.BOX))
