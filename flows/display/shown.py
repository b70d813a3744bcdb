"""Prints texts that come from outside, and tables of figures; makes such texts safe in Markdown."""

import re
from collections.abc import Mapping

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from models.metrics.figure import Figure
from storage.printable import LINE, printable
from tasks.shown import absences


def shown(text: str) -> str:
    """A text on one line, safe to print with rich: see storage.printable; brackets are not markup."""
    return escape(printable(text, LINE))


def in_markdown(text: str) -> str:
    """As `shown`, in a page of Markdown: M*A*S*H is not set in italics, and no text is a link, a picture or HTML."""
    return re.sub(r"([\\`*_{}\[\]()<>#+!|~&-])", r"\\\1", printable(text, LINE))


def link(text: str, url: str) -> str:
    """A link in Markdown, also to a place with blanks or brackets in its path."""
    place = printable(url, LINE).replace("<", "%3C").replace(">", "%3E")
    return f"[{in_markdown(text)}](<{place}>)"


def show_figures(figures: Mapping[str, Figure], console: Console, title: str = "") -> None:
    """A table of the figures that have a value, then the reasons of the others."""
    table = Table(title=shown(title) or None, title_justify="left")
    for heading in ("metric", "value", "95 % interval", "n"):
        table.add_column(heading, justify="left" if heading == "metric" else "right")
    for name, figure in figures.items():
        if figure.value is not None:
            interval = " to ".join(map(_number, figure.interval)) if figure.interval else ""
            table.add_row(shown(name), _number(figure.value), interval, str(figure.n))
    if table.row_count:
        console.print(table)
    for reason, names in absences(figures).items():
        console.print(f"no {shown(', '.join(names))}: {shown(reason)}", soft_wrap=True)


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) and abs(value) >= 1 else f"{value:.3f}"
