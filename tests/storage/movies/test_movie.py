"""Movies: their pictures, sound and subtitles, read back with PyAV."""

from pathlib import Path

import av
import numpy as np
import pytest

from storage.errors import StorageError
from storage.movies.encoder import ffmpeg_program
from storage.movies.movie import write_movie
from storage.movies.sound import AudioTrack, merged
from storage.movies.subtitles import srt

SIZE = (224, 128)


def pictures(count, size=SIZE, colour=(200, 40, 40)):
    for _ in range(count):
        yield np.full((size[1], size[0], 3), colour, np.uint8)


def test_a_movie_with_all_its_tracks(tmp_path, clip):
    path = tmp_path / "movie.mp4"
    audio = AudioTrack(clip, [(1.0, 1.5), (1.5, 2.0), (7.0, 8.0)])
    words = [(0.0, 1.0, "Ann walks in.\n\n"), (1.0, 2.9, "“Who's there?”\nasks Ben.")]
    written = write_movie(path, pictures(72), SIZE, audio=audio, subtitles=words)
    assert (written.seconds, written.frames, written.silent) == (3.0, 72, "")
    with av.open(str(path)) as movie:
        assert [stream.type for stream in movie.streams] == ["video", "audio", "subtitle"]
        video = movie.streams.video[0]
        assert (video.codec_context.name, video.codec_context.pix_fmt) == ("h264", "yuv420p")
        assert (video.width, video.height, video.average_rate) == (*SIZE, 24)
        assert abs(movie.duration / 1e6 - 3.0) < 0.05
        assert movie.metadata["comment"] == f"ffmpeg {ffmpeg_program().version}"
        frames = list(movie.decode(video))
        assert len(frames) == 72
        assert np.abs(frames[0].to_ndarray(format="rgb24").mean((0, 1)) - (200, 40, 40)).max() < 4
    with av.open(str(path)) as movie:
        sound = np.concatenate([frame.to_ndarray() for frame in movie.decode(movie.streams.audio[0])], axis=1)
    seconds = [np.abs(sound[:, start : start + 40_000]).mean() for start in (2_000, 50_000, 100_000)]
    assert seconds[0] > 0.1 < seconds[1]  # two seconds of the film's tone
    assert seconds[2] < 0.01  # then silence to the movie's end
    data = path.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")  # faststart
    assert [each.name for each in tmp_path.iterdir()] == ["movie.mp4"]


def test_a_film_without_sound_makes_a_silent_movie_that_says_so(tmp_path):
    write_movie(tmp_path / "mute.mp4", pictures(24), SIZE)
    audio = AudioTrack(tmp_path / "mute.mp4", [(0, 1)])
    written = write_movie(tmp_path / "movie.mp4", pictures(24), SIZE, audio=audio)
    assert "mute.mp4' has no sound" in written.silent
    with av.open(str(tmp_path / "movie.mp4")) as movie:
        assert [stream.type for stream in movie.streams] == ["video"]


def test_a_lost_film_makes_a_silent_movie_that_says_so(tmp_path):
    audio = AudioTrack(tmp_path / "gone.mp4", [(0, 1)])
    assert "gone.mp4" in write_movie(tmp_path / "movie.mp4", pictures(2), SIZE, audio=audio).silent


def test_a_movie_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "movie.mp4"
    path.write_bytes(b"old")

    def broken():
        yield from pictures(30)
        raise RuntimeError("the model failed")

    with pytest.raises(RuntimeError, match="the model failed"):
        write_movie(path, broken(), SIZE)
    with pytest.raises(ValueError, match=r"frame 1 is uint8 \[64, 64, 3\].*\[128, 224, 3\]"):
        write_movie(path, [next(pictures(1)), next(pictures(1, (64, 64)))], SIZE)
    with pytest.raises(ValueError, match="without frames"):
        write_movie(path, [], SIZE)
    assert path.read_bytes() == b"old"
    assert [each.name for each in tmp_path.iterdir()] == ["movie.mp4"]


def test_what_a_killed_run_left_is_cleared_away(tmp_path):
    (tmp_path / ".movie.mp4.part").mkdir()
    (tmp_path / ".movie.mp4.part" / "pictures.mp4").write_bytes(b"half")
    write_movie(tmp_path / "movie.mp4", pictures(2), SIZE)
    assert [each.name for each in tmp_path.iterdir()] == ["movie.mp4"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": (225, 128)}, "225x128"),
        ({"subtitles": [(2.0, 1.0, "Hi")]}, "'Hi' from 2.0 to 1.0"),
        ({"audio": AudioTrack(Path("a.mp4"), [(3, 3)])}, "from 3 to 3 s"),
        ({"audio": AudioTrack(Path("a.mp4"), [])}, "without spans"),
    ],
)
def test_what_does_not_fit_is_quoted(tmp_path, arguments, message):
    with pytest.raises(ValueError, match=message):
        write_movie(tmp_path / "movie.mp4", pictures(1), **({"size": SIZE} | arguments))


def test_a_place_that_cannot_be_written_is_quoted(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match=r"file/movie\.mp4"):
        write_movie(tmp_path / "file" / "movie.mp4", pictures(1), SIZE)


def test_subtitles_as_subrip():
    assert srt([(0, 1.5, "One"), (1.5, 3, "  "), (3661.0415, 3662, "Two\n\nlines")]) == (
        "1\n00:00:00,000 --> 00:00:01,500\nOne\n\n2\n01:01:01,042 --> 01:01:02,000\nTwo\nlines\n"
    )


def test_marks_of_subrip_are_shown_as_they_are_written(tmp_path):
    texts = ["A sign: --> Exit", "00:00:01,000 --> 00:00:02,000", "<b>", r"{\an8}", r"C:\new, \Name", "7", "I <3 {you}"]
    words = [(float(i), i + 1.0, text) for i, text in enumerate(texts)]
    write_movie(tmp_path / "movie.mp4", pictures(14), SIZE, fps=2, subtitles=words)
    with av.open(str(tmp_path / "movie.mp4")) as movie:
        raw = [bytes(packet)[2:] for packet in movie.demux(movie.streams.subtitles[0]) if packet.size > 2]
    assert [text.decode().replace("\u200b", "") for text in raw] == texts


def test_spans_that_meet_are_one():
    assert merged([(0, 1), (1, 2), (5, 6), (6, 7), (2, 3)]) == [(0, 2), (5, 7), (2, 3)]


def test_a_movie_in_av1_with_a_mark(tmp_path):
    path = tmp_path / "movie.mp4"
    write_movie(path, pictures(3), SIZE, codec="av1", mark="AI-generated")
    with av.open(str(path)) as movie:
        assert "av1" in movie.streams.video[0].codec_context.codec.long_name.lower()
        frame = next(movie.decode(video=0)).to_ndarray(format="rgb24").astype(int)
    assert np.abs(frame - (200, 40, 40)).max(-1)[-12:, -60:].max() > 100
