"""Tables 1, 3 and 4 and Figures 3, 5, 7 and 8 of the paper, measured on drawn films; Table 2 of any reports.

    python benchmarks/paper.py [table1 table3 table4 figure3 figure5 figure7 figure8] [--storage out-paper] [--seeds 3]
    python benchmarks/paper.py --reports ours.json seine.json freenoise.json    # Table 2, of `moviedreamer evaluate`

Without names all of them. Small models are trained for each variant and seed (benchmarks/paper_runs.py has them as
settings) on the first halves of 4 films that the embedded weights never saw. The second halves are drawn through the
whole picture path, and an oracle that knows colours and shapes says who is where. The paper's CLIP, Inception and
aesthetic scores and FID need weights that no package has; what stands here has other names.

Each figure has its 95 % interval, from resampled stories (a film as one seed's models drew it). A direction of the
paper is reproduced where a paired permutation test, corrected for the number of metrics, gives p < 0.05. What is done
is not done again. Writes reports/<variant>.json, <table>.md, .csv and .svg, and index.html; prints the tables.
"""

import argparse
import csv
import io
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape
from pathlib import Path

import paper_runs
import torch
from paper_runs import VARIANTS, Runs

from models.metrics.figure import Figure, mean
from tasks.evaluation import report
from tasks.evaluation.comparison import Difference, compare
from tasks.evaluation.report import Report

FILMS = 4
METRICS = {
    "place": "share of keyframes that show their script's place, more is better",
    "people": "share of keyframes that show as many people as their script has, more is better",
    "lt": "LT: share of a script's people who are there, more is better",
    "leak": "share of a script's people whose place somebody else of the script takes, less is better",
    "st": "ST: cosine of image features of consecutive keyframes with the same person, more is better",
    "similarity": "cosine of image features of a keyframe and its original, more is better",
    "psnr": "PSNR in dB of a keyframe and its original, more is better",
    "nll": "negative log-likelihood of the original's tokens in nats per dimension, less is better",
}
LESS = "less is better"  # in the words of such a metric
CERTAIN = 0.05  # largest p, after Holm's correction for all metrics of a pair of variants


@dataclass(frozen=True)
class Table:
    """One of the paper's: `claims` are (better, worse) as it says."""

    title: str
    rows: tuple[str, ...]
    metrics: tuple[str, ...]
    claims: tuple[tuple[str, str], ...]


SEEN = ("lt", "leak", "place", "people", "st", "similarity")
TABLES = {
    "table1": Table(
        "Table 1: with and without continuous supervision (noC), zero-shot and with references",
        ("ours", "ours-ref", "noC", "noC-ref"),
        SEEN,
        (("ours", "noC"), ("ours-ref", "noC-ref"), ("ours-ref", "ours")),
    ),
    "table3": Table(
        "Table 3: rebuilt from 2 and from 8 tokens",
        ("2-tokens", "8-tokens"),
        ("similarity", "psnr", "lt", "place", "people"),
        (("8-tokens", "2-tokens"),),
    ),
    "table4": Table(
        "Table 4: losses",
        ("ours", "ours-ref", "noC", "noC-ref", "con", "con-ref"),
        (*SEEN, "nll"),
        (("ours", "noC"), ("ours", "con"), ("ours-ref", "noC-ref"), ("ours-ref", "con-ref")),
    ),
    "figure3": Table(
        "Figure 3: rebuilt with descriptions and faces, and from tokens alone",
        ("identity", "no-identity"),
        ("lt", "leak", "people", "similarity", "psnr"),
        (("identity", "no-identity"),),
    ),
    "figure5": Table(
        "Figure 5: with and without face embeddings",
        ("ours", "no-faces", "embedded", "embedded-no-faces"),
        (*SEEN, "nll"),
        (("ours", "no-faces"), ("embedded", "embedded-no-faces")),
    ),
    "figure7": Table(
        "Figure 7: with and without guards against overfitting",
        ("ours", "no-guards"),
        ("place", "people", "lt", "leak", "similarity", "nll"),
        (("ours", "no-guards"),),
    ),
    "figure8": Table(
        "Figure 8: with reference frames and without",
        ("ours-ref", "ours", "embedded-ref", "embedded"),
        (*SEEN, "nll"),
        (("ours-ref", "ours"), ("embedded-ref", "embedded")),
    ),
}


@dataclass(frozen=True)
class Claim:
    """That a variant is better than another one in a metric, and what was found.

    Args:
        apart: better - worse.
        less: whether less of the metric is better.
    """

    better: str
    worse: str
    apart: Difference
    less: bool

    @property
    def verdict(self) -> str:
        apart = self.apart
        if apart.difference is None or apart.p_holm is None:
            return apart.reason or "not measured"
        if apart.p_holm >= CERTAIN:
            return "not certain"
        return "reproduced" if (apart.difference > 0) != self.less else "the opposite"


def main() -> None:
    """Makes what is missing, and prints the tables and as JSON how many directions are reproduced."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="*", metavar="TABLE", help=f"of {', '.join(TABLES)}")
    parser.add_argument("--storage", default="out-paper", help="folder of films, models and pictures, to go on from")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=Path("out-paper-tables"), help="folder of the tables and the page")
    parser.add_argument("--reports", nargs="+", type=Path, metavar="REPORT", help="of systems, for Table 2: ours first")
    args = parser.parse_args()
    if unknown := [name for name in args.tables if name not in TABLES]:
        parser.error(f"unknown table {unknown[0]!r}; there are: {', '.join(TABLES)}")
    torch.set_num_threads(1)
    if args.reports:
        reports = {one.name: one for one in map(report.read, args.reports)}
        tables = {"table2": table2(reports)}
    else:
        tables = {name: TABLES[name] for name in args.tables or TABLES}
        wanted = list(dict.fromkeys(row for table in tables.values() for row in table.rows))
        reports = measured(args.storage, wanted, range(args.seeds))
    found = {name: claims(table, reports) for name, table in tables.items()}
    write(args.out, tables, reports, found)
    told = [claim.verdict for one in found.values() for claim in one]
    right, wrong = told.count("reproduced"), told.count("the opposite")
    result = {"name": "paper_directions", "value": right, "unit": "directions", "baseline": wrong}
    print(json.dumps(result | {"ratio": right / max(wrong, 1), "n": len(told)}))


def table2(reports: Mapping[str, Report]) -> Table:
    """Our system beside others in every metric that says what is better; ours is the first."""
    ours, *others = reports
    known = {metric: one.what for metric, one in reports[ours].figures.items() if one.value is not None}
    metrics = tuple(metric for metric, what in known.items() if LESS in what or "more is better" in what)
    return Table("Table 2: video systems", tuple(reports), metrics, tuple((ours, other) for other in others))


def measured(storage: str, variants: Sequence[str], seeds: Sequence[int]) -> dict[str, Report]:
    """A report of each variant, over all seeds."""
    runs = Runs(storage, FILMS)
    began = {variant: datetime.now(UTC) for variant in variants}
    samples: dict[str, paper_runs.Samples] = {variant: {} for variant in variants}
    for seed in seeds:
        for variant in variants:
            start = time.monotonic()
            for metric, values in runs.samples(variant, seed).items():
                samples[variant].setdefault(metric, {}).update(values)
            print(f"seed {seed}: {variant}, {time.monotonic() - start:.0f} s", flush=True)
    return {
        variant: report.made(
            variant,
            began[variant],
            len(samples[variant]["psnr"]),
            figures(samples[variant]),
            samples[variant],
            {},
            seeds,
        )
        for variant in variants
    }


def figures(samples: Mapping[str, Mapping[str, float]]) -> dict[str, Figure]:
    """The mean of each metric, and its interval from resampled stories."""
    return {
        metric: mean(list(samples[metric].values()), words, [name.partition("/")[0] for name in samples[metric]])
        for metric, words in METRICS.items()
        if samples.get(metric)
    }


def claims(table: Table, reports: Mapping[str, Report]) -> list[Claim]:
    """What the paper's directions come to here, in each metric of the table that both sides have."""
    return [
        Claim(better, worse, apart, LESS in reports[better].figures[apart.metric].what)
        for better, worse in table.claims
        for apart in compare(reports[better], reports[worse])
        if apart.metric in table.metrics
    ]


def rows(table: Table, reports: Mapping[str, Report]) -> Iterator[list[str]]:
    """The table's cells with its head."""
    yield ["", *table.metrics]
    for row in table.rows:
        yield [row, *(_cell(reports[row].figures.get(metric)) for metric in table.metrics)]


def claim_rows(found: Sequence[Claim]) -> Iterator[list[str]]:
    """The claims' cells with their head."""
    yield ["better", "than", "in", "by", "95 % interval", "p (Holm)", "pairs", "verdict"]
    for claim in found:
        apart = claim.apart
        interval = "{:+.3f} to {:+.3f}".format(*apart.interval) if apart.interval else ""
        chance = "" if apart.p_holm is None else f"{apart.p_holm:.3f}"
        by = "" if apart.difference is None else f"{apart.difference:+.3f}"
        yield [claim.better, claim.worse, apart.metric, by, interval, chance, str(apart.n), claim.verdict]


def verdict_rows(found: Mapping[str, Sequence[Claim]]) -> Iterator[list[str]]:
    """How many directions of each table are reproduced and how many are not, with their head."""
    verdicts = ("reproduced", "the opposite", "not certain")
    yield ["", *verdicts, "not measured"]
    for name, some in found.items():
        told = [claim.verdict for claim in some]
        counts = [told.count(verdict) for verdict in verdicts]
        yield [name, *map(str, counts), str(len(told) - sum(counts))]


def markdown(cells: Iterator[list[str]]) -> str:
    head, *body = cells
    lines = [head, ["---"] * len(head), *body]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def write(
    out: Path, tables: Mapping[str, Table], reports: Mapping[str, Report], found: Mapping[str, Sequence[Claim]]
) -> None:
    """Reports, tables, plots and the page."""
    (out / "reports").mkdir(parents=True, exist_ok=True)
    for name, one in reports.items():
        (out / "reports" / f"{name.replace('/', '-')}.json").write_text(one.text())
    page = [_html(verdict_rows(found))]
    for name, table in tables.items():
        text = f"{table.title}\n\n{markdown(rows(table, reports))}\n{markdown(claim_rows(found[name]))}"
        (out / f"{name}.md").write_text(f"# {text}")
        (out / f"{name}.csv").write_text(_csv(table, reports))
        plot = svg(table, reports)
        (out / f"{name}.svg").write_text(plot)
        page.append(
            f"<h2>{escape(table.title)}</h2>{plot}{_html(rows(table, reports))}{_html(claim_rows(found[name]))}"
        )
        print(text, flush=True)
    print(markdown(verdict_rows(found)), flush=True)
    told = {metric: figure.what for one in reports.values() for metric, figure in one.figures.items()}
    told |= {name: VARIANTS[name].about for name in reports if name in VARIANTS}
    words = "".join(f"<dt>{escape(name)}</dt><dd>{escape(one)}</dd>" for name, one in told.items())
    (out / "index.html").write_text(PAGE.format(body="".join(page), words=words))


def svg(table: Table, reports: Mapping[str, Report]) -> str:
    """Each metric as a panel: a dot a row, with its interval."""
    high, wide, label = 18, 170, 90
    height, width = high * (len(table.rows) + 2), label + wide * len(table.metrics)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-size="11" fill="currentColor">'
    ]
    for row, name in enumerate(table.rows):
        parts.append(f'<text x="0" y="{high * (row + 2) + 4}">{escape(name)}</text>')
    for column, metric in enumerate(table.metrics):
        left, scale = label + wide * column, wide - 30
        shown = {row: reports[name].figures.get(metric) for row, name in enumerate(table.rows)}
        known = {row: one for row, one in shown.items() if one is not None and one.value is not None}
        ends = [end for one in known.values() for end in (one.interval or (one.value, one.value)) if end is not None]
        low, most = min(ends, default=0.0), max(ends, default=1.0)

        def at(value: float, low: float = low, most: float = most, left: int = left, scale: int = scale) -> float:
            return left + scale * (value - low) / ((most - low) or 1)

        parts.append(f'<text x="{left}" y="{high - 4}">{metric} {low:.3g} to {most:.3g}</text>')
        for row, one in known.items():
            y = high * (row + 2)
            if one.interval:
                x0, x1 = map(at, one.interval)
                parts.append(f'<line x1="{x0:.1f}" x2="{x1:.1f}" y1="{y}" y2="{y}" stroke="currentColor"/>')
            parts.append(f'<circle cx="{at(one.value or 0.0):.1f}" cy="{y}" r="3.5"/>')
    return "".join([*parts, "</svg>"])


PAGE = """<!doctype html><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>The paper's tables on drawn films</title>
<style>:root{{color-scheme:light dark}}body{{font:15px/1.5 system-ui;max-width:70rem;margin:2rem auto;padding:0 1rem}}
table{{border-collapse:collapse;margin:1rem 0;display:block;overflow-x:auto}}td,th{{padding:.2rem .6rem;text-align:left;
border-bottom:1px solid #8885}}dt{{font-weight:600}}</style>
<h1>The paper's tables on drawn films</h1>{body}<h2>Words</h2><dl>{words}</dl>
"""


def _html(cells: Iterator[list[str]]) -> str:
    head, *body = cells
    lines = ["".join(f"<th>{escape(cell)}</th>" for cell in head)]
    lines += ["".join(f"<td>{escape(cell)}</td>" for cell in line) for line in body]
    return f"<table>{''.join(f'<tr>{line}</tr>' for line in lines)}</table>"


def _csv(table: Table, reports: Mapping[str, Report]) -> str:
    """A line for each variant and metric."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["variant", "metric", "value", "low", "high", "n"])
    for row in table.rows:
        for metric in table.metrics:
            if one := reports[row].figures.get(metric):
                writer.writerow([row, metric, one.value, *(one.interval or ("", "")), one.n])
    return text.getvalue()


def _cell(one: Figure | None) -> str:
    if one is None or one.value is None:
        return "none"
    return f"{one.value:.3f}" + (" ({:.3f} to {:.3f})".format(*one.interval) if one.interval else "")


if __name__ == "__main__":
    main()
