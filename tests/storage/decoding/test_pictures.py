"""Pictures as one would see them: of fields, of a wide range, of glass."""

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from PIL import Image

from storage.decoding.bars import Bars
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.hdr import HLG, PQ, to_sdr
from storage.decoding.pictures import Developer, decode
from storage.errors import FilmError

SMALL = KeyframesConfig(width=448, height=256)


def images(path):
    with decode_film(path, SMALL) as film:
        return [decode(data).astype(float) for data in film.rows()["image"].to_pylist()]


def combs(image):
    """Mean change from each row to the next over that to the one after it: large where fields differ."""
    gray = image.mean(axis=-1)
    return np.abs(np.diff(gray, axis=0)).mean() / np.abs(gray[2:] - gray[:-2]).mean()


def test_interlaced_frames_become_whole(tmp_path, ffmpeg):
    moving = ("-f", "lavfi", "-i", "testsrc2=size=448x256:rate=50:duration=3")
    codec = ("-c:v", "libx264", "-flags", "+ilme+ildct", "-x264opts", "tff=1")
    path = ffmpeg(*moving, "-vf", "tinterlace=interleave_top,setfield=tff", *codec, tmp_path / "fields.mp4")
    plain = ffmpeg("-i", path, "-vf", "setfield=prog", "-c:v", "libx264", "-qp", 10, tmp_path / "plain.mp4")
    whole, combed = images(path)[1], images(plain)[1]
    assert combs(combed) > 1.2 * combs(whole)


@pytest.mark.parametrize(("transfer", "white", "gray"), [(PQ, 0.5806, 0.4), (HLG, 0.75, 0.4)])
def test_hdr_becomes_sdr(transfer, white, gray):
    levels = np.array([0, gray, white, 1.0]) * 65535
    picture = np.repeat(levels.astype(np.uint16)[None, :, None], 3, axis=2)
    black, middle, paper, peak = to_sdr(picture, transfer)[0, :, 0].tolist()
    assert black == 0
    assert 80 < middle < 190
    assert 215 < paper < peak == 255  # paper white keeps its place below the highlights
    assert len({tuple(pixel) for pixel in to_sdr(picture, transfer)[0].tolist()}) == 4


def test_a_wide_range_film_looks_like_the_ordinary_one(tmp_path, ffmpeg):
    """A grey of 60 candela in PQ, and a green that BT.709 can show."""
    path = ffmpeg(
        *("-f", "lavfi", "-i", "color=0x787878:size=448x256:rate=5:duration=2,format=yuv420p10le"),
        *("-vf", "setparams=color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc:range=tv"),
        *("-c:v", "libx265", "-x265-params", "log-level=none:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc"),
        tmp_path / "wide.mp4",
    )
    level = 0x78 / 255
    power = level ** (32 / 2523)
    light = 10_000 * ((power - 3424 / 4096) / (2413 / 128 - 2392 / 128 * power)) ** (16384 / 2610)
    linear = light / 203
    want = 255 * (1.055 * linear ** (1 / 2.4) - 0.055)
    assert np.abs(images(path)[0].mean(axis=(0, 1)) - want).max() < 6


def tagged(ffmpeg, path, tag):
    options = ("-c:v", "libx264", "-bsf:v", f"h264_metadata={tag}")
    return ffmpeg("-f", "lavfi", "-i", "color=0x40a0c0:s=128x72:r=10:d=2", "-pix_fmt", "yuv420p", *options, path)


@pytest.mark.parametrize("tag", ["matrix_coefficients=3", "transfer_characteristics=0", "colour_primaries=3"])
def test_tags_of_colours_that_mean_nothing_count_as_none(tmp_path, ffmpeg, tag):
    plain, odd = (
        decode_film(tagged(ffmpeg, tmp_path / name, tags), SMALL).rows()["image"].to_pylist()
        for name, tags in (("plain.mp4", "matrix_coefficients=2"), ("odd.mp4", tag))
    )
    assert odd == plain


def test_colours_that_cannot_be_converted_are_named(tmp_path, ffmpeg):
    with pytest.raises(FilmError, match=r"decode_failed: the colours of .* \(matrix 14 of H.273\)"):
        decode_film(tagged(ffmpeg, tmp_path / "ictcp.mp4", "matrix_coefficients=14"), SMALL)


def test_what_is_transparent_is_black(tmp_path, ffmpeg):
    glass = "color=red:size=448x256:rate=5:duration=2,format=rgba,colorchannelmixer=aa=0.5"
    path = ffmpeg("-f", "lavfi", "-i", glass, "-c:v", "qtrle", "-pix_fmt", "argb", tmp_path / "glass.mov")
    assert np.abs(images(path)[0].mean(axis=(0, 1)) - (127, 0, 0)).max() < 5


def test_the_part_that_is_kept_has_the_shape_and_leaves_the_bars_out():
    import av

    frame = av.VideoFrame(1920, 1080, "yuv420p")
    whole = Developer(896, 512, Fraction(1), Bars())
    assert whole._part(frame, 1.75) == (1890, 1080, 16, 0)
    wide = Developer(896, 512, Fraction(1), Bars(top=0.125, bottom=0.125))
    assert wide._part(frame, 1.75) == (1418, 810, 252, 136)
    assert whole._part(av.VideoFrame(853, 481, "yuv420p"), 1.75) == (842, 480, 6, 0)


@pytest.mark.parametrize(("orientation", "wide"), [(1, True), (6, False)])
def test_frames_that_carry_exif_as_cameras_write_it(tmp_path, orientation, wide):
    notes, data = Image.Exif(), io.BytesIO()
    notes[0x0112] = orientation
    picture = np.zeros((64, 96, 3), np.uint8)
    picture[:, :48] = 255
    Image.fromarray(picture).save(data, "JPEG", exif=notes)
    path = tmp_path / "film.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mjpeg", rate=5)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuvj420p"
        for number in range(15):
            packet = av.Packet(data.getvalue())
            packet.pts = packet.dts = number
            packet.stream, packet.time_base = stream, Fraction(1, 5)
            container.mux(packet)
    shown = images(path)[0]
    left, right = shown[:, :100].mean(), shown[:, -100:].mean()
    assert bool(left > right + 200) == wide
