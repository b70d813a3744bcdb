"""The mechanism of all stages, with a stage that takes no models: rows, rejects, crashes, failures, identity."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import pyarrow as pa
import pytest

import storage.tables.batches
import tasks.stage
from models.server import BudgetError
from storage.errors import FilmError, StorageError
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.tables.delta import open_table
from storage.tables.rejects import NOTES, PASSING, Reject
from storage.tables.tables import Tables
from tasks.cluster import ClusterConfig, Pool
from tasks.made import ATTEMPTS, Answer, Film, Made, Make, Step, answered
from tasks.progress import silent
from tasks.stage import Stage, StageError, Work, run_stage
from tests.tasks.in_process import in_process


@pytest.fixture(autouse=True)
def _reach_workers() -> None:
    """Workers can't import this file, so what lies in it travels with it."""
    from ray import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])


def caption_rows(film_id: str, count: int = 2) -> pa.Table:
    said = {"subject": "frame", "text": "grey", "backend": "none", "revision": "1", "licence": "Apache-2.0"}
    return pa.Table.from_pylist([{"row_id": f"{film_id}-{n:06d}", **said} for n in range(count)])


def captioner(log: Path) -> Callable[[str], Made | Iterator[Step | Made]]:
    """Rows for most films; what others do stands in their name. Each attempt leaves a line."""

    def caption(film_id: str) -> Made | Iterator[Step | Made]:
        with log.open("a") as file:
            file.write(f"{film_id}\n")
        match film_id.split("-")[0]:
            case "killer":
                ctypes.string_at(0)
            case "short":
                raise FilmError("too_short", f"{film_id!r} lasts 0.3 s")
            case "child":
                raise FilmError("crashed", f"decoding {film_id!r} ended with SIGSEGV")
            case "flaky":
                return flaky(film_id, log)
            case "dear":
                raise BudgetError(f"film {film_id} has used up its 8 requests")
            case "hungry":
                raise MemoryError("Unable to allocate 9 TiB")
            case "bug":
                raise ZeroDivisionError("one by nothing")
            case "damaged":
                return Made({"captions": caption_rows(film_id)}, FilmError("partly_decoded", f"{film_id!r}: 2 of 9"))
        return Made({"captions": caption_rows(film_id)})

    return caption


def flaky(film_id: str, log: Path) -> Iterator[Step | Made]:
    """Ends its worker after the first step, and at the third attempt comes to its end."""
    for second in range(3):
        yield Step(second + 1, 3)
        if log.read_text().split().count(film_id) < ATTEMPTS:
            os.kill(os.getpid(), signal.SIGKILL)
    yield Made({"captions": caption_rows(film_id, 3)})


def stage(make: Make, *inputs: str) -> Stage:
    """Makes captions; its only argument is its identity."""
    return Stage("captions", inputs=inputs or ("keyframes",), tables=("captions",), make=lambda *_: make())


def run(storage: Storage, films: list[str], make: Make, cluster: ClusterConfig, identity: object = "v1") -> Work:
    work = {"keyframes": {film_id: f"of {film_id}" for film_id in films}}
    sources = {film_id: f"films/{film_id}.mp4" for film_id in films}
    return run_stage(stage(make), [identity], storage, work, cluster, silent, sources)


def test_a_film_that_ends_its_worker_is_given_up_after_three_attempts_and_the_others_go_on(
    tmp_path: Path, cluster: ClusterConfig
) -> None:
    storage, log = Storage(str(tmp_path / "out")), tmp_path / "log"
    films = ["a", "killer", "short", "b", "child", "damaged", "flaky", "dear", "hungry"]
    done = run(storage, films, partial(captioner, log), cluster)["captions"]
    assert set(done) == {"a", "b", "flaky", "damaged"}
    rejects = {reject.film_id: reject for reject in Tables(storage).rejects()}
    assert {film_id: reject.reason for film_id, reject in rejects.items()} == {
        "killer": "crashed",
        "child": "crashed",
        "short": "too_short",
        "dear": "over_budget",
        "hungry": "out_of_memory",
        "damaged": "partly_decoded",
    }
    assert f"film killer ended its worker at {ATTEMPTS} of {ATTEMPTS} attempts" in rejects["killer"].detail
    attempts = log.read_text().split()
    for film_id in ("killer", "flaky", "child", "hungry"):
        assert attempts.count(film_id) >= ATTEMPTS
    for film_id in ("a", "b", "short", "dear", "damaged"):
        assert 1 <= attempts.count(film_id) <= 2  # an answer may be lost on its way, with its worker
    assert {rejects[film_id].attempts for film_id in ("killer", "child", "hungry")} == {ATTEMPTS}
    assert Tables(storage).read("captions", done).num_rows == 9

    # Again: finished films and those rejected for good are left alone, crashes get another chance.
    log.unlink()
    assert (
        run(storage, [film for film in films if film != "killer"], partial(captioner, log), cluster)["captions"] == done
    )
    assert set(log.read_text().split()) == {"child", "dear", "hungry"}


def test_finished_work_is_not_done_again_and_another_identity_is_other_work(
    tmp_path: Path, cluster: ClusterConfig
) -> None:
    storage, log = Storage(str(tmp_path / "out")), tmp_path / "log"
    first = run(storage, ["a", "b"], partial(captioner, log), cluster)

    def never() -> Callable[[str], Made]:
        raise AssertionError("nothing is left to do")

    assert run(storage, ["b", "a"], never, cluster) == first
    other = run(storage, ["a"], partial(captioner, log), cluster, identity="v2")
    assert other["captions"]["a"] != first["captions"]["a"]
    *both, last = log.read_text().split()
    assert (sorted(both), last) == (["a", "b"], "a")
    assert Tables(storage).count()["captions"] == 6  # both are kept, each under its own fingerprint


def test_a_bug_stops_the_stage_with_its_traceback(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage, log = Storage(str(tmp_path / "out")), tmp_path / "log"
    out = sys.stdout
    with pytest.raises(StageError, match="ZeroDivisionError: one by nothing") as caught:
        run(storage, ["bug"], partial(captioner, log), cluster)
    assert "'films/bug.mp4'" in str(caught.value)
    assert sys.stdout is out
    assert Tables(storage).rejects() == []


def test_rows_of_many_commits_lie_once_in_their_table_also_after_it_was_tidied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tasks.stage, "answers", in_process)
    monkeypatch.setattr(tasks.stage._Pace, "due", lambda _: True)
    monkeypatch.setattr(storage.tables.batches, "_TIDY_EVERY", 17)
    place, films = Storage(str(tmp_path / "out")), [f"film{number:02d}" for number in range(40)]
    done = run(place, films, partial(captioner, tmp_path / "log"), ClusterConfig())["captions"]
    assert len(done) == 40
    table = open_table(place, "captions")
    assert table is not None
    assert table.to_pyarrow_dataset().count_rows() == Tables(place).count()["captions"] == 80


def test_a_stage_of_a_model_that_rejects_all_films_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def all_dear(
        storage: Storage, keys: Mapping[str, str], make: Make, pool: Pool, cluster: ClusterConfig
    ) -> Iterator[Answer]:
        for film_id in keys:
            yield Answer(film_id, 1, reject=FilmError("over_budget", "raise server.requests_a_film"))

    monkeypatch.setattr(tasks.stage, "answers", all_dear)
    said = r"captions rejected all 2 films; for example 'films/a.mp4': raise server\.requests_a_film"
    with pytest.raises(StageError, match=said):
        run(Storage(str(tmp_path / "out")), ["a", "b"], partial(captioner, tmp_path / "log"), ClusterConfig())


def test_what_is_said_of_many_films_costs_one_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def in_process(
        storage: Storage, keys: Mapping[str, str], make: Make, pool: Pool, cluster: ClusterConfig
    ) -> Iterator[Answer]:
        for film_id, key in keys.items():
            if film_id.startswith("short"):
                yield Answer(film_id, 1, reject=FilmError("too_short", film_id))
            else:
                yield from answered(storage, Film(film_id, key), 1, make())

    monkeypatch.setattr(tasks.stage, "answers", in_process)
    monkeypatch.setattr(tasks.stage._Pace, "due", lambda _: False)
    place = Storage(str(tmp_path / "out"))
    films = [f"{kind}-{number:02d}" for number in range(20) for kind in ("damaged", "short", "fine")]
    done = run(place, films, partial(captioner, tmp_path / "log"), ClusterConfig())["captions"]
    assert len(done) == 40
    told = sorted((reject.film_id, reject.reason) for reject in Tables(place).rejects())
    assert told == [(f"damaged-{n:02d}", "partly_decoded") for n in range(20)] + [
        (f"short-{n:02d}", "too_short") for n in range(20)
    ]
    assert Tables(place).versions()["rejects"] == 1  # 0 made the table


@pytest.mark.parametrize("reason", sorted(NOTES | PASSING))
def test_a_note_or_a_passing_trouble_does_not_give_a_film_up(
    reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as that of a run that was killed after it was kept and before the film's rows were."""
    place = Storage(str(tmp_path / "out"))
    asked: list[str] = []

    def nobody(
        storage: Storage, keys: Mapping[str, str], make: Make, pool: Pool, cluster: ClusterConfig
    ) -> Iterator[Answer]:
        asked.extend(keys)
        yield from answered(storage, Film("a", keys["a"]), 1, make())

    monkeypatch.setattr(tasks.stage, "answers", nobody)
    key = fingerprint("captions", "v1", ["of a"])
    told = Reject(source="films/a.mp4", reason=reason, detail="x", stage="captions", film_id="a", fingerprint=key)
    Tables(place).judge("captions", [], [told])
    assert run(place, ["a"], partial(captioner, tmp_path / "log"), ClusterConfig())["captions"] == {"a": key}
    assert asked == ["a"]


def test_a_stage_that_stops_keeps_what_was_finished(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def one_after_the_other(
        storage: Storage, keys: Mapping[str, str], make: Make, pool: Pool, cluster: ClusterConfig
    ) -> Iterator[Answer]:
        yield from answered(storage, Film("a", keys["a"]), 1, make())
        yield Answer("bug", 1, failure="ZeroDivisionError")

    monkeypatch.setattr(tasks.stage, "answers", one_after_the_other)
    storage, log = Storage(str(tmp_path / "out")), tmp_path / "log"
    with pytest.raises(StageError):
        run(storage, ["a", "bug"], partial(captioner, log), ClusterConfig())
    assert {film_id for film_id, _ in Tables(storage).done("captions")} == {"a"}


def test_a_stage_works_on_films_that_have_all_its_inputs(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage, log = Storage(str(tmp_path / "out")), tmp_path / "log"
    work = {"keyframes": {"a": "1", "b": "2"}, "faces": {"b": "3", "c": "4"}}
    make = partial(captioner, log)
    done = run_stage(stage(make, "keyframes", "faces"), ["v1"], storage, work, cluster, silent)
    assert list(done["captions"]) == ["b"]
    assert done["keyframes"] == work["keyframes"]


def test_a_stage_without_a_table_only_rejects_films(tmp_path: Path, cluster: ClusterConfig) -> None:
    def keep(film_id: str) -> Made:
        if film_id == "b":
            raise FilmError("too_short", "b lasts 0.3 s")
        return Made({})

    storage, work = Storage(str(tmp_path / "out")), {"keyframes": {"a": "1", "b": "2"}}
    judge = Stage("judge", inputs=("keyframes",), tables=(), make=lambda *_: keep)
    done = run_stage(judge, ["v1"], storage, work, cluster, silent)
    assert list(done["judge"]) == ["a"]
    assert [reject.film_id for reject in Tables(storage).rejects()] == ["b"]
    assert run_stage(judge, ["v1"], storage, work, cluster, silent) == done


def test_progress_counts_films_and_the_steps_of_long_work(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage, log = Storage(str(tmp_path / "out")), tmp_path / "log"
    log.write_text("flaky\nflaky\n")  # the next attempt is the last
    run(storage, ["a"], partial(captioner, log), cluster)
    seen: list[tuple[str, int, int]] = []
    work = {"keyframes": {film_id: f"of {film_id}" for film_id in ("a", "b", "flaky")}}
    sources = {"a": "films/a.mp4", "b": "films/b.mp4", "flaky": "films/flaky.mp4"}
    make = partial(captioner, log)
    run_stage(stage(make), ["v1"], storage, work, cluster, lambda *now: seen.append(now), sources)
    assert [now for now in seen if now[0] == "captions"] == [("captions", done, 3) for done in (1, 2, 3)]
    steps = [now for now in seen if now[0] != "captions"]  # a busy driver gets the newest alone, or none
    assert steps == sorted(set(steps))
    assert set(steps) <= {("films/flaky.mp4", done, 3) for done in (1, 2, 3)}


def test_the_later_of_two_runs_on_a_storage_says_so(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage, log = Storage(str(tmp_path / "out")), tmp_path / "log"

    def other_run_commits(stage: str, done: int, total: int) -> None:
        if (stage, done) == ("captions", 0):
            run(storage, ["a"], partial(captioner, log), cluster)

    work = {"keyframes": {film_id: f"of {film_id}" for film_id in ("a", "b")}}
    sources = {film_id: film_id for film_id in ("a", "b")}
    make = partial(captioner, log)
    with pytest.raises(StorageError, match="another run has committed captions"):
        run_stage(stage(make), ["v1"], storage, work, cluster, other_run_commits, sources)
    assert Tables(storage).count()["captions"] == 2


def uneasy(hang: bool) -> Callable[[str], Iterator[Step | Made]]:
    def work(film_id: str) -> Iterator[Step | Made]:
        yield Made({"captions": caption_rows(film_id)})
        yield Step(1, 2)
        if film_id == "uneasy":
            held = []
            while True:
                held.append(bytearray(b"x") * (1 << 20 if not hang else 1))

    return work


@pytest.mark.parametrize(("hang", "reason"), [(True, "timed_out"), (False, "out_of_memory")])
def test_a_film_that_hangs_or_eats_memory_ends_its_worker_only(
    hang: bool, reason: str, tmp_path: Path, cluster: ClusterConfig
) -> None:
    storage = Storage(str(tmp_path / "out"))
    limits = {"patience": 5.0} if hang else {"film_memory": 0.25}
    done = run(storage, ["a", "uneasy", "z"], partial(uneasy, hang), cluster.model_copy(update=limits))["captions"]
    assert set(done) == {"a", "z"}
    (reject,) = Tables(storage).rejects()
    assert (reject.film_id, reject.reason, reject.attempts) == ("uneasy", reason, 1)
    assert Tables(storage).count()["captions"] == 4


def test_parts_of_a_film_are_one_film_and_an_id_comes_once(tmp_path: Path, cluster: ClusterConfig) -> None:
    storage = Storage(str(tmp_path / "out"))

    def parts() -> Callable[[str], Iterator[Made]]:
        def work(film_id: str) -> Iterator[Made]:
            rows = caption_rows(film_id, 300)
            for start in range(0, 300, 7):
                yield Made({"captions": rows.slice(start, 7)})
            if film_id == "twice":
                yield Made({"captions": rows.slice(5, 1)})

        return work

    run(storage, ["a"], parts, cluster)
    with pytest.raises(StageError, match=r"captions have the same .*'twice-000005'"):
        run(storage, ["a", "twice"], parts, cluster)
    done = Tables(storage).done("captions")
    assert {film_id for film_id, _ in done} == {"a"}
    assert Tables(storage).read("captions", dict(done))["row_id"].to_pylist() == [f"a-{n:06d}" for n in range(300)]
