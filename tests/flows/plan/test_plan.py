"""`moviedreamer plan`: what it tells, of which recipes, and what it says of numbers that are none."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows import catalogue
from flows.cli import app


def _call(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["plan", *arguments], env={"COLUMNS": "200", "HF_HUB_OFFLINE": "1"})
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["studoi"], "unknown flow 'studoi': did you mean 'studio'?"),
        (["studio", "--gpus", "0"], "--gpus '0' is not a whole number of at least 1"),
        (["studio", "--gpus", "many"], "--gpus 'many' is not a whole number"),
        (["studio", "--gpus", "8"], "--gpus 8: the recipe 'laptop' trains without GPUs"),
        (["studio", "--price", "-1"], "--price '-1' is not a number of at least 0"),
        (["studio", "--price", "nan"], "--price 'nan' is not a number"),
        (["studio", "--keyframes", "1e6"], "--keyframes '1e6' is not a whole number"),
    ],
)
def test_bad_numbers_end_with_2_and_are_quoted(arguments: list[str], message: str) -> None:
    code, _, errors = _call(*arguments)
    assert code == 2
    assert message in errors


def test_a_plan_of_the_smoke_recipe_names_all_that_is_trained_and_drawn(tmp_path: Path) -> None:
    storage = tmp_path / "new"
    changed = ["--set", "render.fast.precision=bf16", "--set", "render.generation.precision=bf16"]
    given = ["--storage", str(storage), "--rate", "captions=2", "--rate", "stage 2=4"]
    code, printed, _ = _call("studio", "--recipe", "smoke", *changed, *given, "--json")
    assert code == 0
    made = json.loads(printed)
    assert list(made["trainings"]) == ["stage 2", "stage 3", "autoregressive"]
    assert list(made["drawing"]) == ["a keyframe's tokens", "16 keyframes drawn"]
    assert made["keyframes"] == 12
    hours = {work["stage"]: work["hours"] for work in made["works"]}
    assert hours["captions"] == 36 / 2 / 3600
    assert hours["stage 2"] == 24 / 4 / 3600
    assert hours["stage 3"] is None
    assert made["missing"] == []
    assert not storage.exists()


@pytest.mark.parametrize("rate", ["captions", "captions=soon", "captions=0", "captoins=2"])
def test_a_rate_that_is_none_is_quoted(rate: str) -> None:
    code, _, errors = _call("build_dataset", "--recipe", "smoke", "--rate", rate)
    assert code == 2
    assert rate.partition("=")[0] in errors


@pytest.mark.parametrize("flow", ["build_dataset", "data_card", "export_webdataset"])
def test_flows_that_train_nothing_have_plans_too(flow: str) -> None:
    code, printed, _ = _call(flow, "--recipe", "smoke")
    assert code == 0
    assert printed.startswith(f"{flow}, recipe smoke, CPUs alone, 12 keyframes")


@pytest.mark.slow
@pytest.mark.parametrize("recipe", catalogue.RECIPES)
@pytest.mark.parametrize("flow", catalogue.FLOWS)
def test_each_flow_of_each_recipe_has_a_plan(flow: str, recipe: str) -> None:
    if recipe == "paper":
        pytest.skip("see test_the_paper_at_its_true_size")
    code, printed, _ = _call(flow, "--recipe", recipe)
    assert code == 0
    assert f"{flow}, recipe {recipe}" in printed


@pytest.mark.slow
def test_the_paper_at_its_true_size() -> None:
    code, printed, _ = _call("studio", "--recipe", "paper", "--gpus", "8", "--price", "2.5", "--json")
    assert code == 0
    made = json.loads(printed)
    assert made["trainings"]["autoregressive"]["parameters"] > 6.4e9
    assert made["trainings"]["stage 2"]["parameters"] > 2.567e9 + 83e6 + 303e6
    assert made["networks"]["captioner (deepseek_vl)"] == pytest.approx(7.34e9, rel=0.01)
    assert any("LLaMA" in line for line in made["missing"])
    assert any(line.startswith("GPUs: 8; this machine has") for line in made["missing"])
