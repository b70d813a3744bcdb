"""Prints a plan as tables."""

from collections.abc import Sequence

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows.plan.hours import Work
from flows.plan.plan import Plan

_GIB = 2**30
_GPUS = (16, 24, 40, 48, 80, 96, 141, 192)  # GB of memory of those that are sold
_DRIVER = 1.0  # GiB that CUDA and its libraries take, about


def show(made: Plan, out: Console) -> None:
    """Prints a plan."""
    where = f"{made.gpus} GPU{'s' * (made.gpus != 1)}" if made.gpus else "CPUs alone"
    out.print(f"[bold]{made.flow}[/], recipe {escape(made.recipe)}, {where}, {made.keyframes:,} keyframes")
    counted = {
        name: "in a package, or none" if count is None else _millions(count) for name, count in made.networks.items()
    }
    _print(out, ["models", "parameters"], [*counted.items()])
    _show_memory(made, out)
    _show_hours(made, out)
    disk = [*made.disk.items(), ("all", sum(made.disk.values()))] if made.disk else []
    _print(out, ["disk", "GB"], [(name, f"{size / 1e9:,.3f}") for name, size in disk])
    out.print(f"\nobject store of each node: {made.object_store / 1e9:.1f} GB")
    if made.host:
        out.print(f"main memory of the first worker while it saves a checkpoint: {made.host / 1e9:,.3g} GB")
    out.print("\n[bold]missing before a start[/]" if made.missing else "nothing is missing before a start")
    for line in made.missing:
        out.print(f"- {line}", markup=False, soft_wrap=True)


def _show_memory(made: Plan, out: Console) -> None:
    parts = ("weights", "gradients", "moments", "gathered", "activations", "bytes")
    names = ["memory of each worker in training", "parameters", "trained", *parts[:-1], "all"]
    rows = [
        [name, _millions(one.parameters), _millions(one.trained), *(_size(getattr(one, part)) for part in parts)]
        for name, one in made.trainings.items()
    ]
    _print(out, names, rows)
    names = ["memory of each worker in rendering", "parameters", "weights", "activations", "all"]
    rows = [
        [name, _millions(one.parameters), *map(_size, (one.weights, one.activations, one.bytes))]
        for name, one in made.drawing.items()
    ]
    _print(out, names, rows)
    if made.largest and made.gpus:
        name, size = made.largest
        fitting = next((gb for gb in _GPUS if gb * 1e9 / _GIB >= size / _GIB + _DRIVER), None)
        cure = f"GPUs of {fitting} GB" if fitting else "no GPU has as much; see docs/training.md, Memory"
        out.print(f"largest: {name}, {_size(size)} and about {_DRIVER:.0f} GiB of the driver's: {cure}")


def _show_hours(made: Plan, out: Console) -> None:
    priced, sources = made.price is not None, dict[str, int]()
    rows = [_row(work, made.price, sources) for work in made.works]
    known = [work for work in made.works if work.hours is not None]
    if known:
        hours, paid = sum(work.hours or 0 for work in known), sum(work.gpu_hours or 0 for work in known)
        cost = [f"{paid * (made.price or 0):,.0f}"] if priced else []
        rows.append(["all that is measured", "", "", _time(hours), f"{paid:,.0f}", *cost])
    _print(out, ["stages", "work", "rate", "time", "GPU-hours", *(["cost"] if priced else []), "source"], rows)
    for source, number in sources.items():
        out.print(f"({number}) {source}", markup=False, soft_wrap=True)
    unknown = ", ".join(work.stage for work in made.works if work.hours is None)
    if longest := made.bottleneck:
        beside = f"; not measured, and perhaps longer: {unknown}" if unknown else ""
        out.print(f"bottleneck: {longest.stage}{beside}", soft_wrap=True)
    elif unknown:
        out.print("no rate of these stages was measured; --rate STAGE=NUMBER gives your own")


def _row(work: Work, price: float | None, sources: dict[str, int]) -> list[str]:
    row = [work.stage, f"{work.count:,} {work.things}"]
    if work.rate is None or work.hours is None or work.gpu_hours is None:
        return [*row, "not measured"]
    number = sources.setdefault(work.source, len(sources) + 1)
    cost = [] if price is None else [f"{work.gpu_hours * price:,.0f}"]
    units = f"{work.units} {work.unit}{'s' * (work.units != 1)}"
    each = f"{work.rate:,.0f}" if work.rate >= 100 else f"{work.rate:.3g}"
    rate = f"{each} /s {'on' if work.together else 'x'} {units}"
    return [*row, rate, _time(work.hours), f"{work.gpu_hours:,.0f}", *cost, f"({number})"]


def _print(out: Console, titles: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    if not rows:
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, title in enumerate(titles):
        table.add_column(title, justify="right" if place else "left")
    for row in rows:
        table.add_row(*row)
    out.print()
    out.print(table)


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"


def _size(size: int) -> str:
    return f"{size / _GIB:.1f} GiB" if size >= _GIB else f"{size / 2**20:.1f} MiB"


def _time(hours: float) -> str:
    return f"{hours:,.1f} h" if hours >= 1 else f"{60 * hours:.1f} min"
