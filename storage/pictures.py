"""Pictures of a film: upright, in the right colours, cropped about the centre, resized; and their bytes."""

from fractions import Fraction
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from av.video.frame import VideoFrame

_LUMA_SIZE = (112, 64)  # on which motion is measured
_HD_HEIGHT = 720  # films of this height and more are in BT.709 when they don't say
_UNSPECIFIED = 2  # FFmpeg's AVCOL_SPC_UNSPECIFIED


def keyframe(frame: "VideoFrame", pixel_aspect: Fraction, width: int, height: int) -> Image.Image:
    """The largest centred part of a frame with the shape width : height, as an RGB picture of that size.

    Args:
        pixel_aspect: width of one of the frame's pixels in heights.
    """
    image = _rgb(frame)
    aspect = float(pixel_aspect)
    match round(frame.rotation / 90) % 4:  # counterclockwise quarters that the film asks for
        case 1:
            image, aspect = image.transpose(Image.Transpose.ROTATE_90), 1 / aspect
        case 2:
            image = image.transpose(Image.Transpose.ROTATE_180)
        case 3:
            image, aspect = image.transpose(Image.Transpose.ROTATE_270), 1 / aspect
    shape = width / height / aspect  # wanted, in the picture's own pixels
    wide, high = min(image.width, image.height * shape), min(image.height, image.width / shape)
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    box = (left, top, left + wide, top + high)
    return image.resize((width, height), Image.Resampling.LANCZOS, box=box, reducing_gap=3.0)


def luma(image: Image.Image) -> np.ndarray:
    """[64, 112] uint8, small enough that noise and film grain do not count as motion."""
    return np.asarray(image.convert("L").resize(_LUMA_SIZE, Image.Resampling.BOX))


def encode(image: Image.Image, quality: int) -> bytes:
    """WebP; at quality 90 a keyframe of 896x512 takes 20 to 60 KB and 30 ms."""
    file = BytesIO()
    image.save(file, "WEBP", quality=quality, method=2)
    return file.getvalue()


def decode(data: bytes) -> np.ndarray:
    """uint8 RGB [height, width, 3] of the bytes of a WebP, JPEG or PNG."""
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image.convert("RGB"))


def _rgb(frame: "VideoFrame") -> Image.Image:
    from av.video.reformatter import Colorspace

    silent = frame.colorspace == _UNSPECIFIED
    source = Colorspace.ITU709 if silent and frame.height >= _HD_HEIGHT else None
    return Image.fromarray(frame.to_ndarray(format="rgb24", src_colorspace=source, threads=1))
