"""How the frames of a stream are shown, which may change from one key frame to the next."""

from fractions import Fraction
from typing import TYPE_CHECKING

from storage.decoding.upright import View, own_view
from storage.errors import FilmError
from storage.films.films import credible_aspect

if TYPE_CHECKING:
    from av.packet import Packet
    from av.video.frame import VideoFrame
    from av.video.stream import VideoStream

_UNSAID = 2  # FFmpeg's name for each of the tags below
_MATRICES = frozenset({0, 1, 2, 4, 5, 6, 7, 9})  # that its scaler converts
_NEAREST = {10: 9, 3: _UNSAID, 12: _UNSAID, 13: _UNSAID}  # of constant luminance; reserved, and derived from primaries
_NO_PRIMARIES, _NO_TRANSFERS = frozenset({0, 3}), frozenset({0, 3, 9, 10})  # reserved, and logarithms: not converted


class Views:
    """Notes on each frame its view (storage.decoding.upright.view) and its colours.

    What a stream says of them holds until its next key frame. libav, though, tells rotation on key frames only, knows
    the aspect of pixels of what it reads, not of what it hands out, and gives frames that tell no colours those of what
    it reads.

    Raises:
        FilmError: decode_failed for colours that cannot be converted.
    """

    def __init__(self, stream: "VideoStream", name: str) -> None:
        self._name = name
        self._stream = stream
        self._view: View | None = None  # of the last frame
        self._colours = (0, 0, 0, 0)  # of the last frame
        self._aspect: Fraction | None = None  # of pixels, as the codec says in what is read
        self._changed: tuple[int | None, Fraction] | None = None  # the time of the frame with another aspect, and this

    def know(self, packet: "Packet[VideoStream]") -> None:
        """A packet that was given to the decoder."""
        if packet.is_keyframe:
            before, self._aspect = self._aspect, credible_aspect(self._stream.codec_context.sample_aspect_ratio)
            if before not in (None, self._aspect):
                self._changed = packet.pts, self._aspect

    def note(self, frame: "VideoFrame") -> None:
        """Frames come in order of presentation."""
        if frame.key_frame or frame.rotation or self._view is None:
            aspect = self._view.pixel_aspect if self._view else None
            if self._changed and self._changed[0] == frame.pts:
                (_, aspect), self._changed = self._changed, None
            self._view = own_view(frame)._replace(pixel_aspect=aspect)
            primaries = _UNSAID if frame.color_primaries in _NO_PRIMARIES else frame.color_primaries
            transfer = _UNSAID if frame.color_trc in _NO_TRANSFERS else frame.color_trc
            matrix = _NEAREST.get(frame.colorspace, frame.colorspace)
            if matrix not in _MATRICES:
                what = f"the colours of {self._name!r} cannot be converted (matrix {matrix} of H.273)"
                raise FilmError("decode_failed", f"{what}: convert it to BT.709")
            self._colours = frame.color_range, matrix, transfer, primaries
        frame.color_range, frame.colorspace, frame.color_trc, frame.color_primaries = self._colours
        frame.opaque = View(*self._view)  # PyAV wants an object for each frame
