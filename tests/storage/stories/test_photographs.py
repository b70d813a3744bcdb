import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from storage.decoding.pictures import shape_as_seen
from storage.errors import ConfigError
from storage.stories.photographs import LARGEST, decoded, photograph

RED, BLUE = (220, 20, 20), (20, 20, 220)


def halves(mode: str = "RGB") -> Image.Image:
    """Red above blue, 96 x 64 pixels."""
    image = Image.new("RGB", (96, 64), RED)
    image.paste(BLUE, (0, 32, 96, 64))
    return image.convert(mode)


def saved(image: Image.Image, kind: str, **options: object) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def looks_like_halves(pixels: np.ndarray, within: int = 25) -> bool:
    high = pixels.shape[0]
    means = pixels[: high // 2 - 2].mean((0, 1)), pixels[high // 2 + 2 :].mean((0, 1))
    return all(np.abs(mean - colour).max() <= within for mean, colour in zip(means, (RED, BLUE), strict=True))


@pytest.mark.parametrize(
    "data",
    [
        saved(halves(), "JPEG", quality=95),
        saved(halves("CMYK"), "JPEG", quality=95),
        saved(halves("CMYK"), "TIFF"),
        saved(halves("P"), "PNG"),
        saved(halves("P"), "GIF"),
        saved(halves("RGBA"), "PNG"),
        saved(halves(), "WEBP", quality=95),
        saved(halves(), "AVIF", quality=95),
        saved(halves(), "BMP"),
        saved(halves(), "JPEG2000"),
        saved(halves(), "WEBP", save_all=True, append_images=[Image.new("RGB", (96, 64))], lossless=True),
        saved(halves(), "PNG", save_all=True, append_images=[Image.new("RGB", (96, 64))]),
        saved(halves(), "MPO", save_all=True, append_images=[Image.new("RGB", (96, 64))], quality=95),
    ],
    ids=[
        *("JPEG", "CMYK JPEG", "CMYK TIFF", "palette PNG", "GIF", "PNG with alpha", "WebP", "AVIF", "BMP", "JPEG 2000"),
        *("animated WebP", "animated PNG", "MPO of a phone"),
    ],
)
def test_pictures_of_phones_and_the_web_become_rgb(data):
    pixels = decoded(data, "ada")
    assert pixels.dtype == np.uint8
    assert pixels.shape == (64, 96, 3)
    assert looks_like_halves(pixels, within=40)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_says_which_side_is_up(kind, orientation):
    stored = {
        1: [],
        2: [Image.Transpose.FLIP_LEFT_RIGHT],
        3: [Image.Transpose.ROTATE_180],
        4: [Image.Transpose.FLIP_TOP_BOTTOM],
        5: [Image.Transpose.TRANSPOSE],
        6: [Image.Transpose.ROTATE_90],
        7: [Image.Transpose.TRANSVERSE],
        8: [Image.Transpose.ROTATE_270],
    }
    image = halves()
    for turn in stored[orientation]:
        image = image.transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(image, kind, exif=exif, quality=95)
    assert shape_as_seen(Image.open(BytesIO(data))) == (64, 96)
    pixels = decoded(data, "ada")
    assert pixels.shape == (64, 96, 3)
    assert looks_like_halves(pixels)


def test_broken_exif_and_a_broken_colour_profile_do_not_keep_a_picture_from_being_read():
    for options in ({"exif": b"Exif\x00\x00MM\x00*\xff\xff\xff\xff"}, {"icc_profile": b"no profile"}):
        assert looks_like_halves(decoded(saved(halves(), "JPEG", quality=95, **options), "ada"))


def test_the_colours_of_another_profile_become_srgb():
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB"))
    assert looks_like_halves(decoded(saved(halves(), "PNG", icc_profile=profile.tobytes()), "ada"))  # no profile of RGB
    swapped = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    r, b = swapped.index(b"rXYZ"), swapped.index(b"bXYZ")
    swapped[r : r + 4], swapped[b : b + 4] = b"bXYZ", b"rXYZ"  # red is blue in it
    swapped = swapped.replace(b"s\x00R\x00G\x00B", b"X\x00R\x00G\x00B")
    pixels = decoded(saved(halves(), "PNG", icc_profile=bytes(swapped)), "ada").astype(int)
    assert pixels[0, 0, 2] > pixels[0, 0, 0]


def test_sixteen_bits_keep_their_brightness():
    ramp = np.linspace(0, 65535, 96 * 64).reshape(64, 96).astype(np.uint16)
    for kind in ("PNG", "TIFF"):
        pixels = decoded(saved(Image.fromarray(ramp), kind), "ada")
        assert np.abs(pixels[..., 0] - ramp / 257).max() <= 1
    rows = b"".join(b"\x00" + np.repeat(ramp[y, :, None], 3, 1).astype(">u2").tobytes() for y in range(64))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 96, 64, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(rows)),
        (b"IEND", b""),
    ]
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    assert np.abs(decoded(png, "ada")[..., 1] - ramp / 257).max() <= 1


def test_what_is_clear_is_white():
    image = halves("RGBA")
    image.paste((0, 0, 0, 0), (0, 0, 96, 32))
    assert decoded(saved(image, "PNG"), "ada")[0, 0].tolist() == [255, 255, 255]


def test_a_large_photograph_becomes_smaller():
    assert decoded(saved(Image.new("L", (6000, 100)), "PNG"), "ada").shape == (68, LARGEST, 3)


def heif(brand: bytes) -> bytes:
    return b"\x00\x00\x00\x18ftyp" + brand + b"\x00" * 40


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is empty: copy it again"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is not a picture in a supported format"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 100 100\n", "is not a picture in a supported format"),
        (saved(halves(), "JPEG")[:300], "doesn't open"),
        (saved(halves(), "PNG")[:120], "doesn't open"),
        (saved(halves(), "AVIF").replace(b"av01", b"av02"), "doesn't open"),
        (saved(Image.new("RGB", (31, 500)), "PNG"), "'ada.jpg' has only 31 x 500 pixels: give one of at least 32 x 32"),
        (heif(b"heic"), "is HEIF (HEIC), which isn't read: save it as JPEG"),
        (heif(b"mif1"), "is HEIF"),
        (saved(Image.new("1", (30_000, 30_000)), "PNG"), "more pixels than are read"),
        (saved(Image.new("1", (13_370, 13_370)), "PNG"), "has 13370 x 13370 pixels"),
    ],
    ids=["empty", "SVG", "EPS", "half a JPEG", "half a PNG", "damaged AVIF", "tiny", "HEIC", "HEIF", "bomb", "large"],
)
def test_what_is_no_photograph_is_named_with_a_cure(data, said):
    with pytest.raises(ConfigError) as told:
        decoded(data, "ada.jpg")
    assert said in str(told.value)
    assert str(told.value).startswith("'ada.jpg'")
    assert str(told.value).count("ada.jpg") == 1


def test_a_file_is_read_and_named_where_it_cannot_be(tmp_path: Path):
    (tmp_path / "ada.jpg").write_bytes(saved(halves(), "JPEG", quality=95))
    assert looks_like_halves(photograph(tmp_path / "ada.jpg"))
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(ConfigError, match="can't be read"):
            photograph(path)
