"""The chain of trainings: what each finds ready when it begins."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from flows import training
from flows.run import References, Run
from flows.settings.recipes import resolve
from flows.training import trained
from storage.root import Storage
from storage.snapshot import Snapshot

FILMS = Snapshot.of((), {}, {})
GIVEN = References(FILMS.id, "model")


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, threading.Thread]]:
    """What was made, and in which thread; nothing is trained."""
    made: list[tuple[str, threading.Thread]] = []

    def maker(name: str) -> Callable[..., str]:
        def make(run: Run, data: Snapshot, *_: object) -> str:
            assert data is FILMS
            made.append((name, threading.current_thread()))
            return name

        return make

    monkeypatch.setattr(training.snapshots, "load", lambda place, snapshot: FILMS)
    for name in ("tokens", "decoder", "autoregressive"):
        monkeypatch.setattr(training, name, maker(name))
    return made


def run(tmp_path: Path, *changes: str) -> Run:
    return Run(resolve("smoke", changes), Storage(str(tmp_path)))


def test_trainings_side_by_side_find_the_tokens_of_a_given_autoencoder_ready(
    tmp_path: Path, said: list[tuple[str, threading.Thread]]
) -> None:
    _, made = trained(run(tmp_path, "side_by_side=true"), GIVEN)
    assert made == References(FILMS.id, "model", "decoder", "autoregressive")
    first, *later = [what for what, _ in said]
    assert (first, sorted(later)) == ("tokens", ["autoregressive", "decoder"])


@pytest.mark.parametrize(("there", "apart"), [(1.0, False), (2.0, True)])
def test_on_too_few_gpus_one_training_follows_the_other(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: list[tuple[str, threading.Thread]],
    there: float,
    apart: bool,
) -> None:
    monkeypatch.setattr(training, "gpus", lambda cluster: there)
    _, made = trained(run(tmp_path, "side_by_side=true", "fit.gpus=1"), GIVEN)
    assert made == References(FILMS.id, "model", "decoder", "autoregressive")
    assert [thread is not threading.current_thread() for _, thread in said[1:]] == [apart] * 2


def test_models_that_are_given_need_no_tokens(tmp_path: Path, said: list[tuple[str, threading.Thread]]) -> None:
    given = References(FILMS.id, "model", "decoder", "autoregressive")
    assert trained(run(tmp_path), given) == (FILMS, given)
    assert said == []
