"""What docs/paper.md says about the autoregressive model is what the code does."""

import re
from pathlib import Path

import pytest

from flows.settings.assignments import fields
from flows.settings.recipes import laptop, smoke

LEDGER = Path(__file__).parents[2] / "docs" / "paper.md"
SILENT, DEPARTURES = "## What the paper leaves unsaid", "## Where the laptop departs from the paper"


def rows(heading: str) -> list[list[str]]:
    part = LEDGER.read_text().split(heading)[1].split("\n## ")[0]
    cells = [line.strip("| ").split(" | ") for line in part.splitlines() if line.startswith("| ")]
    return cells[1:]


def switches() -> list[tuple[str, str, str]]:
    """(question, our default in words, switch) of every setting of the autoregressive model or of generation."""
    found = []
    for heading in (SILENT, DEPARTURES):
        for question, words, *_, cell in rows(heading):
            for name in re.findall(r"`((?:autoregressive|render)\.[\w.]+)(?:=[\w.]+)?`", cell):
                found.append((question, words, name))
    return found


@pytest.mark.parametrize(("question", "words", "name"), switches())
def test_each_switch_is_there(question, words, name):
    settings = [*fields(laptop()), *fields(smoke())]  # which have different heads
    assert any(key == name or key.startswith(f"{name}.") for key in settings), (question, name)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("autoregressive.model.head.components", r"^(\d+) by default"),
        ("autoregressive.model.head.sigma_floor", r"floor ([\d.]+) of a standard deviation"),
        ("autoregressive.model.dropout", r"^(\d+) %"),
        ("autoregressive.model.noise", r"noise of ([\d.]+) of a deviation"),
        ("render.generation.temperature", r"by it, ([\d.]+) on a laptop"),
    ],
)
def test_each_number_is_the_default(name, says):
    (said,) = {
        float(found[1]) for _, words, switch in switches() if switch == name and (found := re.search(says, words))
    }
    assert said / (100 if "%" in says else 1) == (fields(smoke()) | fields(laptop()))[name]


def test_the_losses_the_masking_and_the_references_are_the_papers():
    settings = fields(laptop())
    assert settings["autoregressive.losses"] == ["nll", "l1", "l2"]
    assert settings["autoregressive.model.masking"] == 0.15
    assert settings["autoregressive.references"] == 10
    assert settings["autoregressive.flip"] == settings["autoregressive.reverse"] == 0.5
    assert settings["autoregressive.random_faces"] is True
