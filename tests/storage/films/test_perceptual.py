"""Copies of a film look alike however they are encoded; other films don't."""

from itertools import combinations

import numpy as np
import pytest

from storage.errors import FilmError
from storage.films.perceptual import (
    FEWEST,
    MIRROR,
    alike,
    look,
    lost_pictures,
    near_duplicates,
    near_pairs,
    perceptual_hash,
)
from tests.storage.blobs import scenes, write


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return perceptual_hash(write(tmp_path_factory.mktemp("films") / "a.mp4", 0))


@pytest.mark.parametrize(
    "changed",
    [
        {"crf": "45"},
        {"size": (160, 90)},
        {"size": (640, 360), "gop": 12},
        {"pad": (30, 0)},
        {"pad": (0, 40)},
        {"pad": (20, 30), "size": (256, 144), "crf": "35"},
        {"size": (240, 180)},
        {"fps": 15},
        {"light": 0.8},
        {"codec": "mpeg4"},
        {"mirror": True, "size": (256, 144), "crf": "35"},
    ],
    ids=str,
)
def test_a_copy_looks_alike(original, changed, tmp_path):
    assert alike(original, perceptual_hash(write(tmp_path / "copy.mp4", 0, **changed)))


@pytest.mark.parametrize("name", ["copy.ts", "copy.mpg"])
def test_a_copy_with_long_groups_and_no_index_looks_alike(name, ffmpeg, tmp_path):
    film = write(tmp_path / "film.mp4", 0, gop=25)
    slow = ffmpeg("-itsscale", 15, "-i", film, "-c", "copy", tmp_path / "slow.mp4")  # groups of 15 s and more
    codec = {"copy.ts": ("-c", "copy"), "copy.mpg": ("-c:v", "mpeg2video", "-r", 25, "-g", 500, "-q:v", 3)}[name]
    copy = perceptual_hash(ffmpeg("-i", slow, *codec, tmp_path / name))
    assert lost_pictures(copy) == 0
    assert alike(perceptual_hash(slow), copy)


def test_other_films_do_not(original, tmp_path):
    hashes = [original, *(perceptual_hash(write(tmp_path / f"{seed}.mp4", seed)) for seed in range(1, 7))]
    assert near_duplicates(hashes) == {}
    for one, other in combinations(hashes, 2):
        for mirror in (0, MIRROR << 1):
            pairs = zip(one.split("."), other.split("."), strict=True)
            bits = [bin(int(a, 16) ^ int(b, 16) ^ mirror).count("1") for a, b in pairs]
            assert min(bits) > 14  # as far apart as the threshold says, each of the eight pictures


def test_the_look_of_a_mirrored_picture_is_known_from_the_picture():
    pictures = [scene.mean(axis=2, dtype=np.float32) for seed in range(5) for scene in scenes(seed)]
    for picture in pictures:
        assert (look(picture) ^ MIRROR ^ look(picture[:, ::-1])).bit_count() <= 10
    assert look(np.full((64, 112), 90, np.float32)) == 0


def test_pairs_are_sorted_and_come_once_also_where_one_of_them_is_mirrored(original):
    mirrored = ".".join(f"{int(bits, 16) ^ (MIRROR << 1):016x}" for bits in original.split("."))
    assert list(near_pairs([original, mirrored, original])) == [(1, 0), (2, 0), (2, 1)]


def test_pictures_that_say_nothing_are_not_compared(clips, tmp_path):
    grey = [clips(tmp_path / f"{n}.mp4", [t / 10 for t in range(40)], paint=plain(100 + n)) for n in range(2)]
    hashes = [perceptual_hash(path) for path in grey]
    assert hashes == ["-.-.-.-.-.-.-.-"] * 2
    assert not alike(*hashes)


def plain(level):
    return lambda number, seconds: np.full((96, 160, 3), level, np.uint8)


def test_too_few_pictures_in_common_prove_nothing(original):
    parts = original.split(".")
    assert alike(original, ".".join(parts[:FEWEST] + ["-"] * (8 - FEWEST)))
    assert not alike(original, ".".join(parts[: FEWEST - 1] + ["-"] * (9 - FEWEST)))
    assert not alike(original, "")


def test_a_piece_of_a_film_looks_like_it_and_lacks_pictures(original, tmp_path):
    path = write(tmp_path / "cut.mkv", 0)
    path.write_bytes(path.read_bytes()[: path.stat().st_size * 2 // 3])
    piece = perceptual_hash(path)
    assert alike(original, piece)
    assert lost_pictures(original) == 0
    assert 0 < lost_pictures(piece) <= 8 - FEWEST


def test_the_earliest_film_is_the_original_of_all_its_copies():
    draw = np.random.default_rng(0)
    films = [[int(bits) for bits in draw.integers(0, 2**63, 8)] for _ in range(50)]
    hashes = [".".join(f"{bits:016x}" for bits in film) for film in films]
    hashes[30] = ".".join(f"{bits ^ 0b111:016x}" for bits in films[4])
    hashes[40] = hashes[4]
    assert near_duplicates(hashes) == {30: 4, 40: 4}


def test_what_is_no_film_is_refused(tmp_path):
    (tmp_path / "a.mp4").write_text("words " * 100)
    with pytest.raises(FilmError, match="not_a_video"):
        perceptual_hash(tmp_path / "a.mp4")
