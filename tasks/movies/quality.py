"""Quality reports as pages: of a snapshot and the models trained on it, or of a batch of movies."""

from collections.abc import Mapping, Sequence

from models.metrics.figure import Figure
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.evaluation.report import Report
from tasks.movies.page import MadeWith, Page, render, tile
from tasks.shown import listed


def of_models(
    storage: Storage, metrics: str, figures: Mapping[str, Figure], snapshot: Snapshot, models: Mapping[str, str]
) -> str:
    """Writes quality.html beside a metrics.json, unless it is there; returns its place in the storage.

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


def of_report(storage: Storage, rel: str, report: Report, notes: Sequence[str] = ()) -> str:
    """Writes the page of a report; returns its place in the storage."""
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
) -> str:
    reasons: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.value is None:
            reasons.setdefault(figure.reason or "", []).append(name)
    page = Page(
        title=title,
        lead=lead,
        halves=(),
        eyebrow="Quality report",
        tiles=tuple(tile(name, figure) for name, figure in figures.items() if figure.value is not None),
        notes=(*notes, *(f"No {listed(names)}: {reason}" for reason, names in reasons.items())),
        made_with=tuple(parts),
        footer=footer,
    )
    storage.write_bytes(rel, "".join(render(page)).encode())
    return rel
