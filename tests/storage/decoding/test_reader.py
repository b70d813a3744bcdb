"""What a reader tells of a film it has read."""

from pathlib import Path

from storage.decoding.container import opened
from storage.decoding.reader import FilmReader
from tests.tasks.clips import write_clip


def test_damage_and_end_are_told_without_the_container_which_is_closed_by_then(tmp_path: Path) -> None:
    film = write_clip(tmp_path / "film.mp4", 12)
    whole = film.read_bytes()  # its index stands in front
    film.write_bytes(whole[: len(whole) * 7 // 10])
    with opened(film) as (container, stream):
        reader = FilmReader(container, stream)
        for _ in reader:
            pass
        told = reader.damage(), reader.end
    del reader.container, reader.stream  # in a closed one they point to freed memory
    assert (reader.damage(), reader.end) == told
    assert "of the 12.0 s that its header declares" in told[0]
