"""The chain of flows: what each finds ready when it begins."""

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
