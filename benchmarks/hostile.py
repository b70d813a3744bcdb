"""Hostile inputs: does one of them crash a run, read another file, call a server or eat the machine?

    python benchmarks/hostile.py --inputs 200 --seed 0

A folder is filled with films that were damaged by a seeded fuzzer (and don't decode in full any more), playlists and
scripts that lead to a film outside and to a server on this machine, archives and pictures that grow when they are
unpacked or declare sizes of a hundred thousand pixels, names for shells and paths, links, pipes and devices. All go the
way of a user's folder: found, named, and decoded in the child process. Photographs and stories go the way of a story.
The peer opens the same films with PyAV as its examples do, each in a forked process.
"""

import argparse
import bz2
import gzip
import json
import lzma
import os
import random
import resource
import signal
import socket
import struct
import sys
import tempfile
import threading
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import chdir, contextmanager, suppress
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

import numpy as np

from storage.decoding.child import decode_in_child, end_servers
from storage.decoding.decode import KeyframesConfig
from storage.errors import ConfigError, FilmError
from storage.films.films import resolve
from storage.remote import local_path
from storage.root import Storage
from storage.stories.photographs import photograph
from storage.stories.reading import read
from storage.tables.rejects import NOTES, Reject
from storage.tables.tables import Tables

SECONDS = 4
PICTURES = (".png", ".gif", ".bmp", ".jpg", ".tiff", ".webp")
SMALL = KeyframesConfig(width=64, height=64, time_limit=30, cpu_limit=20, memory_limit=4)
CONTAINERS = {"mp4": "libx264", "mkv": "libx264", "avi": "mpeg4", "webm": "libvpx", "mov": "libx264"}
NAMES = (
    *("$(touch hacked).mp4", "`touch hacked`.mkv", "a;touch hacked;.mp4", "|touch hacked.avi", "-i.mp4", "--help.mkv"),
    *("%2e%2e%2foutside.mp4", "%d.mp4", "%n%s.mov", "\x1b[2Jcleared.mp4", "two\nlines.mp4", "<script>1<.mp4", "~.mp4"),
    *("concat:a.mp4|b.mp4", "http:a.mp4", "data:,.mp4", "x" * 250 + ".mp4", "' OR 1=1 --.mp4", "{0.__class__}.mp4"),
    *("subfile,,start,0,end,9,,:a.mp4", "pipe:0.mp4", "fd:0.mp4", "crypto:a.mp4", "tee:a.mp4", "*.mp4", "[a-z].mp4"),
    *("\u202e4pm.exe.mp4", "\u200b.mp4", "CON.mp4", " .mp4", "é" * 124 + ".mp4", os.fsdecode(b"\xff\xfe.mp4")),
)


@dataclass
class Found:
    """What became of the inputs.

    Attributes:
        reasons: how many were refused or used in part, by their reason.
        faults: sentences on what must not be.
    """

    reasons: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)


def main() -> None:
    """Prints the reasons, and what went wrong beside what goes wrong without care, as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, listener() as (port, callers):
        place = Path(folder)
        films = make_films(place, args.inputs * 4 // 5, port, random.Random(args.seed))
        others = make_others(place, args.inputs - len(films))
        found = judge(place, others)
        found.faults += [f"{len(callers)} connections"] * bool(callers)
        callers.clear()
        peer = [plainly(path) for path in films]
        peer += ["connected to a server"] * len(callers)
    for reason, count in found.reasons.most_common():
        print(f"{count:>4} {reason}")
    print("must not be: " + ("; ".join(found.faults) or "nothing"))
    unsafe = Counter(filter(None, peer))
    print("the peer: " + (", ".join(f"{count} {said}" for said, count in unsafe.items()) or "nothing"))
    result = {"name": "hostile_inputs_that_did_harm", "value": len(found.faults), "unit": "inputs"}
    print(json.dumps(result | {"baseline": unsafe.total(), "ratio": None, "n": len(films) + len(others)}))
    sys.exit(bool(found.faults))


def make_films(place: Path, count: int, port: int, draw: random.Random) -> list[Path]:
    """Writes hostile films into the folder "films", and into "outside" a film that they try to reach."""
    films, outside = place / "films", place / "outside"
    films.mkdir()
    outside.mkdir()
    secret = write_film(outside / "secret.ts", "libx264")
    made = [*leading(films, secret, port), *growing(films), *odd_files(films, outside)]
    made += [put(films / name, b"not a film " + os.fsencode(name)) for name in NAMES]
    draw.shuffle(made)
    for path in made[count * 2 // 3 :]:
        path.unlink()
    del made[count * 2 // 3 :]
    whole = {ending: write_film(outside / f"whole.{ending}", codec) for ending, codec in CONTAINERS.items()}
    while len(made) < count:
        ending = list(CONTAINERS)[len(made) % len(CONTAINERS)]
        data = damaged(whole[ending].read_bytes(), draw)
        path = put(films / f"{len(made):03d}.{ending}", data)
        if decodes(path):  # the damage is where nobody looks
            path.unlink()
        else:
            made.append(path)
    return made


def put(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def write_film(path: Path, codec: str) -> Path:
    import av

    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10, options={"g": "10", "threads": "1"})
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        stream.time_base = Fraction(1, 10)
        for number in range(10 * SECONDS):
            picture = np.random.default_rng(number).integers(0, 255, (64, 96, 3)).astype(np.uint8)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, 10)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def damaged(data: bytes, draw: random.Random) -> bytes:
    """A film's bytes with one to eight faults."""
    parts = bytearray(data)
    for _ in range(draw.randint(1, 8)):
        at, size = draw.randrange(len(parts)), draw.choice((1, 4, 64, 4096))
        match draw.randrange(6):
            case 0:
                parts[at] ^= 1 << draw.randrange(8)
            case 1:
                parts[at : at + size] = draw.randbytes(min(size, len(parts) - at))
            case 2:
                parts[at : at + 4] = draw.choice((b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff"))
            case 3:
                parts[at:at] = parts[at : at + size]
            case 4:
                head = draw.randrange(min(len(parts), 2048))
                parts[head : head + 4] = draw.randbytes(4)
            case _:
                del parts[max(at, 16) :]
    return bytes(parts)


def decodes(path: Path) -> bool:
    try:
        with decode_in_child(path, SMALL) as film:
            return not film.damage
    except FilmError:
        return False


def leading(films: Path, secret: Path, port: int) -> Iterator[Path]:
    """Playlists and scripts that lead outside or to a server, under the endings of films."""
    for number, goal in enumerate(
        (str(secret), f"file://{secret}", f"http://127.0.0.1:{port}/a.ts", "../outside/secret.ts")
    ):
        texts = {
            "m3u8.ts": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{goal}\n#EXT-X-ENDLIST\n",
            "concat.mkv": f"ffconcat version 1.0\nfile '{goal}'\n",
            "pls.mp4": f"[playlist]\nNumberOfEntries=1\nFile1={goal}\n",
            "asx.wmv": f"<asx version='3.0'><entry><ref href='{goal}'/></entry></asx>",
            "sdp.mp4": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
            "mpd.mp4": "<?xml version='1.0'?><MPD xmlns='urn:mpeg:dash:schema:mpd:2011' type='static'><Period>"
            f"<AdaptationSet mimeType='video/mp4'><BaseURL>{goal}</BaseURL></AdaptationSet></Period></MPD>",
            "svg.mov": f"<svg xmlns='http://www.w3.org/2000/svg'><image href='{goal}'/></svg>",
            "xxe.mp4": f"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b SYSTEM '{goal}'>]><a>&b;</a>",
            "key.ts": f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXT-X-KEY:METHOD=AES-128,URI='{goal}'\n"
            f"#EXT-X-MAP:URI='{goal}'\n#EXTINF:9,\n{goal}\n#EXT-X-ENDLIST\n".replace("'", '"'),
            "imf.mxf": "<?xml version='1.0'?><CompositionPlaylist xmlns='http://www.smpte-ra.org/schemas/2067-3/2016'>"
            f"<Id>urn:uuid:1</Id><Path>{goal}</Path></CompositionPlaylist>",
            "avs.avi": f"DirectShowSource('{goal}')\n",
            "ffmeta.mkv": f";FFMETADATA1\ntitle={goal}\n",
        }
        for name, text in texts.items():
            yield put(films / f"leads {number} {name}", text.encode())


def growing(films: Path) -> Iterator[Path]:
    """Few bytes that become many."""
    with zipfile.ZipFile(films / "zip.mp4", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("../../escaped.mp4", bytes(50_000_000))
    yield films / "zip.mp4"
    yield put(films / "deflated.mkv", zlib.compress(bytes(50_000_000)))
    zeros = bytes(20_000_000)
    packed = {"xz.mp4": lzma.compress(zeros, preset=0), "bz2.mkv": bz2.compress(zeros), "gz.webm": gzip.compress(zeros)}
    for name, data in packed.items():
        yield put(films / name, data)
    for number, header in enumerate(
        ("W0 H0 F25:1", "W64 H64 F0:0", "W64 H64 F1000000000:1", "W-1 H64 F25:1", "W2 H2 F1:9" * 9)
    ):
        yield put(films / f"header {number}.y4m", f"YUV4MPEG2 {header} C420\nFRAME\n".encode() + bytes(9000))
    yield put(films / "streams.avi", many_streams(60_000))
    with (films / "sparse.mp4").open("wb") as sparse:
        sparse.write(b"\0\0\0\x10ftypisom\0\0\0\0" + struct.pack(">I4sQ", 1, b"mdat", 1 << 30))
        sparse.truncate(1 << 30)
    yield films / "sparse.mp4"
    yield put(films / "animated.mp4", png(100_000, 100_000, bytes(1_000_000), animated=True))
    yield put(films / "gif.mp4", b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + bytes(6) + GIF_IMAGE * 50)
    yield put(films / "plain.y4m", b"YUV4MPEG2 W100000 H100000 F25:1 C420\nFRAME\n" + bytes(1000))
    yield put(films / "huge.ivf", b"DKIF\0\0\x20\0VP80" + struct.pack("<HHIIQ", 65535, 65535, 25, 1, 10) + bytes(900))
    yield put(films / "nested.mp4", b"".join(struct.pack(">I4s", 8 * (5000 - n), b"moov") for n in range(5000)))
    yield put(
        films / "endless.mp4", b"\0\0\0\x10ftypisom\0\0\0\0" + struct.pack(">I4sQ", 1, b"mdat", 2**63) + bytes(99)
    )


def many_streams(count: int) -> bytes:
    """An AVI whose header lists that many streams."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return kind + struct.pack("<I", len(data)) + data

    stream = chunk(b"LIST", b"strl" + chunk(b"strh", b"vidsMJPG" + bytes(48)) + chunk(b"strf", bytes(40)))
    main = chunk(b"avih", struct.pack("<14I", 40_000, 0, 0, 0, 99, 0, count, 0, 64, 64, 0, 0, 0, 0))
    return chunk(b"RIFF", b"AVI " + chunk(b"LIST", b"hdrl" + main + stream * count) + chunk(b"LIST", b"movi"))


GIF_IMAGE = b"\x2c\0\0\0\0\xff\xff\xff\xff\0\x02\x02\x4c\x01\0"


def png(width: int, height: int, raw: bytes, animated: bool = False, notes: bytes = b"") -> bytes:
    """A PNG that declares a size, whatever its pixels are; with compressed notes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    control = chunk(b"acTL", struct.pack(">II", 2, 0)) if animated else b""
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    control += chunk(b"zTXt", b"Comment\0\0" + zlib.compress(notes)) if notes else b""
    return b"\x89PNG\r\n\x1a\n" + header + control + chunk(b"IDAT", zlib.compress(raw)) + chunk(b"IEND", b"")


def odd_files(films: Path, outside: Path) -> Iterator[Path]:
    """Links that lead out or nowhere, and what is no file."""
    put(outside / "passwords", b"root:secret\n" * 9)
    for name, goal in {
        "passwords.mp4": outside / "passwords",
        "nowhere.mp4": outside / "none",
        "itself.mp4": films / "itself.mp4",
        "zeros.mp4": Path("/dev/zero"),
        "memory.mp4": Path("/proc/self/mem"),
        "folder.mp4": films,
    }.items():
        (films / name).symlink_to(goal)
        if name != "folder.mp4":  # a ring of folders: what is in it is known by its own path
            yield films / name
    os.mkfifo(films / "pipe.mp4")
    yield films / "pipe.mp4"
    with socket.socket(socket.AF_UNIX) as listening, chdir(films):  # its path is too long for a socket's name
        listening.bind("socket.mp4")
    yield films / "socket.mp4"
    yield put(films / "empty.mp4", b"")


def make_others(place: Path, count: int) -> list[Path]:
    """Hostile photographs and stories."""
    folder = place / "story"
    folder.mkdir()
    pictures = {
        "wide.png": png(100_000, 100_000, bytes(1_000_000)),
        "deep.png": png(20_000, 20_000, bytes(9_000_000)),
        "vast.gif": b"GIF89a" + struct.pack("<HH", 65535, 65535) + b"\xf0\0\0" + bytes(6) + GIF_IMAGE,
        "vast.bmp": b"BM" + struct.pack("<IHHIIiiHH", 999, 0, 0, 54, 40, 99_999, 99_999, 1, 24) + bytes(900),
        "program.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 99 99\n(hacked) (w) file\nshowpage\n",
        "drawn.png": b"<svg xmlns='http://www.w3.org/2000/svg' width='99' height='99'/>",
        "empty.jpg": b"",
        "noted.png": png(64, 64, bytes(193 * 64), notes=bytes(80_000_000)),
        "vast.tiff": b"II*\0\x08\0\0\0\x02\0\0\1\4\0\1\0\0\0"
        + struct.pack("<I", 99_999)
        + b"\1\1\4\0\1\0\0\0"
        + struct.pack("<I", 99_999)
        + bytes(4),
        "vast.webp": b"RIFF\x1e\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0" + b"\xff\xff\xff" * 2 + bytes(8),
        "passwords.png": b"root:secret\n" * 9,
    }
    head = "title: x\nscenes:\n- shots:\n  - x\n"
    stories = {
        "laughs.yaml": "a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\n" + head,
        "object.yaml": "title: !!python/object/apply:os.system ['touch hacked']\n" + head,
        "nested.json": "[" * 50_000,
        "deep.yaml": "[" * 50_000,
        "up.yaml": head + "cast:\n- name: A\n  pictures: [../outside/passwords]\n",
        "absolute.yaml": head + "cast:\n- name: A\n  pictures: [/etc/passwd]\n",
        "address.yaml": head + "cast:\n- name: A\n  pictures: ['http://127.0.0.1/a.png']\n",
        "linked.yaml": head + "cast:\n- name: A\n  pictures: [link.png]\n",
        "nothing.md": "\0" * 1000,
        "itself.yaml": "a: &a [*a]\n" + head,
        "digits.yaml": f"title: x\nscenes: {'9' * 5000}\n",
        "merged.yaml": "a: &a {<<: *a}\n" + head,
        "twice.json": '{"title": "x", "title": "y", "scenes": [{"shots": ["x"]}]}',
        "names.yaml": head + 'cast:\n- name: "\\0../x"\n  pictures: [..]\n',
        "device.yaml": head + "cast:\n- name: A\n  pictures: [/dev/zero]\n",
        "home.yaml": head + "cast:\n- name: A\n  pictures: [~/.ssh/id_rsa]\n",
        "tagged.yaml": "title: x\nscenes: !!python/name:os.system\n",
    }
    (folder / "link.png").symlink_to(place / "outside" / "passwords")
    made = [put(folder / name, data) for name, data in pictures.items()]
    made += [put(folder / name, text.encode()) for name, text in stories.items()]
    for number in range(len(made), count):
        made.append(put(folder / f"{number}.png", png(1000 * number, 70_000 + number, bytes(number))))
    return made[:count]


def judge(place: Path, others: list[Path]) -> Found:
    """Takes the folder as a user's films, and the others as stories and photographs."""
    found, tables = Found(), Tables(Storage(str(place / "out")))
    before = everything(place)
    films, rejects = resolve([str(place / "films")])
    for film in films:
        try:
            with decode_in_child(film.path, SMALL) as decoded:
                if decoded.damage:
                    error = FilmError("partly_decoded", decoded.damage)
                    rejects.append(Reject.of(error, film.address, film.film_id, "keyframes"))
        except FilmError as error:
            rejects.append(Reject.of(error, film.address, film.film_id, "keyframes"))
    end_servers()
    tables.judge("keyframes", [], [reject.model_copy(update={"stage": "keyframes"}) for reject in rejects])
    kept = {str(local_path(reject.source)): reject for reject in tables.rejects()}
    for path in sorted((place / "films").iterdir()):
        reject = kept.get(str(path))
        if reject is None and not path.is_dir():
            found.faults.append(f"{path.name!r} is in no table of rejects")
        elif reject is not None:
            found.reasons[reject.reason] += 1
            crashed = reject.reason == "crashed"
            found.faults += [f"{path.name!r} ended the decoder: {reject.detail}"] * crashed
            found.faults += [f"{path.name!r} shows another file"] * ("root:secret" in reject.detail)
            found.faults += [f"{path.name!r} was decoded"] * (reject.reason in NOTES and "leads" in path.name)
    for path in others:
        try:
            photograph(path) if path.suffix in PICTURES else read(path)
            found.faults.append(f"{path.name!r} was taken")
        except ConfigError as error:
            found.reasons["not taken into a story"] += 1
            found.faults += [f"{path.name!r} shows another file"] * ("root:secret" in str(error))
    found.faults += [f"{name} is new or changed" for name in everything(place) - before if name.split("/")[0] != "out"]
    return found


def everything(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")} | {f"{path}" for path in Path().glob("hacked*")}


@contextmanager
def listener() -> Iterator[tuple[int, list[object]]]:
    """A server on this machine, and whoever called."""
    callers: list[object] = []

    def listen() -> None:
        with suppress(OSError):
            while True:
                connection, caller = server.accept()
                connection.close()
                callers.append(caller)

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=listen, daemon=True).start()
        yield server.getsockname()[1], callers
        server.shutdown(socket.SHUT_RDWR)


def plainly(path: Path) -> str:
    """What happens to a process that opens a film without care: "" when nothing does."""
    import av

    child = os.fork()
    if not child:
        signal.alarm(5)
        resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        code = 0
        try:
            with av.open(str(path), timeout=3) as container:
                for number, _ in enumerate(container.decode(video=0)):
                    code = 1 if path.name.startswith("leads") else 0
                    if number > 50:
                        break
        except MemoryError:
            code = 2
        except Exception:
            pass
        finally:
            os._exit(code)
    ended = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    said = {0: "", 1: "read another file", 2: "took all memory", -signal.SIGALRM: "never ended"}
    return said.get(ended, "crashed")


if __name__ == "__main__":
    main()
