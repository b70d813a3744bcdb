"""Quality reports as pages: of a training, of a snapshot and the models trained on it, or of a batch of movies."""

from collections.abc import Mapping, Sequence

import numpy as np

from models.metrics.figure import Figure, absent
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.evaluation.report import Report
from tasks.movies.page import MadeWith, Page, render, tile
from tasks.shown import Picture, absences, listed, picture
from tasks.training.engine.fit import curve, sample_sheets

_WIDTH = 960  # pixels of a picture on the page


def of_models(
    storage: Storage, metrics: str, figures: Mapping[str, Figure], snapshot: Snapshot, models: Mapping[str, str]
) -> str:
    """Writes quality.html beside a metrics.json, unless it exists; returns its path in the storage.

    Args:
        metrics: where metrics.json is.
        models: name -> folder of the trained model.
    """
    rel = metrics.replace("metrics.json", "quality.html")
    if storage.exists(rel):
        return rel
    titles = listed([film.name for film in snapshot.films])
    return _write(
        storage,
        rel,
        f"Snapshot {snapshot.id} and its models",
        f"Films: {titles}. <metric>_original is of the snapshot's own keyframes.",
        figures,
        [MadeWith(name, folder, "", "") for name, folder in models.items()],
        f"Of {metrics}.",
    )


def of_training(storage: Storage, name: str, model: str, curves: bytes) -> str:
    """Writes the page of a finished training, unless it exists; returns its path in the storage.

    Args:
        model: folder of the trained model.
        curves: picture of all losses and figures over the steps.
    """
    rel = f"evaluations/{fingerprint('training', model)}/quality.html"
    if storage.exists(rel):
        return rel
    rows = curve(storage, model)
    samples = [
        picture(f"held-out samples at step {step}", image, _WIDTH)
        for step, image in sample_sheets(storage, model).items()
    ]
    return _write(
        storage,
        rel,
        f"Training of {name}",
        f"{len(rows)} steps.",
        of_curve(rows),
        [MadeWith(name, model, "", "")],
        f"Of {model}/curve.jsonl.",
        pictures=(picture("all figures over the steps", curves, _WIDTH), *samples),
    )


def of_curve(rows: Sequence[Mapping[str, float]]) -> dict[str, Figure]:
    """The result of a training: mean losses over its last tenth, and the last values on held-out rows."""
    found: dict[str, Figure] = {}
    for name in dict.fromkeys(name for row in rows for name in row if name != "step"):
        values = [row[name] for row in rows if name in row]
        count = 1 if name.startswith("held_out/") else max(1, len(values) // 10)
        what = (
            f"mean of the last {count} of {len(values)} measurements; {values[0]:.4g} at first, {min(values):.4g} least"
        )
        found[name] = Figure(value=float(np.mean(values[-count:])), n=count, what=what)
    if not any(name.startswith("held_out/") for name in found):
        found["held_out/loss"] = absent("loss of what is held out", "nothing was held out, or it was never looked at")
    return found


def of_report(storage: Storage, rel: str, report: Report, notes: Sequence[str]) -> str:
    """Writes the page of a report; returns its path in the storage."""
    parts = [MadeWith(name, model.id, model.revision, model.licence) for name, model in report.models.items()]
    lead = f"{report.n} pictures, measured on {report.moment:%d %B %Y} in {report.seconds:.0f} s."
    return _write(
        storage, rel, report.name, lead, report.figures, parts, f"Commit {report.commit}.", (*notes, *report.notes)
    )


def _write(
    storage: Storage,
    rel: str,
    title: str,
    lead: str,
    figures: Mapping[str, Figure],
    parts: Sequence[MadeWith],
    footer: str,
    notes: Sequence[str] = (),
    pictures: Sequence[Picture] = (),
) -> str:
    page = Page(
        title=title,
        lead=lead,
        halves=(),
        eyebrow="Quality report",
        tiles=tuple(tile(name, figure) for name, figure in figures.items() if figure.value is not None),
        pictures=tuple(pictures),
        notes=(*notes, *(f"No {listed(names)}: {reason}" for reason, names in absences(figures).items())),
        made_with=tuple(parts),
        footer=footer,
    )
    storage.write_bytes(rel, "".join(render(page)).encode())
    return rel
