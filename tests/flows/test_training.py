"""The chain of flows: what each finds ready when it begins."""

import threading
from pathlib import Path

import pytest

from flows import training
from flows.training import Trained, trained


def test_works_side_by_side_find_the_tokens_of_a_given_autoencoder_ready(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []

    def tell(name: str) -> str:
        said.append(name)
        return name

    monkeypatch.setattr(training.snapshots, "load", lambda place, snapshot: snapshot)
    monkeypatch.setattr(training, "tokens", lambda settings, place, data, model: tell(f"tokens of {data} by {model}"))
    monkeypatch.setattr(training, "train_decoder", lambda *arguments: tell("decoder"))
    monkeypatch.setattr(training, "train_autoregressive", lambda *arguments: tell("autoregressive"))
    given = Trained(snapshot="films", autoencoder="model")
    made = trained("smoke", str(tmp_path), ["side_by_side=true"], given)
    assert made == Trained("films", "model", "decoder", "autoregressive")
    assert said[0] == "tokens of films by model"
    assert sorted(said[1:]) == ["autoregressive", "decoder"]


@pytest.mark.parametrize(("there", "apart"), [(1.0, False), (2.0, True)])
def test_on_too_few_gpus_one_training_follows_the_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: float, apart: bool
) -> None:
    threads: list[threading.Thread] = []

    def tell(name: str) -> str:
        threads.append(threading.current_thread())
        return name

    monkeypatch.setattr(training.snapshots, "load", lambda place, snapshot: snapshot)
    monkeypatch.setattr(training, "tokens", lambda *arguments: {})
    monkeypatch.setattr(training, "gpus", lambda cluster: there)
    monkeypatch.setattr(training, "train_decoder", lambda *arguments: tell("decoder"))
    monkeypatch.setattr(training, "train_autoregressive", lambda *arguments: tell("autoregressive"))
    given, changes = Trained(snapshot="films", autoencoder="model"), ["side_by_side=true", "fit.gpus=1"]
    assert trained("smoke", str(tmp_path), changes, given) == Trained("films", "model", "decoder", "autoregressive")
    assert [thread is not threading.current_thread() for thread in threads] == [apart] * 2
