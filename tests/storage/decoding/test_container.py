"""What a film may not do: lead to other files, or to the network."""

import socket
import threading

import av
import pytest

from storage.decoding.container import frame_rate, opened, told_length
from storage.decoding.decode import KeyframesConfig, decode_film
from storage.errors import FilmError

SMALL = KeyframesConfig(width=112, height=64)


@pytest.fixture
def listener():
    """A server on this machine, and whoever called."""
    server = socket.create_server(("127.0.0.1", 0))
    callers = []

    def listen():
        while True:
            try:
                callers.append(server.accept()[1])
            except OSError:
                return

    threading.Thread(target=listen, daemon=True).start()
    yield server.getsockname()[1], callers
    server.shutdown(socket.SHUT_RDWR)
    server.close()


def playlists(film, port):
    segments = f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{film}\n#EXT-X-ENDLIST\n"
    remote = segments.replace(str(film), f"http://127.0.0.1:{port}/film.ts")
    session = f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n"
    representation = f"<Representation id='0' bandwidth='1'><BaseURL>http://127.0.0.1:{port}/a.mp4</BaseURL>"
    manifest = (
        "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static' "
        "mediaPresentationDuration='PT9S' profiles='urn:mpeg:dash:profile:isoff-on-demand:2011'><Period>"
        f"<AdaptationSet mimeType='video/mp4'>{representation}</Representation></AdaptationSet></Period></MPD>"
    )
    return {
        "segments.m3u8": segments,
        "remote.m3u8": remote,
        "hidden.mp4": segments,
        "list.ffconcat": f"ffconcat version 1.0\nfile {film.name}\n",
        "hidden.mkv": f"ffconcat version 1.0\nfile '{film}'\n",
        "session.sdp": session + "a=rtpmap:96 H264/90000\n",
        "manifest.mpd": manifest,
    }


def test_playlists_scripts_and_sessions_are_no_films(tmp_path, clips, listener):
    port, callers = listener
    film = clips(tmp_path / "film.ts", [number / 10 for number in range(30)])
    assert decode_film(film, SMALL).numbers.num_rows == 3
    for name, text in playlists(film, port).items():
        (tmp_path / name).write_text(text)
        with pytest.raises(FilmError) as caught:
            decode_film(tmp_path / name, SMALL)
        assert caught.value.reason == "not_a_video", name
        assert name in caught.value.detail
    assert callers == []


def test_a_pattern_of_pictures_is_a_file_name(tmp_path, ffmpeg):
    ffmpeg("-f", "lavfi", "-i", "testsrc2=rate=2:duration=3", tmp_path / "%d.png")
    with pytest.raises(FilmError, match="missing"):
        decode_film(tmp_path / "%d.png", SMALL)
    with pytest.raises(FilmError, match="not_a_video"):
        decode_film(tmp_path / "1.png", SMALL)


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("a PDF document", b"%PDF-1.7\n"),
        ("a PDF document", b"junk before it\n%PDF-1.7\n"),
        ("no media format", b"MZ\x90\0" + bytes(100)),
        ("text", b"<html><body>" + b" " * 5000),
        ("a ZIP archive or document", b"PK\x03\x04"),
        ("a tar archive", b"a.ts".ljust(257, b"\0") + b"ustar\0" + bytes(249)),
    ],
)
def test_pictures_inside_of_something_else_are_no_film(tmp_path, ffmpeg, kind, head):
    film = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=3", "-f", "mjpeg", tmp_path / "film.mjpeg")
    path = tmp_path / "scans.mp4"
    path.write_bytes(head + film.read_bytes())
    with pytest.raises(FilmError, match=f"not_a_video: .*scans.mp4' is not a video: it holds {kind}"):
        decode_film(path, SMALL)


def old_tar():
    """The header of a file in a tar of 1979, which has no magic number."""
    head = b"a.ts".ljust(100, b"\0") + b"0000644\0" * 3 + b"00000001000\0" * 2 + b" " * 8 + b"0".ljust(356, b"\0")
    return head[:148] + b"%06o\0 " % sum(head) + head[156:]


@pytest.mark.parametrize(
    ("kind", "head"),
    [
        ("a tar archive", old_tar()),
        ("a cpio archive", b"070701" + b"0" * 104 + b"a.ts\0\0"),
        ("an ar archive", b"!<arch>\na.ts/           0           0     0     644     1000      `\n"),
        ("a CAB archive", b"MSCF" + bytes(32)),
        ("a compressed file", b"\x28\xb5\x2f\xfd\x04\x00"),
        ("an LHA archive", b"\x22\x8e-lh0-" + bytes(27)),
        ("the image of a disc", bytes(32769) + b"CD001\x01\0" + bytes(2040)),
    ],
)
def test_a_stream_that_libav_finds_inside_of_an_archive_is_no_film(tmp_path, ffmpeg, kind, head):
    source = ("-f", "lavfi", "-i", "testsrc2=s=96x64:r=25:d=3", "-c:v", "mpeg2video")
    path = tmp_path / "archive.ts"
    path.write_bytes(head + ffmpeg(*source, tmp_path / "film.ts").read_bytes())
    with pytest.raises(FilmError, match=f"not_a_video: .*archive.ts' is not a video: it holds {kind}"):
        decode_film(path, SMALL)


@pytest.mark.parametrize(
    ("data", "kind"),
    [
        (bytes(5000), "zeros, as a download does that did not finish"),
        (b"\xff" * 5000, "no media format"),
        ("Жанна ".encode() * 900, "text"),
        (b"ID3\x03" + bytes(5000), r"only sound \(MP3\)"),
    ],
)
def test_what_a_file_holds_that_is_no_film_is_named(tmp_path, data, kind):
    path = tmp_path / "film.mp4"
    path.write_bytes(data)
    with pytest.raises(FilmError, match=f"not_a_video: .*it holds {kind}"):
        decode_film(path, SMALL)


@pytest.mark.parametrize("name", ["film.avi", "film.mkv", "film.asf"])
def test_jpeg_2000_is_no_film_that_is_joined_on(tmp_path, ffmpeg, name):
    path = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=3", "-c:v", "jpeg2000", tmp_path / name)
    with decode_film(path, SMALL) as film:
        assert (film.frames, film.damage) == (30, "")


@pytest.mark.parametrize("codec", ["qtrle", "rv20", "tiff"])
def test_a_codec_that_the_header_does_not_name_is_unknown(tmp_path, ffmpeg, codec):
    path = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=96x64:r=10:d=3", "-c:v", codec, tmp_path / "film.avi")
    with pytest.raises(FilmError, match=r"unknown_codec: the header of .*film\.avi' names no video codec"):
        decode_film(path, SMALL)


@pytest.mark.parametrize("pixels", ["bgr24", "pal8", "monow"])
def test_raw_pictures_need_no_codec(tmp_path, ffmpeg, pixels):
    source = ("-f", "lavfi", "-i", "testsrc2=s=97x65:r=10:d=3")
    path = ffmpeg(*source, "-c:v", "rawvideo", "-pix_fmt", pixels, tmp_path / "film.avi")
    with decode_film(path, SMALL) as film:
        assert (film.frames, film.damage) == (30, "")


def test_an_index_that_is_cut_off_is_no_missing_stream(tmp_path, clips):
    data = clips(tmp_path / "film.mp4", [number / 10 for number in range(30)]).read_bytes()
    path = tmp_path / "cut.mp4"
    path.write_bytes(data[: data.index(b"moov") + 200])
    with pytest.raises(
        FilmError, match=r"truncated: .*cut.mp4' has no video stream that can be read: its end is missing"
    ):
        decode_film(path, SMALL)


def test_of_several_streams_a_still_picture_is_the_last_choice(tmp_path, ffmpeg):
    still, film = (("-f", "lavfi", "-i", source) for source in ("color=s=640x360:r=1:d=1", "testsrc2=s=96x64:r=10:d=3"))
    path = ffmpeg(*still, *film, "-map", 0, "-map", 1, "-c:v", "mpeg4", tmp_path / "film.mp4")
    with opened(path) as (_, stream):
        assert stream.width == 96


@pytest.mark.parametrize("name", ["music.mkv", "music.mov"])
def test_music_with_a_cover_is_no_film(tmp_path, ffmpeg, name):
    sources = ("-f", "lavfi", "-i", "sine=d=5", "-f", "lavfi", "-i", "testsrc2=s=96x96:r=25:d=0.04")
    path = ffmpeg(*sources, "-c:v", "mjpeg", "-c:a", "aac", tmp_path / name)
    with pytest.raises(FilmError, match=r"no_video_stream: .* shows one picture to 5\.0 s of sound"):
        decode_film(path, SMALL)


def test_a_file_named_like_an_address_is_a_file(tmp_path, clips, monkeypatch):
    clips(tmp_path / "film.mp4", [number / 10 for number in range(30)])
    (tmp_path / "film.mp4").rename(tmp_path / "http:film.mp4")
    monkeypatch.chdir(tmp_path)
    assert decode_film("http:film.mp4", SMALL).numbers.num_rows == 3


def test_the_media_of_a_mov_lie_inside(tmp_path, clips):
    other = clips(tmp_path / "other.mov", [number / 10 for number in range(30)])
    data = other.read_bytes()
    inside = b"\0\0\0\x0curl \0\0\0\x01"  # this very file
    assert data.count(inside) == 1
    start = data.index(b"mdat")
    length = int.from_bytes(data[start - 4 : start], "big")
    empty = data[: start + 4] + bytes(length - 8) + data[start + length - 4 :]
    path = tmp_path / "outside.mov"
    path.write_bytes(_grown(empty, empty.index(inside), inside, _alias(other)))
    with av.open(str(path), options={"enable_drefs": "1", "use_absolute_path": "1"}) as container:
        assert len(list(container.decode(video=0))) == 30  # who allows it is led to the other file
    with pytest.raises(FilmError) as caught:
        decode_film(path, SMALL)
    assert caught.value.reason == "decode_failed"


def _alias(path):
    """A Macintosh alias of a file, as QuickTime refers to media elsewhere."""
    name, whole = path.name.encode(), str(path).encode()
    whole += b"\0" * (len(whole) % 2)
    head = bytes(10) + b"\x01X".ljust(28, b"\0") + bytes(12) + bytes([len(name)]) + name.ljust(63, b"\0") + bytes(16)
    levels = b"\xff\xff\xff\xff" + bytes(16)
    body = head + levels + (2).to_bytes(2, "big") + len(whole).to_bytes(2, "big") + whole + b"\xff\xff\0\0"
    return (12 + len(body)).to_bytes(4, "big") + b"alis" + bytes(4) + body


def _grown(data, place, old, new):
    """The file with a box replaced, and the boxes around it longer by as much."""
    parts = bytearray(data[:place] + new + data[place + len(old) :])
    for kind in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        start = data.rindex(kind, 0, place) - 4
        length = int.from_bytes(data[start : start + 4], "big")
        parts[start : start + 4] = (length + len(new) - len(old)).to_bytes(4, "big")
    return bytes(parts)


def test_the_default_picture_goes_before_a_larger_one(tmp_path, ffmpeg):
    film = ("-f", "lavfi", "-i", "testsrc2=size=128x64:rate=5:duration=2")
    cover = ("-f", "lavfi", "-i", "color=red:size=256x128:rate=1:duration=1")
    codecs = ("-map", 1, "-map", 0, "-c:v:0", "mjpeg", "-c:v:1", "libx264")
    marks = ("-disposition:v:0", 0, "-disposition:v:1", "default")
    with opened(ffmpeg(*film, *cover, *codecs, *marks, tmp_path / "film.mkv")) as (_, stream):
        assert (stream.width, stream.codec_context.name) == (128, "h264")


@pytest.mark.parametrize("offset", [0, 2, 100])
def test_a_matroska_that_begins_late_is_no_longer_for_it(tmp_path, ffmpeg, offset):
    source = ("-f", "lavfi", "-i", "testsrc2=size=128x64:rate=5:duration=4")
    path = ffmpeg(*source, "-c:v", "libx264", "-output_ts_offset", offset, tmp_path / "late.mkv")
    with opened(path) as (container, stream):
        assert told_length(container, stream) == pytest.approx(4, abs=0.01)
    assert decode_film(path, SMALL).damage == ""


def test_a_film_opens_by_its_largest_picture(tmp_path, clips):
    with opened(clips(tmp_path / "film.mp4", [0.0, 0.1])) as (container, stream):
        assert (container.name, stream.width) == (f"file:{tmp_path / 'film.mp4'}", 448)


def test_a_bare_stream_of_large_pictures_is_no_still_picture(tmp_path, ffmpeg):
    source = ("-f", "lavfi", "-i", "testsrc2=s=320x240:r=25:d=2", "-c:v", "mjpeg", "-q:v", 3)
    with decode_film(ffmpeg(*source, tmp_path / "film.mjpeg"), SMALL) as film:
        assert (film.frames, film.damage) == (50, "")


@pytest.mark.parametrize("codec", ["mpeg1video", "mpeg4", "wmv2"])
def test_where_the_container_tells_no_rate_the_codec_does(tmp_path, ffmpeg, codec):
    path = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=112x64:r=25:d=1", "-c:v", codec, tmp_path / "film.asf")
    with opened(path) as (container, stream):
        assert frame_rate(container, stream) == 25
