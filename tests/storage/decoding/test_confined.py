"""What a decoding process can't reach, on systems that offer to keep it from that."""

import subprocess
import sys
from pathlib import Path

import pytest

_TRIED = """
import socket, sys
from pathlib import Path
from storage.decoding import confined
film, other = map(Path, sys.argv[1:])
server = socket.create_server(("127.0.0.1", 0))
offline, jailed = confined.leave_network(), confined.read_only([film])
said = {}
def trial(name, act):
    try:
        act()
        said[name] = True
    except OSError:
        said[name] = False
trial("film", film.read_bytes)
trial("other", other.read_bytes)
trial("folder", lambda: list(other.parent.iterdir()))
trial("write", lambda: film.write_bytes(b"x"))
trial("new", lambda: film.with_name("new").touch())
trial("network", lambda: socket.create_connection(server.getsockname(), 1))
import colorsys  # Python's own still loads
print(offline, jailed, said)
"""


def test_a_confined_process_opens_its_film_and_nothing_else(tmp_path: Path) -> None:
    film, other = tmp_path / "film.mp4", tmp_path / "other.mp4"
    for path in (film, other):
        path.write_bytes(b"film")
    command = [sys.executable, "-c", _TRIED, str(film), str(other)]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    offline, jailed, _ = said.split(" ", 2)
    if jailed == "False":
        pytest.skip("this system has no Landlock")
    wanted = {"film": True, "other": False, "folder": False, "write": False, "new": False, "network": False}
    assert said.strip() == f"{offline} True {wanted}"
