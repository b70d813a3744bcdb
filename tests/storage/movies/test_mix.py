"""Sound: speech at its second, music that makes way, one loudness, and tracks as people have them."""

import re
import subprocess
import wave
from pathlib import Path

import av
import numpy as np
import pytest

from storage.errors import ConfigError, StorageError
from storage.movies.encoder import ffmpeg_binary
from storage.movies.mix import RATE, Cue, check_track, mix, write_music, write_track

ODD = "it's [a];b,c=d:e\\f%d"


def tone(seconds, hertz=440.0, level=0.3, rate=RATE):
    return (level * np.sin(np.arange(round(seconds * rate)) * 2 * np.pi * hertz / rate)).astype(np.float32)


def write_wav(path, samples, rate=RATE, channels=1, width=2):
    data = (samples * 127 + 128).astype("<u1") if width == 1 else (samples * 32767).astype("<i2")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(np.repeat(data, channels).tobytes())
    return path


def samples(path):
    """Float32 [2, N] of a file."""
    with av.open(str(path)) as container:
        return np.concatenate([frame.to_ndarray() for frame in container.decode(audio=0)], axis=1)


def heard(path):
    """Integrated loudness in LUFS and true peak in dB, as ffmpeg's own meter tells them."""
    command = [ffmpeg_binary(), "-nostats", "-i", str(path), "-af", "ebur128=peak=true", "-f", "null", "-"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stderr.rpartition("Summary")[2]
    return tuple(float(re.search(rf"{name}:\s+(-?[\d.]+)", said)[1]) for name in ("I", "Peak"))


def part(wave_N, start, end):
    """How loud it is between two seconds, as a root mean square."""
    return float(np.sqrt((wave_N[round(start * RATE) : round(end * RATE)] ** 2).mean()))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp(ODD.replace("\\", ""))


@pytest.fixture(scope="module")
def music(folder):
    path = folder / f"{ODD}.flac"
    write_music(path, [np.stack([tone(5, 220), tone(5, 330)])], RATE)
    return path


@pytest.fixture(scope="module")
def speech(folder):
    """One second of a high tone, quiet and at another rate."""
    return write_wav(folder / f"{ODD}.wav", tone(1, 2000, 0.02, 20_160), 20_160)


def test_speech_is_heard_at_its_second_and_music_makes_way_for_it(folder, music, speech):
    path = folder / "sound.m4a"
    mix(path, 9.5, [Cue(2.0, speech), Cue(6.0, speech)], music)
    with av.open(str(path)) as container:
        stream = container.streams.audio[0]
        assert (stream.codec_context.name, stream.rate, stream.channels) == ("aac", RATE, 2)
        assert float(stream.duration * stream.time_base) == pytest.approx(9.5, abs=1024 / RATE)
    left = samples(path)[0]
    spectrum = np.abs(np.fft.rfft(left[: 9 * RATE].reshape(90, -1), axis=1))  # a tenth of a second, 10 hertz
    high, low = spectrum[:, 200], spectrum[:, 22]
    assert [place for place in range(90) if high[place] > 0.2 * high.max()] == [*range(20, 30), *range(60, 70)]
    assert low[22:29].mean() < 0.45 * low[10:19].mean()  # the music under speech
    assert low[50:58].mean() > 0.8 * low[10:19].mean()  # and after it


@pytest.mark.parametrize("what", ["speech", "music", "both"])
def test_all_sound_has_one_loudness_and_no_peak_is_cut(folder, music, speech, what):
    path = folder / f"{what}.m4a"
    cues = [Cue(0.5, speech), Cue(4, speech)] if what != "music" else []
    mix(path, 8, cues, music if what != "speech" else None)
    loudness, peak = heard(path)
    assert loudness == pytest.approx(-16, abs=1)
    assert peak < -1
    mix(path, 8, cues, music if what != "speech" else None, loudness=-23)
    assert heard(path)[0] == pytest.approx(-23, abs=1)


def test_a_loud_crackle_is_limited(folder):
    noise = np.random.default_rng(0).standard_normal(4 * RATE).astype(np.float32) * 0.01
    noise[::RATE] = 0.99
    path = write_wav(folder / "crackle.wav", noise)
    mix(folder / "crackle.m4a", 4, [Cue(0, path)])
    assert heard(folder / "crackle.m4a")[1] < -1


def test_silence_stays_silence(folder):
    silent = write_wav(folder / "silence.wav", np.zeros(RATE, np.float32))
    assert mix(folder / "silence.m4a", 2, [Cue(0, silent)]) == 0
    assert np.abs(samples(folder / "silence.m4a")).max() == 0


def test_speech_that_outlasts_the_movie_is_cut_and_speech_that_overlaps_is_refused(folder, speech):
    mix(folder / "cut.m4a", 1.5, [Cue(0, speech), Cue(1, speech), Cue(7, speech)])
    assert abs(samples(folder / "cut.m4a").shape[1] - 1.5 * RATE) <= 1024
    with pytest.raises(ValueError, match=r"starts at 0\.500 s, speech before it ends at 1\.000 s"):
        mix(folder / "cut.m4a", 3, [Cue(0, speech), Cue(0.5, speech)])
    with pytest.raises(ValueError, match="a sound of nothing"):
        mix(folder / "cut.m4a", 3)
    broken = folder / "broken.wav"
    broken.write_bytes(b"no sound")
    with pytest.raises(StorageError, match=r"broken\.wav. cannot be read .*: delete it"):
        mix(folder / "cut.m4a", 3, [Cue(0, broken)])


def test_the_same_sound_has_the_same_bytes(folder, music, speech):
    made = set()
    for _ in range(4):
        mix(folder / "sound.m4a", 3, [Cue(1, speech)], music)
        made.add((folder / "sound.m4a").read_bytes())
    assert len(made) == 1


def surround(path, ffmpeg):
    sides = "|".join(f"0.2*sin({200 + 50 * n}*2*PI*t)" for n in range(6))
    return ffmpeg("-f", "lavfi", "-i", f"aevalsrc={sides}:c=5.1:s=44100:d=3", path)


def with_cover(path, ffmpeg):
    picture, sound = ("-f", "lavfi", "-i", "color=red:s=64x64:d=0.04"), ("-f", "lavfi", "-i", "sine=440:d=3")
    return ffmpeg(*picture, *sound, "-map", "0", "-map", "1", "-c:v", "mjpeg", "-disposition:v", "attached_pic", path)


ODD_TRACKS = {
    "11 kHz in 8 bits.wav": lambda path, _: write_wav(path, tone(3, rate=11_025), 11_025, width=1),
    "5.1.flac": surround,
    "cover.mp3": with_cover,
    "opus.ogg": lambda path, ffmpeg: ffmpeg("-f", "lavfi", "-i", "sine=440:d=3", "-c:a", "libopus", path),
    "a film.mkv": lambda path, ffmpeg: ffmpeg(
        *("-f", "lavfi", "-i", "testsrc2=s=64x64:d=3", "-f", "lavfi", "-i", "sine=440:d=3", "-c:v", "mpeg4", path)
    ),
    "96 kHz.wav": lambda path, _: write_wav(path, tone(3, rate=96_000), 96_000, channels=2),
    "very quiet.wav": lambda path, _: write_wav(path, tone(3, level=0.003)),
}


@pytest.mark.parametrize("name", ODD_TRACKS)
def test_an_odd_track_is_repeated_to_the_movies_end_with_fades(tmp_path, ffmpeg, name):
    source = ODD_TRACKS[name](tmp_path / name, ffmpeg)
    write_track(source, tmp_path / "music.flac", 8)
    mix(tmp_path / "sound.m4a", 8, music=tmp_path / "music.flac")
    both = samples(tmp_path / "sound.m4a")
    assert abs(both.shape[1] - 8 * RATE) <= 1024
    for side in both:
        middles, seams = (
            [part(side, at, at + 0.5) for at in (1.2, 4.2)],
            [part(side, at, at + 0.1) for at in (2.97, 5.97)],
        )
        assert min(middles) > 0.05
        assert max(seams) < 0.5 * min(middles)
        assert part(side, 7.9, 8) < 0.2 * min(middles)
    assert heard(tmp_path / "sound.m4a")[0] == pytest.approx(-16, abs=1)


def test_a_long_track_is_cut(tmp_path):
    write_track(write_wav(tmp_path / "long.wav", tone(20)), tmp_path / "music.flac", 3)
    with av.open(str(tmp_path / "music.flac")) as container:
        assert container.duration == 3_000_000


def header_only(path: Path) -> None:
    write_wav(path, np.zeros(0, np.float32))


USELESS = {
    "gone.wav": (lambda path: None, "is no file"),
    "empty.wav": (lambda path: path.write_bytes(b""), r"is empty \(0 bytes\)"),
    "header.wav": (header_only, "has a header and no samples|cannot be read as sound"),
    "text.mp3": (lambda path: path.write_text("hello" * 100), "cannot be read as sound"),
    "list.m3u8": (lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\n/etc/passwd\n"), "cannot be read as sound"),
    "concat.wav": (lambda path: path.write_text("ffconcat version 1.0\nfile /etc/passwd\n"), "cannot be read"),
    "short.wav": (lambda path: write_wav(path, tone(0.1)), r"has 0\.10 s of sound, 1 s is the least"),
}


@pytest.mark.parametrize("name", USELESS)
def test_a_track_without_sound_is_named_with_the_cure(tmp_path, name):
    make, problem = USELESS[name]
    make(tmp_path / name)
    with pytest.raises(ConfigError, match=rf"{re.escape(name)}' ({problem}).*leave `music` empty"):
        write_track(tmp_path / name, tmp_path / "music.flac", 8)
    with pytest.raises(ConfigError, match=problem):
        check_track(tmp_path / name)
    assert not (tmp_path / "music.flac").exists()


def test_a_picture_is_no_track(tmp_path, ffmpeg):
    film = ffmpeg("-f", "lavfi", "-i", "color=red:s=64x64:d=0.2", tmp_path / "mute.mp4")
    with pytest.raises(ConfigError, match=r"mute\.mp4' has no sound track"):
        check_track(film)
