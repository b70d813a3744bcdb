"""Where pieces are: every place is one of the layout, whatever a title says."""

import pytest

from storage import layout
from storage.root import Storage
from tasks.movies.stories import places
from tasks.movies.stories.planner import plan
from tests.tasks.movies.stories.small import SETTINGS, story


@pytest.mark.parametrize(
    "title", ["../../etc/passwd", "/", ".", 'a\\b:c*?"<>|', "CON", "x" * 5000, "é" * 300, "\x1b[2J\n"]
)
def test_a_title_leaves_no_folder(title):
    one = plan(story(title=title), SETTINGS, {})
    movie = places.movie_place(one)
    assert movie.startswith(f"movies/{one.movie}/")
    assert movie.count("/") == 2
    assert len(movie.rsplit("/", 1)[1].removesuffix(".mp4").encode()) <= 180
    for rel in (movie, movie.replace(".mp4", ".about.json"), places.page_place(one), places.notes_place(one)):
        assert layout.is_place(rel)


def test_every_piece_has_a_place_and_strangers_are_none(tmp_path):
    storage = Storage(str(tmp_path))
    names = {piece.name for piece in plan(story(), SETTINGS, {}).pieces() if piece.stage not in ("movies", "pages")}
    for name in names:
        assert layout.is_place(places.place(name))
        storage.write_bytes(places.place(name), b"x")
    storage.write_bytes("pieces/keyframes/0123456789abcdef.json", b"a judgement without its keyframe")
    (tmp_path / "pieces" / "clips" / "holiday.avi").write_bytes(b"x")
    assert places.there(storage) == names
