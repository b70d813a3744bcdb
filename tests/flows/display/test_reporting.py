"""What people see of stages: summaries, estimates, plain lines, bars, and who is told."""

import io
import itertools
import re
import threading
import time

import pytest
from PIL import Image
from rich.console import Console

from flows.display.artifacts import ProgressArtifact, chart, contact_sheet
from flows.display.console import Terminal
from flows.display.reporting import Stage, clock, label, listening, pace, reported, warn
from flows.training import _side_by_side
from tests.storage.test_printable import EVIL


def _terminal(is_terminal: bool = False) -> tuple[Terminal, io.StringIO]:
    written = io.StringIO()
    return Terminal(Console(file=written, force_terminal=is_terminal, width=100)), written


@pytest.mark.parametrize(("seconds", "text"), [(0.4, "0:00"), (65, "1:05"), (7384, "2:03:04")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text


def test_the_estimate_counts_only_what_this_run_did(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stage = Stage("decoder")
    stage.update("steps", 60, 100)  # as a resumed run begins
    assert stage.remaining("steps") is None
    now += 2
    stage.update("steps", 70, 100)
    now += 7
    stage.update("steps", 80, 100)
    assert stage.remaining("steps") == 14
    assert stage.fraction == 0.8
    assert pace(stage, "steps").startswith("steps 80/100, ")


def test_the_estimate_leaves_out_the_start_up(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stage = Stage("stories", began=0.0)
    stage.update("stories", 0, 123)
    now = 10.0  # Ray and the models are there
    for done in range(1, 5):  # the workers' first ones come together
        stage.update("stories", done, 123)
        assert stage.remaining("stories") is None
        assert pace(stage, "stories") == f"stories {done}/123, 0:10 so far"
    now = 19.0
    stage.update("stories", 20, 123)
    assert stage.remaining("stories") is None
    now = 21.0
    stage.update("stories", 23, 123)
    assert stage.remaining("stories") == 50


def test_each_film_has_its_own_pace_and_finished_ones_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 0.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stage = Stage("keyframes")
    stage.update("keyframes", 0, 300)
    for film in range(100):
        now = film * 10.0
        stage.update(f"films/{film}/clip.mp4", 0, 60)
        now += 2
        stage.update(f"films/{film}/clip.mp4", 12, 60)
        now += 3
        stage.update(f"films/{film}/clip.mp4", 30, 60)
        assert stage.remaining(f"films/{film}/clip.mp4") == 5
        if film == 0:
            assert stage.fraction == pytest.approx(0.5 / 300)
        stage.update(f"films/{film}/clip.mp4", 60, 60)
        stage.update("keyframes", film + 1, 300)
    assert stage.remaining("keyframes") == pytest.approx(200 * 10)
    assert stage.fraction == pytest.approx(100 / 300)
    assert stage.summary() == "keyframes 100 of 300"


def test_films_of_one_file_name_are_two_and_a_film_that_starts_again_has_a_new_pace() -> None:
    stage = Stage("keyframes")
    for source, done in (("a/clip.mp4", 10), ("b/clip.mp4", 20), ("a/clip.mp4", 12)):
        stage.update(source, done, 60)
    assert (stage.steps["a/clip.mp4"].done, stage.steps["b/clip.mp4"].done) == (12, 20)
    assert pace(stage, "a/clip.mp4").startswith("clip.mp4 12/60")
    stage.update("a/clip.mp4", 1, 60)
    assert stage.remaining("a/clip.mp4") is None


def test_a_stage_of_parts_alone_sums_them_up() -> None:
    stage = Stage("movie")
    for title in ("One", "Two", "Three"):
        for done in (0, 4):
            stage.update(f"movie of {title}", done, 4)
    assert stage.summary() == "movie of Three 4 of 4 and 2 more"


def test_a_stage_that_worked_and_one_that_had_nothing_to_do() -> None:
    terminal, written = _terminal()
    with listening(terminal), terminal:
        with reported("captions") as progress:
            progress("captions", 0, 0)
        with reported("captions"):  # asked for again by a later flow
            pass
        with reported("faces"):
            pass
    first, second = written.getvalue().splitlines()
    assert "captions" in first
    assert "nothing to do" in first
    assert "faces" in second
    assert terminal.finished == ["captions", "faces"]


def test_a_stage_of_films_tells_new_ones_from_those_that_were_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProgressArtifact, "update", lambda *_: None)
    terminal, written = _terminal()
    with listening(terminal), terminal:
        with reported("keyframes", of="films") as progress:
            for done in (2, 3):  # the fourth is left out
                progress("keyframes", done, 4)
        with reported("faces", of="films") as progress:
            progress("faces", 3, 3)
        with reported("tokens", of="films") as progress:
            progress("tokens", 0, 3)
            progress("tokens", 3, 3)
        with reported("tokens", of="films") as progress:  # asked for again by a later flow
            progress("tokens", 3, 3)
    keyframes, faces, tokens = written.getvalue().splitlines()
    assert keyframes.endswith("3 of 4 films: 1 new, 2 from before")
    assert faces.endswith("3 of 3 films: 3 from before")
    assert tokens.endswith("3 of 3 films: 3 new")


def test_a_warning_is_a_line_of_its_own() -> None:
    terminal, written = _terminal()
    with listening(terminal), terminal:
        warn("0.75 of the movies [of 4] are held out")
    assert written.getvalue() == "note 0.75 of the movies [of 4] are held out\n"


@pytest.mark.parametrize("is_terminal", [False, True])
def test_what_comes_from_outside_is_shown_escaped_and_cut(is_terminal: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Terminal, "plain_every", -1.0)
    seen, (terminal, written) = list[str](), _terminal(is_terminal)
    monkeypatch.setattr(ProgressArtifact, "update", lambda self, fraction, text: seen.append(text))
    monkeypatch.setattr(ProgressArtifact, "finish", lambda self, text: seen.append(text))
    with listening(terminal), terminal:
        warn(EVIL)
        terminal.name_what_is_kept(EVIL)
        with reported("movie") as progress:
            for what in (f"movie of {EVIL}", f"films/{EVIL}.mp4", f"s3://b/{EVIL}.mp4?endpoint_override=x"):
                progress(what, 0, 3)
                progress(what, 2, 3)
    told = written.getvalue() if not is_terminal else ""
    assert all(letter.isprintable() or letter == "\n" for letter in told + "\n".join(seen))
    assert "]0;owned" not in re.sub(r"\\x1b\]0;owned", "", written.getvalue())
    assert "endpoint_override" not in written.getvalue() + str(seen)
    assert len(written.getvalue()) < 30_000


def test_a_film_is_called_by_its_file_s_name() -> None:
    assert label("s3://b/x/a b.mp4?region=x&endpoint_override=http://h") == "a b.mp4"
    assert label("file:///films/caf%E9.mp4") == r"caf\xe9.mp4"
    assert label("films/a?b.mp4") == "a?b.mp4"
    assert label("naming the films") == "naming the films"


def test_a_stage_that_fails_names_what_is_kept() -> None:
    terminal, written = _terminal()
    with listening(terminal), terminal:
        with reported("ingest"):
            pass
        with pytest.raises(ValueError, match="broken"), reported("faces [1]"):
            raise ValueError("broken")
        terminal.name_what_is_kept("out")
    text = written.getvalue()
    assert "stopped faces [1]" in text
    assert "finished and kept in out: ingest; the same command goes on from there" in text


def test_bars_show_steps_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal, _ = _terminal(is_terminal=True)
    seconds = itertools.count()
    monkeypatch.setattr(time, "monotonic", lambda: float(next(seconds)))
    with terminal:
        stage = Stage("autoencoder")
        terminal.begins(stage)
        for done in (1, 2, 3):
            stage.update("autoencoder", done, 4)
            terminal.moves(stage, "autoencoder")
        (bar,) = terminal._progress.tasks
        assert (bar.completed, bar.total) == (3, 4)
        assert "to go" in bar.fields["times"]
        terminal.ends(stage)
        assert terminal._progress.tasks == []


def test_a_films_bar_goes_when_the_film_is_done() -> None:
    terminal, _ = _terminal(is_terminal=True)
    stage = Stage("keyframes")

    def progress(what: str, done: int, total: int) -> None:
        stage.update(what, done, total)
        terminal.moves(stage, what)

    with terminal:
        progress("keyframes", 0, 3)
        for film in ("a/clip.mp4", "b/clip.mp4"):
            progress(film, 1, 2)
        assert len(terminal._progress.tasks) == 3
        for film in ("a/clip.mp4", "b/clip.mp4"):
            progress(film, 2, 2)
        progress("keyframes", 3, 3)
        (bar,) = terminal._progress.tasks
        assert bar.description == "keyframes"


def test_contact_sheet_is_a_grid_of_one_size() -> None:
    def picture(width: int, height: int, colour: str) -> bytes:
        out = io.BytesIO()
        Image.new("RGB", (width, height), colour).save(out, "WEBP", lossless=True)
        return out.getvalue()

    row = [picture(896, 512, "red"), picture(448, 256, "blue")]
    sheet = Image.open(io.BytesIO(contact_sheet([row, row[:1]], width=70)))
    assert sheet.size == (2 * 70 + 4, 2 * 40 + 4)
    assert [max(range(3), key=lambda c: sheet.getpixel(place)[c]) for place in ((35, 20), (110, 20))] == [0, 2]
    assert min(sheet.getpixel((110, 64))) > 240


def test_side_by_side_works_meet_and_keep_their_order() -> None:
    both = threading.Barrier(2, timeout=20)

    def work(name: str) -> str:
        both.wait()
        return name

    assert _side_by_side(lambda: work("a"), lambda: work("b")) == ["a", "b"]


def test_side_by_side_raises_the_first_error_without_waiting() -> None:
    forever = threading.Event()

    def fail() -> str:
        raise ValueError("broken")

    def wait() -> str:
        forever.wait(60)
        return "late"

    with pytest.raises(ValueError, match="broken"):
        _side_by_side(wait, fail)
    forever.set()


def test_a_falling_curve_falls_in_its_panel() -> None:
    curves = {"loss": [(step, 1 / (1 + step)) for step in range(2000)], "flat": [(0, 1.0)]}
    with Image.open(io.BytesIO(chart(curves))) as picture:
        assert picture.size == (640, 160)
        blue = [(x, y) for x in range(320) for y in range(160) if picture.getpixel((x, y)) == (31, 98, 180)]
    left, right = min(blue), max(blue)
    assert left[1] < 40 < 130 < right[1]
