"""Figures as people read them in a terminal."""

from collections.abc import Mapping

from rich.console import Console
from rich.table import Table

from flows.display.shown import shown
from models.metrics.figure import Figure


def show(figures: Mapping[str, Figure], console: Console, title: str = "") -> None:
    """A table of the figures that have a value, then the reasons of the others."""
    table = Table(title=shown(title) or None, title_justify="left")
    for heading in ("metric", "value", "95 % interval", "n"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    reasons: dict[str, list[str]] = {}
    for name, figure in figures.items():
        if figure.value is None:
            reasons.setdefault(figure.reason or "", []).append(name)
            continue
        interval = " to ".join(map(_number, figure.interval)) if figure.interval else ""
        table.add_row(shown(name), _number(figure.value), interval, str(figure.n))
    if table.row_count:
        console.print(table)
    for reason, names in reasons.items():
        console.print(f"no {shown(', '.join(names))}: {shown(reason)}", soft_wrap=True)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) >= 1 else f"{value:.3f}"
