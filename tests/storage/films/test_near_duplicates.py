"""Copies of a film are found by their keyframes however they are encoded; other films, and parts of films, are none."""

import numpy as np
import pytest

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.look import MIRROR
from storage.films.passages import COMMON, Looks, near_duplicates, passages
from tests.storage.blobs import write


def copies(films):
    return near_duplicates(films, passages(films))


def looks(path):
    with decode_film(path, KeyframesConfig(width=224, height=128)) as film:
        rows = film.numbers.filter(film.numbers["look"].to_numpy() > 0)
        return Looks(rows["second"].to_numpy().astype(np.int64), rows["look"].to_numpy())


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    return looks(write(tmp_path_factory.mktemp("films") / "a.mp4", 0))


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
def test_a_copy_is_a_near_duplicate(original, changed, tmp_path):
    assert copies({"a": original, "b": looks(write(tmp_path / "copy.mp4", 0, **changed))}) == {"b": "a"}


@pytest.mark.parametrize("name", ["copy.ts", "copy.mpg"])
def test_so_is_one_with_long_groups_and_no_index(name, ffmpeg, tmp_path):
    film = write(tmp_path / "film.mp4", 0, gop=25)
    slow = ffmpeg("-itsscale", 15, "-i", film, "-c", "copy", tmp_path / "slow.mp4")  # groups of 15 s and more
    codec = {"copy.ts": ("-c", "copy"), "copy.mpg": ("-c:v", "mpeg2video", "-r", 25, "-g", 500, "-q:v", 3)}[name]
    copy = ffmpeg("-i", slow, *codec, tmp_path / name)
    assert copies({"slow": looks(slow), "copy": looks(copy)}) == {"copy": "slow"}


def test_other_films_are_not(original, tmp_path):
    others = {f"{seed}": looks(write(tmp_path / f"{seed}.mp4", seed)) for seed in range(1, 7)}
    assert copies({"a": original, **others}) == {}


def film(seed, seconds=200):
    """Looks of shots of three seconds."""
    shots = np.repeat(np.random.default_rng(seed).integers(1, 2**63, seconds // 3 + 1), 3)[:seconds]
    return Looks(np.arange(seconds), shots)


def part(whole, first, last):
    return Looks(whole.seconds[first:last], whole.looks[first:last])


def test_a_film_that_lacks_a_little_is_one_and_a_part_of_a_film_is_not():
    whole = film(0)
    assert copies({"a": whole, "b": part(whole, 12, 195)}) == {"b": "a"}
    assert copies({"b": part(whole, 12, 195), "a": whole}) == {"a": "b"}
    assert copies({"a": whole, "b": part(whole, 0, 150), "c": part(whole, 150, 200)}) == {}


def test_the_earliest_film_is_the_original_of_all_its_copies_however_many_they_are():
    whole, other = film(0, 90), film(1, 90)
    mirrored = Looks(whole.seconds, whole.looks ^ MIRROR)
    more = {f"{number}": whole for number in range(COMMON + 2)}
    found = copies({"a": whole, "x": other, "b": mirrored, **more})
    assert found == dict.fromkeys(["b", *more], "a")
    near = part(whole, 0, 82)  # of its copy it is a near duplicate too, but that one is left out already
    assert copies({"a": whole, "b": near, "c": part(whole, 0, 75)}) == {"b": "a"}
