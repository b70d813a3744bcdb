"""A batch that is killed at any moment and run again: the same movies, and next to nothing made twice."""

import os
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.tasks.movies.stories import small

SCRIPT = Path(__file__).with_name("killable.py")
ROOT = Path(__file__).parents[4]


def batch(folder: Path, good: int) -> list[str]:
    """Story files: good ones, one that is malformed, one without its photograph, one that ends its worker."""
    folder.mkdir()
    for number in range(good):
        plots = "".join(f"      - plots: [Anna does thing {number}.{line}., She sits.]\n" for line in range(2))
        text = f"title: Story {number}\nseed: {number}\nscenes:\n  - title: One\n    shots:\n{plots}"
        (folder / f"good-{number:02d}.yaml").write_text(text)
    (folder / "malformed.yaml").write_text("title: [")
    (folder / "photograph.yaml").write_text(
        "title: Gone\ncast: [{name: Anna, pictures: [gone.jpg]}]\n"
        "scenes: [{shots: [{characters: [Anna], plot: She sits.}]}]"
    )
    (folder / "worker.yaml").write_text("title: Bad\nscenes: [{shots: [A deadly thing.]}]")
    return sorted(path.stem for path in folder.iterdir())


def process(storage: Path, stories: Path, log: Path) -> "subprocess.Popen[str]":
    names = {name: value for name, value in os.environ.items() if not name.startswith("RAY_")} | {
        "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH"), str(ROOT))))
    }
    command = [sys.executable, str(SCRIPT), str(storage), str(stories), str(log)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=names, start_new_session=True
    )


def outcomes(running: "subprocess.Popen[str]") -> dict[str, tuple[str, str]]:
    """State and error of each story of a run that comes to its end."""
    assert running.stdout is not None
    told = [line.split(maxsplit=3) for line in running.stdout if line.startswith("outcome")]
    assert running.wait() == 0
    return {line[2]: (line[1], line[3] if len(line) > 3 else "") for line in told}


def kill_after(running: "subprocess.Popen[str]", pieces: int) -> bool:
    """Kills the whole group when so many pieces were told of; false for a run that ended before."""
    assert running.stdout is not None
    told = 0
    for line in running.stdout:
        told += line.startswith("stories ")
        if told > pieces:
            os.killpg(running.pid, signal.SIGKILL)
            running.wait()
            return True
    running.wait()
    return False


def movies(storage: Path) -> dict[str, bytes]:
    return {path.relative_to(storage).as_posix(): path.read_bytes() for path in storage.glob("movies/*/*")}


def killed_again_and_again(folder: Path, good: int, kills: int, seed: int = 0) -> dict[str, int]:
    """Compares an undisturbed run with one that is killed `kills` times; returns counts for people."""
    names = batch(folder / "stories", good)
    for name in ("whole", "killed"):
        small.storage(folder / name)
    whole = outcomes(process(folder / "whole", folder / "stories", folder / "whole.log"))
    draw, killed = random.Random(seed), 0
    while killed < kills and kill_after(
        process(folder / "killed", folder / "stories", folder / "killed.log"), draw.randint(0, 2 + 12 * good // kills)
    ):
        killed += 1
    last = outcomes(process(folder / "killed", folder / "stories", folder / "killed.log"))
    assert set(whole) == set(last) == set(names)
    assert {name for name, (state, _) in last.items() if state == "failed"} == {"malformed", "photograph", "worker"}
    assert [name for name, (state, _) in last.items() if state not in ("done", "failed")] == []
    assert "ended its worker at each of 3 attempts" in last["worker"][1]
    assert "gone.jpg" in last["photograph"][1]
    assert movies(folder / "whole") == movies(folder / "killed")
    begun = (folder / "killed.log").read_text().splitlines()
    return {
        "movies": len(list((folder / "whole").glob("movies/*/*.mp4"))),
        "kills": killed,
        "pieces": len(set(begun)),
        "begun_twice": len(begun) - len(set(begun)),
    }


@pytest.mark.slow
def test_a_killed_batch_makes_the_same_movies_and_next_to_nothing_twice(tmp_path: Path) -> None:
    found = killed_again_and_again(tmp_path, good=2, kills=2)
    assert (found["movies"], found["kills"]) == (2, 2)
    assert found["begun_twice"] <= 2 * found["kills"]  # what both pools had at work
