"""The worker without Ray: whose fault it is when nothing comes, and what is read before a film's turn."""

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pytest

import tasks.worker
from benchmarks import fakes
from storage.root import Storage
from storage.tables.tables import Tables
from tasks.cluster import Limits
from tasks.made import Film, Made, ReadsAhead, Step, answered
from tasks.rows import CHUNK, Pictures
from tasks.worker import Worker, _Turn

A, B = fakes.film_ids(2)
LIMITS = Limits(patience=3600, memory=8)


def worker(place: Path, make: Callable[[], Callable[[str], Made]]) -> Worker:
    return Worker(Storage(str(place)), make, LIMITS)


def test_a_film_is_not_blamed_for_models_that_do_not_load(tmp_path: Path) -> None:
    held = worker(tmp_path, lambda: lambda _: Made({}))
    late = _Turn(Film(A, "f"), seen=-2 * LIMITS.patience)
    fault = held._fault(late)
    assert fault is not None
    assert fault.failure == "its models were not loaded within 3600 s"
    list(held._watched(_Turn(Film(B, "f"))))  # loads them
    fault = held._fault(late)
    assert fault is not None
    assert fault.reject is not None
    assert fault.reject.reason == "timed_out"


def test_a_film_that_ends_while_its_memory_is_measured_is_not_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held = worker(tmp_path, lambda: lambda _: Made({}))
    held._base = 5 << 30

    def measured() -> int:
        held._base = 0  # as the other thread does
        return 9 << 30

    monkeypatch.setattr(tasks.worker, "_private_bytes", measured)
    assert held._fault(_Turn(Film(A, "f"), seen=time.monotonic())) is None


def test_models_that_load_for_long_take_nothing_of_the_films_patience(tmp_path: Path) -> None:
    turn = _Turn(Film(A, "f"))

    def make() -> Callable[[str], Made]:
        turn.seen = -2 * LIMITS.patience  # as if much time had passed
        return lambda _: Made({})

    answers = list(worker(tmp_path, make)._watched(turn))
    assert [answer.begins for answer in answers] == [True, False]
    assert turn.seen >= 0


def test_each_step_of_a_film_is_told_before_its_end(tmp_path: Path) -> None:
    def work(_: str) -> Iterator[Step | Made]:
        for done in (1, 2, 3):
            yield Step(done, 3)
        yield Made({})

    answers = list(answered(Storage(str(tmp_path)), Film(A, "f"), 1, work))
    assert [answer.step for answer in answers if answer.step] == [Step(1, 3), Step(2, 3), Step(3, 3)]
    assert answers[-1].step is None


def test_the_next_film_is_expected_while_one_is_at_work(tmp_path: Path) -> None:
    began: list[str] = []
    waiting = threading.Event()

    def work(film_id: str) -> Iterator[Made]:
        began.append(f"work on {film_id}")
        if film_id == A:
            assert waiting.wait(10)
        yield Made({})

    held = worker(tmp_path, lambda: ReadsAhead(work, lambda film_id: began.append(f"expect {film_id}")))
    first, second = held._watched(_Turn(Film(A, "f"))), held._watched(_Turn(Film(B, "f")))
    assert next(first).begins
    other = threading.Thread(target=lambda: began.append(f"{len(list(second))} answers"))
    next_one = threading.Thread(target=lambda: began.append(f"{len(list(first))} answer"))
    next_one.start()
    other.start()
    while held._turns.empty():
        pass
    waiting.set()
    next_one.join(10)
    other.join(10)
    assert began.index(f"expect {B}") < began.index(f"work on {B}")


@pytest.fixture
def pictures(tmp_path: Path) -> Pictures:
    from storage.tables.filmrows import FilmRows

    storage, image = Storage(str(tmp_path / "out")), fakes.picture((8, 8), 0)
    for film_id in (A, B):
        rows: pa.Table = fakes.keyframe_rows(film_id, 0, CHUNK + 3, image if film_id == A else b"broken", (8, 8))
        Tables(storage).commit("keyframes", film_id, "f", rows)
    return Pictures(FilmRows(storage, "keyframes", {A: "f", B: "f"}))


def test_pictures_come_in_chunks_and_an_error_comes_with_the_film_that_has_it(pictures: Pictures) -> None:
    first = pictures.of(A)
    pictures.expect(B)
    pictures.expect(B)
    seen = list(first)
    assert [(step.done, step.total, len(rows), len(images)) for step, rows, images in seen] == [
        (CHUNK, CHUNK + 3, CHUNK, CHUNK),
        (CHUNK + 3, CHUNK + 3, 3, 3),
    ]
    with pytest.raises(Exception, match="cannot identify"):
        list(pictures.of(B))
