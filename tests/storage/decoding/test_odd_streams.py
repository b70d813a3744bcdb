"""Whatever is wrong with a film's bytes has a name."""

import random

import pytest

from storage.decoding.bars import guess
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.errors import FilmError
from storage.films.films import probe
from storage.tables.rejects import REASONS

TINY = KeyframesConfig(width=56, height=32)
CONTAINERS = {
    "film.mp4": ("-c:v", "libx264", "-preset", "veryfast"),
    "fragments.mp4": ("-c:v", "libx264", "-preset", "veryfast", "-movflags", "+frag_keyframe+empty_moov"),
    "film.mkv": ("-c:v", "libx264", "-preset", "veryfast"),
    "film.avi": ("-c:v", "mpeg4", "-bf", 2),
    "motion.avi": ("-c:v", "mjpeg"),
    "film.ts": ("-c:v", "libx264", "-preset", "veryfast"),
    "film.mpg": ("-c:v", "mpeg2video", "-r", 25),
    "film.flv": ("-c:v", "flv"),
    "film.webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", 8),
    "film.ogv": ("-c:v", "libtheora"),
    "film.wmv": ("-c:v", "wmv2"),
    "film.gif": (),
    "film.mxf": ("-c:v", "mpeg2video", "-r", 25),
    "film.nut": ("-c:v", "ffv1"),
    "film.ivf": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", 8),
    "film.h264": ("-c:v", "libx264", "-preset", "veryfast"),
}


@pytest.fixture(scope="module")
def films(tmp_path_factory, ffmpeg):
    folder = tmp_path_factory.mktemp("films")
    source = ("-f", "lavfi", "-i", "testsrc2=s=112x64:r=5:d=3")
    return [ffmpeg(*source, *codec, folder / name) for name, codec in CONTAINERS.items()]


def damaged(data, draw):
    data = bytearray(data)
    match draw.choice(["cut", "burst", "flips", "flips in the header", "flips in the header"]):
        case "cut":
            return data[: draw.randrange(len(data))]
        case "burst":
            place, length = draw.randrange(len(data)), draw.randrange(1, 400)
            data[place : place + length] = draw.randbytes(min(length, len(data) - place))
        case where:
            for _ in range(draw.choice([1, 3, 10, 40])):
                data[draw.randrange(1500 if "header" in where else len(data))] ^= 1 << draw.randrange(8)
    return data


def has_a_name(look, path):
    try:
        look(path)
    except FilmError as error:
        return error.reason in REASONS and str(path) in error.detail
    except MemoryError:  # storage.decoding.child calls it out_of_memory
        return True
    return True


@pytest.mark.parametrize("seeds", [range(64), pytest.param(range(64, 564), marks=pytest.mark.slow)], ids=["64", "500"])
def test_flips_and_truncations_of_any_container_end_in_keyframes_or_a_named_reason(tmp_path, films, seeds):
    def keyframes(path):
        decode_film(path, TINY).close()

    for seed in seeds:
        film = films[seed % len(films)]
        path = tmp_path / f"{seed}-{film.name}"
        path.write_bytes(damaged(film.read_bytes(), random.Random(seed)))
        for look in (keyframes, probe, guess):
            assert has_a_name(look, path), (look, path)
        path.unlink()


def test_a_codec_that_nobody_knows_is_named(tmp_path, films):
    path = tmp_path / "film.mp4"
    path.write_bytes(films[0].read_bytes().replace(b"avc1", b"zzzz"))
    with pytest.raises(FilmError, match=r"unknown_codec.*film\.mp4.*convert"):
        decode_film(path, TINY)
