"""The paper's tables: their variants are settings, their verdicts follow the sign of each metric."""

import sys
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from drawn.film import draw_frames, truth
from drawn.script import write
from drawn.stage import Stage
from flows.settings.recipes import resolve
from tasks.evaluation import report

sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
import paper
import paper_runs
import trust
from oracle import SIZE, Oracle

KEYFRAMES = [f"seed-{film}.0/{second}" for film in range(40, 50) for second in range(2)]


def found(name, **values):
    samples = {metric: dict(zip(KEYFRAMES, each, strict=True)) for metric, each in values.items()}
    figures = paper.figures(samples)
    return report.made(name, datetime(2026, 11, 30, tzinfo=UTC), len(KEYFRAMES), figures, samples, {}, [0])


@pytest.fixture
def reports():
    random = np.random.default_rng(0)
    noise = [random.normal(scale=0.01, size=len(KEYFRAMES)).tolist() for _ in range(2)]
    luck = found("luck", lt=[0.5 + 50 * n for n in noise[0]], nll=[0.4] * len(KEYFRAMES), psnr=[20.0] * len(KEYFRAMES))
    good = found("ours", lt=[1.0 + n for n in noise[0]], nll=[0.2 + n for n in noise[1]], psnr=[20.0] * len(KEYFRAMES))
    return {
        "luck": luck,
        "ours": good,
        "no-faces": found(
            "no-faces", lt=[0.5] * len(KEYFRAMES), nll=[0.4] * len(KEYFRAMES), psnr=[20.0] * len(KEYFRAMES)
        ),
    }


@pytest.mark.parametrize("name", paper_runs.VARIANTS)
def test_a_variant_is_settings_of_the_recipe_laptop(name):
    variant = paper_runs.VARIANTS[name]
    assert resolve("laptop", [*variant.settings, "fit.workers=0"]).name == "laptop"


def test_every_table_names_known_variants_and_metrics():
    for table in paper.TABLES.values():
        assert {*table.rows, *(name for claim in table.claims for name in claim)} <= set(paper_runs.VARIANTS)
        assert set(table.metrics) <= set(paper.METRICS)


def test_a_verdict_knows_where_less_is_better(reports):
    table = paper.Table("Figure 5", ("ours", "no-faces"), ("lt", "nll", "psnr"), (("ours", "no-faces"),))
    verdicts = {claim.apart.metric: claim.verdict for claim in paper.claims(table, reports)}
    assert verdicts == {"lt": "reproduced", "nll": "reproduced", "psnr": "not certain"}
    lucky = paper.claims(table, reports | {"ours": reports["luck"]})
    assert {claim.verdict for claim in lucky} == {"not certain"}
    turned = {"ours": reports["no-faces"], "no-faces": reports["ours"]}
    assert {claim.verdict for claim in paper.claims(table, turned)} == {"the opposite", "not certain"}


def test_tables_become_markdown_csv_plots_and_a_page(reports, tmp_path):
    table = paper.Table("Figure 5: faces", ("ours", "no-faces"), ("lt", "leak"), (("ours", "no-faces"),))
    reports = {name: reports[name] for name in table.rows}
    paper.write(tmp_path, {"figure5": table}, reports, {"figure5": paper.claims(table, reports)})
    assert "| no-faces | 0.500 (0.500 to 0.500) | none |" in (tmp_path / "figure5.md").read_text()
    assert (tmp_path / "figure5.csv").read_text().splitlines()[2] == "no-faces,lt,0.5,0.5,0.5,20"
    assert (tmp_path / "figure5.svg").read_text() in (tmp_path / "index.html").read_text()
    assert report.read(tmp_path / "reports" / "ours.json") == reports["ours"]
    claimed = {"figure5": paper.claims(table, reports)}
    assert list(paper.verdict_rows(claimed))[1] == ["figure5", "1", "0", "0", "0"]


def test_reports_of_other_systems_become_table_2(reports, tmp_path, monkeypatch, capsys):
    for name in ("ours", "no-faces"):
        (tmp_path / f"{name}.json").write_text(reports[name].text())
    files = [str(tmp_path / f"{name}.json") for name in ("ours", "no-faces")]
    monkeypatch.setattr(sys, "argv", ["paper.py", "--out", str(tmp_path / "out"), "--reports", *files])
    paper.main()
    assert '"value": 2, "unit": "directions", "baseline": 0' in capsys.readouterr().out
    assert "| ours | no-faces | nll | -0.199 |" in (tmp_path / "out" / "table2.md").read_text()


def test_facts_are_what_the_script_tells_and_the_picture_shows():
    told = truth(7, 24)
    oracle = Oracle(told)
    two = next(second for second in told.timeline if len(second.appearances) == 2)
    (frame,) = draw_frames(7, [two.second], 24, SIZE)
    facts = paper_runs.facts(oracle, two, frame)
    assert {metric: set(values.values()) for metric, values in facts.items()} == {
        "place": {1.0},
        "people": {1.0},
        "lt": {1.0},
        "leak": {0.0},
    }
    script = write(7, 24, SIZE[0] / SIZE[1])
    exchanged = [replace(shot, roles=_exchanged(shot.roles)) for shot in script.shots]
    wrong = paper_runs.facts(oracle, two, Stage(replace(script, shots=tuple(exchanged)), SIZE).frame(two.second))
    assert (set(wrong["lt"].values()), set(wrong["leak"].values())) == ({1.0}, {1.0})


def _exchanged(roles):
    return tuple(replace(role, who=other.who) for role, other in zip(roles, roles[::-1], strict=True))


def test_a_metric_that_follows_the_facts_is_trusted_and_noise_is_not():
    random = np.random.default_rng(0)
    facts = {name: float(place % 4) for place, name in enumerate(KEYFRAMES)}
    follows = {name: value + random.normal(scale=0.1) for name, value in facts.items()}
    assert trust.correlated([(facts, follows)], less=False)["value"] > 0.9
    assert trust.correlated([(facts, follows)], less=True)["value"] < -0.9
    assert trust.correlated([(facts, dict.fromkeys(KEYFRAMES, 1.0))], less=False)["value"] == 0


def test_a_keyframes_facts_are_its_place_its_people_and_each_of_them():
    samples = {"place": {"a/1": 1.0}, "people": {"a/1": 0.0}, "lt": {"a/1.Anna": 1.0, "a/1.Bo": 0.0}}
    assert trust.right(samples) == {"a/1": 0.5}
