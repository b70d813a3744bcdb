"""What is left of a film without its titles and credits."""

import numpy as np
import pytest

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.decoding.trim import TrimAutomatic, TrimSeconds, TrimShare, kept, signs
from storage.errors import FilmError

SMALL = KeyframesConfig(width=112, height=64)
LINES = np.random.default_rng(0).integers(0, 2, (600, 28), np.uint8).repeat(4, 1).repeat(3, 0) * 220
LINES[(np.arange(len(LINES)) // 6) % 3 != 0] = 0  # lines of text, and what lies between them
LINES[:, :24] = LINES[:, 88:] = 0


def scene(second):
    """uint8 [64, 112]: a moving gradient with things in it."""
    rows, columns = np.mgrid[:64, :112]
    image = 90 + 60 * np.sin(rows / 9 + second) + 50 * np.cos(columns / 13 - second / 2)
    return image.clip(0, 255).astype(np.uint8)


BLACK = np.zeros((64, 112), np.uint8)
TITLE = np.full((64, 112), 140, np.uint8)
TITLE[28:36, 30:80:2] = 250


def rolling(second):
    return LINES[second * 8 : second * 8 + 64]


def left(pictures, trim):
    before, shown = None, []
    for picture in pictures:
        shown.append(signs(picture, before))
        before = picture
    part = kept(trim, shown, [float(second) for second in range(len(shown))], float(len(shown)))
    return part.start, part.stop


def test_fixed_lengths_and_shares():
    film = [scene(second) for second in range(40)]
    assert left(film, TrimSeconds()) == (0, 40)
    assert left(film, TrimSeconds(start=3, end=2.5)) == (3, 38)
    assert left(film, TrimShare(start=0.1, end=0.25)) == (4, 30)


def test_black_titles_fades_and_rolling_credits_are_found():
    fade = [(scene(9) * share).astype(np.uint8) for share in (0.2, 0.5)]
    head = [BLACK, BLACK, TITLE, TITLE, TITLE, BLACK, *fade]
    film = [scene(second) for second in range(9, 70)]
    dim = [(scene(69) * share).astype(np.uint8) for share in (0.6, 0.2)]
    tail = [BLACK, *[rolling(second) for second in range(10)], BLACK]
    trim = TrimAutomatic(longest=0.3)
    assert left([*head, *film, *dim, *tail], trim) == (len(head), len(head) + len(film))
    assert left(film, trim) == (0, len(film))


def test_titles_inside_the_film_stay_and_no_more_than_the_longest_goes():
    film = [scene(second) for second in range(50)]
    film[20:24] = [TITLE] * 4
    assert left(film, TrimAutomatic()) == (0, 50)
    film[:20] = [BLACK] * 20
    assert left(film, TrimAutomatic(longest=0.1)) == (5, 50)


def test_a_still_camera_and_a_night_are_no_titles():
    rng = np.random.default_rng(1)
    still = [(scene(3) + rng.integers(0, 2, (64, 112))).astype(np.uint8) for _ in range(30)]
    assert left(still, TrimAutomatic(longest=0.4)) == (0, 30)
    night = [(scene(second) * 0.25).astype(np.uint8) for second in range(30)]
    assert left(night, TrimAutomatic(longest=0.4)) == (0, 30)


def test_a_film_with_titles(tmp_path, clips):
    def paint(number, seconds):
        picture = BLACK if seconds < 2 else TITLE if seconds < 4 else BLACK if seconds >= 26 else scene(seconds)
        return np.ascontiguousarray(picture.repeat(4, 0).repeat(4, 1)[:, :, None].repeat(3, 2))

    path = clips(tmp_path / "film.mp4", [number / 5 for number in range(150)], paint)
    with decode_film(path, SMALL.model_copy(update={"trim": TrimAutomatic()})) as film:
        assert film.numbers["second"].to_pylist() == list(range(4, 26))
        assert film.numbers["motion"][0].as_py() == 0


def test_nothing_left_is_told(tmp_path, clips):
    path = clips(tmp_path / "short.mp4", [number / 5 for number in range(20)])
    with pytest.raises(FilmError, match=r"too_short: .*trim.start 50% and trim.end 40% leave 1 keyframes.*lower them"):
        decode_film(path, SMALL.model_copy(update={"trim": TrimShare(start=0.5, end=0.4)}))
