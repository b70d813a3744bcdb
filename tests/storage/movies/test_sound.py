"""Sound that begins before the picture, or after it, or outlasts it, keeps its place and is no damage."""

import av
import numpy as np
import pytest

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.movies.movie import write_movie
from storage.movies.sound import AudioTrack

SMALL = KeyframesConfig(width=112, height=64)
FPS, RATE = 24, 48_000
BEEP = f"aevalsrc='0.5*sin(2*PI*440*t)*between(t,2,2.5)':s={RATE}:d=9"
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-bf", 2, "-g", FPS)
KINDS = {
    "mkv": (*X264, "-c:a", "aac"),
    "mp4": (*X264, "-c:a", "aac"),
    "ts": (*X264, "-c:a", "aac"),
    "flv": (*X264, "-c:a", "aac"),
    "mpg": ("-c:v", "mpeg2video", "-c:a", "mp2"),
    "webm": ("-c:v", "libvpx-vp9", "-deadline", "realtime", "-cpu-used", 8, "-c:a", "libopus"),
    "wmv": ("-c:v", "wmv2", "-c:a", "wmav2"),
}


def film(path, ffmpeg, picture=0.0, sound=0.0):
    """Four seconds of picture and nine of sound, each from its second on, with a beep in the sound's third second."""
    pictures = ("-itsoffset", picture, "-f", "lavfi", "-i", f"testsrc2=s=112x64:r={FPS}:d=4")
    sounds = ("-itsoffset", sound, "-f", "lavfi", "-i", BEEP)
    return ffmpeg(*pictures, *sounds, *KINDS[path.suffix[1:]], "-fps_mode", "passthrough", path)


def beep(path, folder):
    """Seconds of the beep in a movie of the film's four seconds."""
    pictures = [np.zeros((64, 112, 3), np.uint8)] * (4 * FPS)
    movie = folder / "movie.mp4"
    assert not write_movie(movie, pictures, (112, 64), FPS, AudioTrack(path, [(0.0, 4.0)])).silent
    with av.open(str(movie)) as container:
        sound = np.concatenate([frame.to_ndarray()[0] for frame in container.decode(audio=0)])
    loud = np.flatnonzero(np.abs(sound) > 0.1) / RATE
    return loud[0], loud[-1]


def is_in_place(path, folder, second):
    return beep(path, folder) == pytest.approx((second, second + 0.5), abs=1 / FPS)


@pytest.mark.parametrize("ending", KINDS)
def test_sound_keeps_its_place_and_counts_as_no_damage(tmp_path, ffmpeg, ending):
    early = film(tmp_path / f"early.{ending}", ffmpeg, picture=1.3)
    late = film(tmp_path / f"late.{ending}", ffmpeg, sound=1.2)
    assert is_in_place(early, tmp_path, 0.7)
    assert is_in_place(late, tmp_path, 3.2)
    for path in (early, late):
        with decode_film(path, SMALL) as decoded:
            assert (decoded.damage, decoded.probe.seconds) == ("", pytest.approx(4, abs=0.1))
            assert decoded.numbers.num_rows == 4


def test_sound_keeps_its_place_where_a_film_begins_inside_a_group_of_frames(tmp_path, ffmpeg):
    path = film(tmp_path / "film.ts", ffmpeg)
    with av.open(str(path)) as container:
        second = [packet for packet in container.demux(video=0) if packet.is_keyframe][1]
        shown = float(second.pts * second.time_base - container.start_time / 1_000_000)
    data = path.read_bytes()
    packets = [data[at : at + 188] for at in range(0, len(data), 188)]
    tables, pictures = packets[:3], [place for place, packet in enumerate(packets) if packet[1:3] == b"\x41\x00"]
    path.write_bytes(b"".join(tables + packets[pictures[4] :]))
    assert shown > 0.5
    assert is_in_place(path, tmp_path, 2 - shown)


def test_a_film_that_lost_its_end_is_still_damaged(tmp_path, ffmpeg):
    whole = film(tmp_path / "film.mkv", ffmpeg)
    path = tmp_path / "half.mkv"
    path.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    with decode_film(path, SMALL) as decoded:
        assert "that its header declares" in decoded.damage


def test_a_frame_that_an_avi_leaves_out_is_held(tmp_path, ffmpeg):
    gap = ("-vf", "select='lt(t,1)+gte(t,4)'", "-fps_mode", "vfr")
    source = ("-f", "lavfi", "-i", "testsrc2=s=112x64:r=5:d=6")
    with decode_film(ffmpeg(*source, *gap, "-c:v", "mpeg4", tmp_path / "film.avi"), SMALL) as decoded:
        assert (decoded.numbers.num_rows, decoded.damage) == (6, "")
