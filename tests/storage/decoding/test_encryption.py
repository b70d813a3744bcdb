"""Encrypted films have no keyframes, whatever of them decodes, and the reason says so."""

import binascii

import numpy as np
import pytest

from storage.decoding.decode import KeyframesConfig, decode_film
from storage.errors import FilmError

SMALL = KeyframesConfig(width=112, height=64)
SOURCE = ("-f", "lavfi", "-i", "testsrc2=s=112x64:r=5:d=4")
X264 = ("-c:v", "libx264", "-preset", "veryfast", "-g", 5)
KEY, KEY_ID = "76a6c65c5ea762046bd749a2e632ccbb", "a7e61c373e219033c21091fa607bf3b8"
CENC = ("-encryption_scheme", "cenc-aes-ctr", "-encryption_key", KEY, "-encryption_kid", KEY_ID)
FRAGMENTED = ("-movflags", "+frag_keyframe+empty_moov")


def is_encrypted(path, scheme):
    with pytest.raises(FilmError, match=rf"{path.name}.*\({scheme}\)") as caught:
        decode_film(path, SMALL)
    return caught.value.reason == "encrypted"


def is_fine(path):
    with decode_film(path, SMALL) as film:
        return film.numbers.num_rows == 4 and not film.damage


def changed(path, data):
    copy = path.with_stem("changed")
    copy.write_bytes(data)
    return copy


@pytest.mark.parametrize("form", [(), FRAGMENTED])
def test_common_encryption(tmp_path, ffmpeg, form):
    path = ffmpeg(*SOURCE, *X264, *form, *CENC, tmp_path / "film.mp4")
    assert is_encrypted(path, "CENC")
    data = path.read_bytes()
    assert data.count(b"schm\0\0\0\0cenc") == 1
    assert is_encrypted(changed(path, data.replace(b"schm\0\0\0\0cenc", b"schm\0\0\0\0cbcs")), "CENC")


def test_a_film_that_begins_in_the_clear(tmp_path, ffmpeg):
    clear, locked = (
        ffmpeg(*SOURCE, *X264, *FRAGMENTED, *options, tmp_path / f"{name}.mp4")
        for name, options in (("clear", ()), ("locked", CENC))
    )
    parts = clear.read_bytes(), locked.read_bytes()
    (_, first, *_), (head, *rest) = (data.split(b"moof") for data in parts)
    assert rest
    joined = changed(locked, b"moof".join([head, first, *rest[1:]]))
    assert is_encrypted(joined, "CENC")


HEVC = ("-c:v", "libx265", "-x265-params", "log-level=none:keyint=5")
LOST = r"encrypted, or noise: a copy that lost its marks \(CENC"


@pytest.mark.parametrize("ending", ["mp4", "mov", "mkv", "flv", "ts", "avi"])
def test_a_copy_that_lost_the_marks_of_common_encryption(tmp_path, ffmpeg, ending):
    locked = ffmpeg(*SOURCE, *X264, *CENC, tmp_path / "locked.mp4")
    copied = ffmpeg("-i", locked, "-c", "copy", tmp_path / f"film.{ending}")
    with pytest.raises(FilmError, match=f"encrypted: .*{LOST}"):
        decode_film(copied, SMALL)


def test_a_copy_of_hevc_and_one_whose_packets_are_encrypted_as_a_whole(tmp_path, ffmpeg):
    locked = ffmpeg(*SOURCE, *HEVC, *CENC, tmp_path / "locked.mp4")
    with pytest.raises(FilmError, match=f"encrypted: .*{LOST}"):
        decode_film(ffmpeg("-i", locked, "-c", "copy", tmp_path / "film.mkv"), SMALL)
    clear = ffmpeg(*SOURCE, *HEVC, tmp_path / "clear.mp4")
    data = bytearray(clear.read_bytes())
    start, end = min(units(data))[0] - 4, max(units(data))[1]
    data[start:end] = np.random.default_rng(1).bytes(end - start)
    with pytest.raises(FilmError, match=f"encrypted: .*{LOST}"):
        decode_film(changed(clear, data), SMALL)


@pytest.mark.parametrize(("clear", "every"), [(48, 1), (24, 10)])  # as packagers do for CENC and cbcs
def test_a_copy_in_which_the_headers_of_slices_are_clear(tmp_path, ffmpeg, clear, every):
    path = ffmpeg(*SOURCE, *X264, "-qp", 10, tmp_path / "film.mp4")
    data, noise = bytearray(path.read_bytes()), np.random.default_rng(1)
    for start, end in units(data):
        for block in range(start + clear, end - 16, 16 * every):
            data[block : block + 16] = noise.bytes(16)
    with pytest.raises(FilmError, match=f"encrypted: .*{LOST}"):
        decode_film(changed(path, data), SMALL)


def units(data):
    """Of the pictures, by their lengths."""
    at, end = data.index(b"mdat") + 4, data.index(b"mdat") - 4 + int.from_bytes(data[data.index(b"mdat") - 4 :][:4])
    while at < end:
        length = int.from_bytes(data[at : at + 4])
        yield at + 4, at + 4 + length
        at += 4 + length


@pytest.mark.parametrize("ending", ["mp4", "ts"])
def test_damage_is_no_encryption(tmp_path, ffmpeg, ending):
    path = ffmpeg(*SOURCE, *X264, "-qp", 5, tmp_path / f"film.{ending}")
    data, noise = bytearray(path.read_bytes()), np.random.default_rng(1)
    for at in noise.integers(3000, len(data) - 3000, 300):
        data[at] ^= 0x55
    with decode_film(changed(path, data), SMALL) as film:
        assert "damaged packet" in film.damage


def test_fairplay(tmp_path, ffmpeg):
    path = ffmpeg(*SOURCE, *X264, tmp_path / "film.mp4")
    assert is_encrypted(changed(path, path.read_bytes().replace(b"avc1\0", b"drmi\0")), "FairPlay")


def transport_packets(data):
    return [bytearray(data[at : at + 188]) for at in range(0, len(data), 188)]


def test_a_scrambled_transport_stream(tmp_path, ffmpeg):
    path = ffmpeg(*SOURCE, *X264, tmp_path / "film.ts")
    packets = transport_packets(path.read_bytes())
    pictures = [packet for packet in packets if packet[1] & 0x1F == 1 and packet[2] == 0]
    assert is_fine(path)
    for packet in pictures[len(pictures) // 2 :]:
        packet[3] |= 0x80
    assert is_encrypted(changed(path, b"".join(packets)), "a transport stream's scrambling")


def test_sample_aes(tmp_path, ffmpeg):
    path = ffmpeg(*SOURCE, *X264, tmp_path / "film.ts")
    packets = transport_packets(path.read_bytes())
    for packet in packets:
        if packet[1] & 0x1F == 16 and packet[2] == 0:  # the table of streams
            table = packet[5 : 8 + (int.from_bytes(packet[6:8], "big") & 0xFFF) - 4]
            table[table.index(0x1B, 12)] = 0xDB
            packet[5 : 5 + len(table) + 4] = table + checksum(table)
    assert is_encrypted(changed(path, b"".join(packets)), "SAMPLE-AES")


def checksum(table):
    value = 0xFFFFFFFF
    for byte in table:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ (0x04C11DB7 if value >> 31 else 0)) & 0xFFFFFFFF
    return value.to_bytes(4, "big")


def test_a_dvd(tmp_path, ffmpeg):
    path = ffmpeg(*SOURCE, "-c:v", "mpeg2video", "-r", 25, "-q:v", 4, tmp_path / "film.vob")
    data = bytearray(path.read_bytes())
    places = [at for at in range(len(data)) if data[at : at + 4] == b"\0\0\1\xe0"]
    assert is_fine(path)
    for at in places[len(places) // 2 :]:
        data[at + 6] |= 0x10
    assert is_encrypted(changed(path, data), "CSS")


def test_h264_with_lengths_in_a_program_stream_is_no_dvd_s(tmp_path, ffmpeg):
    mov = ffmpeg("-f", "lavfi", "-i", "testsrc2=s=320x180:r=10:d=4", *X264, tmp_path / "film.mov")
    path = ffmpeg("-i", mov, "-c", "copy", tmp_path / "film.vob")  # no player shows it
    with pytest.raises(FilmError, match=r"^(?!encrypted)"):
        decode_film(path, SMALL)


def test_windows_media(tmp_path, ffmpeg):
    path = ffmpeg(*SOURCE, "-c:v", "wmv2", "-q:v", 4, tmp_path / "film.wmv")
    data = bytearray(path.read_bytes())
    protection = bytes.fromhex("fbb3112223bdd211b4b700a0c955fc6e") + (40).to_bytes(8, "little") + bytes(16)
    for at, width, more in ((16, 8, 40), (24, 4, 1)):  # the header's length, and its number of objects
        data[at : at + width] = (int.from_bytes(data[at : at + width], "little") + more).to_bytes(width, "little")
    data[30:30] = protection
    assert is_fine(path)
    assert is_encrypted(changed(path, data), "Windows Media DRM")


def test_matroska(tmp_path, ffmpeg):
    path = ffmpeg(*SOURCE, *X264, tmp_path / "film.mkv")
    assert is_fine(path)
    inside = [b"\x18\x53\x80\x67", b"\x16\x54\xae\x6b", b"\xae"]  # segment, tracks, track
    assert is_encrypted(changed(path, with_encryption(path.read_bytes(), inside)), "Matroska's encryption")


def with_encryption(data, inside):
    """EBML with a track's encoding put into the elements named `inside`, from the outermost to the innermost."""
    if not inside:
        key = element("47e2", bytes(range(16)))
        how = element("5031", b"\0") + element("5032", b"\1") + element("5033", b"\1")
        return data + element("6d80", element("6240", how + element("5035", element("47e1", b"\5") + key)))
    at, whole = 0, b""
    while at < len(data):
        name = data[at : at + length_of(data[at])]
        wide = length_of(data[at + len(name)])
        size = int.from_bytes(data[at + len(name) : at + len(name) + wide], "big") & (1 << 7 * wide) - 1
        body = at + len(name) + wide
        if name == inside[0]:
            whole += element(name.hex(), with_encryption(data[body : body + size], inside[1:]))
        else:
            whole += data[at : body + size]
        at = body + size
    return whole


def length_of(first):
    return 9 - first.bit_length()


def element(name, payload):
    return binascii.unhexlify(name) + (len(payload) | 1 << 56).to_bytes(8, "big") + payload


def test_a_blu_ray(tmp_path, ffmpeg):
    path = ffmpeg(*SOURCE, *X264, "-qp", 5, "-mpegts_m2ts_mode", 1, tmp_path / "film.m2ts")
    assert is_fine(path)
    data = np.frombuffer(path.read_bytes(), np.uint8).copy()
    units = data[: len(data) // 6144 * 6144].reshape(-1, 6144)
    units[:, 0] |= 0xC0
    units[:, 16:] ^= np.random.default_rng(1).integers(1, 256, units[:, 16:].shape, np.uint8)
    assert is_encrypted(changed(path, units.tobytes()), "AACS")


@pytest.mark.parametrize(
    ("tool", "head"),
    [("OpenSSL", b"Salted__"), ("age", b"age-encryption.org/v1\n"), ("PGP", b"-----BEGIN PGP MESSAGE-----\n")],
)
def test_a_file_that_a_tool_encrypted(tmp_path, tool, head):
    path = tmp_path / "film.mp4"
    path.write_bytes(head + bytes(range(256)))
    assert is_encrypted(path, tool)
