"""Pictures of a film: upright, in the right colours, cropped about the centre, resized; and pictures of one's own."""

import struct
from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms

from storage.decoding.bars import Bars
from storage.decoding.hdr import HLG, PQ, to_sdr
from storage.decoding.packed import packed
from storage.decoding.upright import lies_sideways, upright

if TYPE_CHECKING:
    from av.filter import Graph
    from av.video.frame import VideoFrame

_LUMA_SIZE = (112, 64)  # on which motion is measured
_HD_HEIGHT = 720  # films of this height and more are in BT.709 when they don't say
_UNSPECIFIED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED
_CLOCK = Fraction(1, 1000)
_SCALING = "bicubic+accurate_rnd+full_chroma_int+full_chroma_inp"

_ORIENTATION = 0x0112  # EXIF's tag
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}

Pixels = NDArray[np.uint8]
"""RGB [height, width, 3], or luma [height, width]."""


class Developer:
    """Makes keyframes of frames: the largest centred part of the shape width : height, as an RGB picture of that size.

    Interlaced frames become whole, high dynamic range becomes ordinary, what is transparent becomes black.

    Args:
        pixel_aspect: width of one of the frame's pixels in heights.
        bars: what to leave out.
    """

    def __init__(self, width: int, height: int, pixel_aspect: Fraction, bars: Bars) -> None:
        from av.video.reformatter import VideoReformatter

        self._size = (width, height)
        self._pixel_aspect = pixel_aspect
        self._bars = bars
        self._graphs: dict[object, Graph] = {}
        self._scaler = VideoReformatter()  # a frame's own would last for one frame

    def keyframe(self, frame: "VideoFrame") -> Pixels:
        """The frame's picture; frames of one film may differ in size, format and rotation."""
        return upright(self._developed(frame, lies_sideways(frame)), frame)

    def whole(self, frame: "VideoFrame") -> Pixels:
        """Luma [height, width], small and in any shape, of all that the bars leave: copies may be cropped otherwise."""
        width, height = _LUMA_SIZE
        small = packed(self._scaler.reformat(frame, width, height, "gray", interpolation="AREA", threads=1), 1)
        bars = self._bars
        left, right = round(bars.left * width), width - round(bars.right * width)
        return upright(small[round(bars.top * height) : height - round(bars.bottom * height), left:right], frame)

    def _developed(self, frame: "VideoFrame", sideways: bool) -> Pixels:
        wide_range = frame.color_trc in (PQ, HLG)
        alpha = any(component.is_alpha for component in frame.format.components)
        layout = "rgb48le" if wide_range else "rgba" if alpha else "rgb24"
        colours = (frame.colorspace, frame.color_range, frame.color_trc, frame.color_primaries)
        look = (frame.width, frame.height, frame.format.name, *colours, sideways)
        if frame.interlaced_frame:
            graph = self._graph(frame, layout, sideways)  # it sees one frame, so it can't wait for the next
            graph.push(frame)
            graph.push(None)
        else:
            if look not in self._graphs:
                self._graphs[look] = self._graph(frame, layout, sideways)
            graph = self._graphs[look]
            graph.push(frame)
        developed: Any = graph.pull()
        if layout == "rgb24":
            return packed(developed, 3).reshape(developed.height, developed.width, 3)
        image = developed.to_ndarray()
        if wide_range:
            return to_sdr(image, frame.color_trc)
        clear = Image.fromarray(image)
        black = Image.new("RGBA", clear.size, (0, 0, 0, 255))
        return np.asarray(Image.alpha_composite(black, clear).convert("RGB"))

    def _graph(self, frame: "VideoFrame", pixels: str, sideways: bool) -> "Graph":
        from av.filter import Graph

        width, height = reversed(self._size) if sideways else self._size
        options = f"{width}:{height}:flags={_SCALING}:out_range=pc"
        if frame.colorspace == _UNSPECIFIED and frame.height >= _HD_HEIGHT:
            options += ":in_color_matrix=bt709"
        graph = Graph()
        graph.threads = 1
        nodes = [graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base=_CLOCK)]
        if frame.interlaced_frame:
            nodes.append(graph.add("estdif", "mode=frame"))
        nodes.append(graph.add("crop", "{}:{}:{}:{}".format(*self._part(frame, width / height))))
        nodes.append(graph.add("scale", options))
        nodes.append(graph.add("format", pixels))
        nodes.append(graph.add("buffersink"))
        graph.link_nodes(*nodes)
        graph.configure()
        return graph

    def _part(self, frame: "VideoFrame", shape: float) -> tuple[int, int, int, int]:
        """Width, height, left and top of what is kept, even numbers of the frame's own pixels."""
        shape /= float(self._pixel_aspect)
        bars = self._bars
        inner_wide, inner_high = (1 - bars.left - bars.right) * frame.width, (1 - bars.top - bars.bottom) * frame.height
        wide, high = min(inner_wide, inner_high * shape), min(inner_high, inner_wide / shape)
        left = bars.left * frame.width + (inner_wide - wide) / 2
        top = bars.top * frame.height + (inner_high - high) / 2
        width, height = min(_even(wide), frame.width // 2 * 2), min(_even(high), frame.height // 2 * 2)
        left, top = _even(left + (wide - width) / 2), _even(top + (high - height) / 2)
        return width, height, min(left, frame.width - width), min(top, frame.height - height)


def luma(image: Pixels) -> np.ndarray:
    """[64, 112] uint8, small enough that noise and film grain do not count as motion."""
    import cv2

    gray = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small: np.ndarray = cv2.resize(gray, _LUMA_SIZE, interpolation=cv2.INTER_AREA)
    return small


def encode(image: Pixels, quality: int) -> bytes:
    """WebP; at quality 90 a keyframe of 896x512 takes 20 to 60 KB and 30 ms."""
    file = BytesIO()
    Image.fromarray(image).save(file, "WEBP", quality=quality, method=2)
    return file.getvalue()


def decode(data: bytes) -> np.ndarray:
    """uint8 RGB [height, width, 3] of the bytes of a WebP, JPEG or PNG."""
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def as_seen(image: Image.Image) -> Pixels:
    """A picture as viewers show it: upright by its EXIF or XMP, in sRGB by its colour profile, on white where clear.

    Raises:
        OSError, ValueError, SyntaxError: it is cut off or damaged.
    """
    image.load()  # by which Pillow turns a TIFF itself
    upright = _upright(image)
    if upright.mode.startswith("I"):  # 16 bits, which Pillow would cut at 255
        values = np.clip(np.asarray(upright, np.float32) / 257, 0, 255)
        upright = Image.fromarray(values.round().astype(np.uint8))
    if upright.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = upright.convert("RGBA")
        upright = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")
    return np.asarray(_in_srgb(upright, image.info.get("icc_profile")).convert("RGB"))


def shape_as_seen(image: Image.Image) -> tuple[int, int]:
    """Height and width that `as_seen` gives to a picture, by its header alone."""
    sideways = _orientation(image) > 4 and image.format != "TIFF"  # whose size is the upright one
    return (image.width, image.height) if sideways else (image.height, image.width)


def _upright(image: Image.Image) -> Image.Image:
    orientation = _orientation(image)
    return image.transpose(_TURNS[orientation]) if orientation in _TURNS else image


def _orientation(image: Image.Image) -> int:
    """1 to 8; 1, upright, also where no EXIF can be read."""
    try:
        found = image.getexif().get(_ORIENTATION)
    except (OSError, ValueError, SyntaxError, TypeError, struct.error):
        return 1
    return found if isinstance(found, int) else 1


def _in_srgb(image: Image.Image, profile: bytes | None) -> Image.Image:
    """The picture with the colours that its profile means; without one, or with a damaged one, as it is."""
    if not profile or image.mode not in ("RGB", "CMYK", "L"):
        return image
    try:
        own = ImageCms.ImageCmsProfile(BytesIO(profile))
        if "sRGB" in ImageCms.getProfileDescription(own):
            return image
        converted = ImageCms.profileToProfile(image, own, ImageCms.createProfile("sRGB"), outputMode="RGB")
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image
    return converted or image


def _even(pixels: float) -> int:
    return 2 * max(0, round(pixels / 2))
