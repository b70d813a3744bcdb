"""Pieces through pools: each once, after what it needs; a bad one takes along what needs it and nothing else."""

import os
import time
from functools import partial
from pathlib import Path

import pytest

from storage.errors import StorageError
from tasks.movies.stories.stream import ActorPool, Piece, stream
from tasks.stage import StageError


def maker(folder, faults=()):
    """Writes a file a piece; `faults` are pieces that raise, or end the actor."""

    def work(pieces):
        for piece in pieces:
            match dict(faults).get(piece.key):
                case "ends":
                    os._exit(1)
                case "hangs":
                    time.sleep(100)
                case "full":
                    raise StorageError("no space left")
                case "raises":
                    raise ValueError(f"{piece.key} is bad")
            for stage, key in piece.needs:
                assert (Path(folder) / f"{stage}-{key}").exists()
            with (Path(folder) / f"{piece.stage}-{piece.key}").open("a") as file:
                file.write("made\n")

    return work


def unloadable():
    raise ValueError("no such model")


def chains(count):
    return [
        piece
        for number in range(count)
        for piece in (
            Piece("first", str(number)),
            Piece("second", str(number), needs=(("first", str(number)),)),
            Piece("third", str(number), needs=(("second", str(number)),)),
        )
    ]


def pools(folder, faults=(), **changes):
    make = partial(maker, str(folder), tuple(faults))
    return [
        ActorPool({"first": make}, cpus=0.5, **changes),
        ActorPool({"second": make, "third": make}, cpus=0.5, **changes),
    ]


@pytest.mark.parametrize("changes", [{}, {"size": 2, "batch": 3}])
def test_each_piece_is_made_once_after_what_it_needs(tmp_path, cluster, changes):
    answers = list(stream(chains(7), pools(tmp_path, **changes), cluster))
    assert not [answer.failure for answer in answers if answer.failure]
    assert len({answer.piece.name for answer in answers}) == len(answers) == 21
    assert {path.read_text() for path in tmp_path.iterdir()} == {"made\n"}


@pytest.mark.parametrize(("fault", "wanted"), [("raises", "3 is bad"), ("ends", "ended its worker at each of 3")])
def test_a_bad_piece_takes_along_what_needs_it_and_nothing_else(tmp_path, cluster, fault, wanted):
    answers = list(stream(chains(7), pools(tmp_path, [("3", fault)], batch=2), cluster))
    failed = {answer.piece.name: answer.failure for answer in answers if answer.failure}
    assert set(failed) == {("first", "3"), ("second", "3"), ("third", "3")}
    assert all(wanted in failure for failure in failed.values())
    assert len(answers) == 21
    assert len(list(tmp_path.iterdir())) == 18


def test_a_piece_that_hangs_is_given_up(tmp_path, cluster):
    soon = cluster.model_copy(update={"patience": 0.5})
    answers = list(stream([Piece("first", "0"), Piece("first", "1")], pools(tmp_path, [("0", "hangs")]), soon))
    assert {answer.piece.key: answer.failure for answer in answers} == {
        "0": "first came no further for 0.5 s at each of 3 attempts",
        "1": "",
    }


def test_what_is_no_fault_of_a_piece_ends_the_work(tmp_path, cluster):
    with pytest.raises(StorageError, match="no space left"):
        list(stream(chains(3), pools(tmp_path, [("1", "full")]), cluster))
    with pytest.raises(StageError, match=r"(?s)first: .*no such model"):
        list(stream(chains(1), [ActorPool({"first": unloadable}, cpus=0.5), *pools(tmp_path)[1:]], cluster))


def test_no_piece_begins_after_the_limit(tmp_path, cluster):
    assert list(stream(chains(3), pools(tmp_path), cluster, until=time.monotonic())) == []
    assert list(stream([], pools(tmp_path), cluster)) == []
