"""The command line: list, show, plan, run, write, render, takes, export, evaluate, compare, status, clean.

Prefect, Ray and torch are imported by the commands that need them, so that `--help` and `list` answer at once.
"""

import json
import sys
from contextlib import nullcontext
from io import TextIOWrapper
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape

from flows import catalogue
from flows.commands.command import (
    AsJson,
    Assignments,
    Into,
    RecipeName,
    StorageUri,
    end_at_sigterm,
    err,
    exit_codes,
    out,
)
from flows.display.shown import shown
from storage.printable import json_text, printable

app = typer.Typer(
    name="moviedreamer",
    help="Films in; new, long, coherent movies out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

FlowName = Annotated[str, typer.Argument(metavar="FLOW", help="One of `moviedreamer list`.")]


@app.command("list")
@exit_codes()
def list_(json_: AsJson = False) -> None:
    """Lists the flows and the recipes."""
    flows = {name: flow.about for name, flow in catalogue.FLOWS.items()}
    if json_:
        print(json.dumps({"flows": flows, "recipes": catalogue.RECIPES}, indent=2))
        return
    for title, entries in (("Flows", flows), ("Recipes", catalogue.RECIPES)):
        out.print(f"[bold]{title}[/]")
        for name, purpose in entries.items():
            out.print(f"  {name:<21}{escape(purpose)}", soft_wrap=True)


@app.command()
@exit_codes()
def show(
    flow: FlowName,
    prefix: Annotated[
        str,
        typer.Argument(metavar="PREFIX", help="Only this part of the settings, such as render.", show_default=False),
    ] = "",
    recipe: RecipeName = "laptop",
    storage: StorageUri = "out",
    set_: Assignments = None,
    changed: Annotated[bool, typer.Option("--changed", help="Only what differs from the defaults.")] = False,
    json_: AsJson = False,
) -> None:
    """Shows the settings that a flow would run with; each is explained and written as `--set` takes it."""
    catalogue.check("flow", flow, catalogue.FLOWS)
    from flows.settings import explained
    from flows.settings.recipes import resolve
    from storage.root import Storage

    config = resolve(recipe, set_ or [], catalogue.needs(flow))
    Storage(storage)  # raises when it is not a valid address
    found = explained.chosen(config, resolve("laptop"), prefix, changed)
    if json_:
        settings = [one._asdict() for one in found]
        whole = {"flow": flow, "storage": storage, "recipe": config.model_dump(mode="json"), "settings": settings}
        print(json.dumps(whole, indent=2))
        return
    about = escape(catalogue.FLOWS[flow].about)
    out.print(f"[dim]# {flow}: {about}\n# --recipe {recipe} --storage {shown(storage)}[/]")
    explained.show(found, out)


@app.command("plan")
@exit_codes()
def plan_(
    flow: FlowName,
    recipe: RecipeName = "laptop",
    storage: StorageUri = "out",
    set_: Assignments = None,
    gpus: Annotated[str, typer.Option("--gpus", metavar="N", help="GPUs to run on; default: the recipe's.")] = "",
    price: Annotated[str, typer.Option("--price", metavar="NUMBER", help="Price of a GPU per hour.")] = "",
    keyframes: Annotated[
        str,
        typer.Option("--keyframes", metavar="N", help="Number of keyframes; default: the drawn films' or the paper's."),
    ] = "",
    rate: Annotated[
        list[str] | None,
        typer.Option("--rate", metavar="STAGE=NUMBER", help="A stage's rate per second and GPU; may be repeated."),
    ] = None,
    json_: AsJson = False,
) -> None:
    """Estimates what a flow takes: memory, hours, cost, disk, and what is missing. It needs no GPU and no weights."""
    from flows.plan.plan import plan
    from flows.plan.tables import show as show_plan

    made = plan(flow, recipe, storage, set_ or [], gpus, price, keyframes, rate or [])
    if json_:
        print(json_text(made.dump()))
    else:
        show_plan(made, out)


@app.command()
@exit_codes()
def run(
    flow: FlowName,
    recipe: RecipeName = "laptop",
    storage: StorageUri = "out",
    set_: Assignments = None,
    into: Into = False,
    json_: AsJson = False,
) -> None:
    """Runs a flow on this machine. Finished work is not repeated."""
    end_at_sigterm()
    from flows.commands.local_run import print_result, run_here

    result = run_here(flow, recipe, storage, set_ or [], err, into)
    if json_:
        print(json.dumps(result, indent=2))
    else:
        print_result(result, out)


@app.command()
@exit_codes()
def render(
    stories: Annotated[list[str], typer.Argument(metavar="STORY...", help="Story files, or folders of them.")],
    recipe: RecipeName = "laptop",
    storage: StorageUri = "out",
    set_: Assignments = None,
    only: Annotated[str, typer.Option(metavar="SHOTS", help="Only these shots, such as 3 or 12-15,18.")] = "",
    redo: Annotated[str, typer.Option(metavar="SHOTS", help="Make a new take of these shots.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the new take.")] = None,
    take: Annotated[
        list[str] | None, typer.Option(metavar="SHOT=TAKE", help="Show a shot in an earlier take; may be repeated.")
    ] = None,
    continue_: Annotated[
        str,
        typer.Option("--continue", metavar="FILM", help="Go on from a film of the storage: id, title or file name."),
    ] = "",
    preview: Annotated[bool, typer.Option("--preview", help="Small, without super-resolution.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what would be made and how long it takes.")] = False,
    max_hours: Annotated[
        float | None, typer.Option(min=0, help="Start nothing new after this many hours; the next run continues.")
    ] = None,
    into: Into = False,
    json_: AsJson = False,
) -> None:
    """Renders stories as movies. What was made before is not made again."""
    end_at_sigterm()
    from flows.commands import render as render_command

    order = render_command.order(only, redo, seed, take or [], continue_)
    report = render_command.run(stories, recipe, storage, set_ or [], order, preview, dry_run, max_hours, err, into)
    if json_:
        print(report.json())
    else:
        render_command.show(report, dry_run, out)
    if any(one.state == "failed" for one in report.stories):
        raise typer.Exit(1)


@app.command()
@exit_codes()
def takes(
    story: Annotated[str, typer.Argument(metavar="STORY", help="A story file.")],
    recipe: RecipeName = "laptop",
    storage: StorageUri = "out",
    set_: Assignments = None,
    json_: AsJson = False,
) -> None:
    """Lists the takes of a story's shots, and which of them the movie shows."""
    from flows.commands import render as render_command

    found = render_command.takes(story, recipe, storage, set_ or [])
    if json_:
        names = ("shot", "take", "seed", "shown")
        print(json.dumps([dict(zip(names, one, strict=True)) for one in found], indent=1))
        return
    for shot, number, seed, is_shown in found:
        out.print(f"shot {shot:>4}  take {number}  seed {seed}{'  shown' if is_shown else ''}")


@app.command()
@exit_codes()
def write(
    synopsis: Annotated[Path, typer.Argument(metavar="SYNOPSIS", help="Text file, one sentence per keyframe.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="STORY.yaml", help="Default: beside the synopsis.")
    ] = None,
    recipe: RecipeName = "laptop",
    keyframes: Annotated[
        int | None, typer.Option("--keyframes", min=1, help="Keyframes of the movie; default: one a sentence.")
    ] = None,
    verbatim: Annotated[
        bool, typer.Option("--verbatim", help="Use only sentences of the synopsis as plots, even with more keyframes.")
    ] = False,
    set_: Assignments = None,
    json_: AsJson = False,
) -> None:
    """Writes a story file from a synopsis: cast, places, scenes and shots, to be edited and rendered."""
    from flows.commands import writing

    written = writing.write_story(synopsis, output, recipe, set_ or [], keyframes, verbatim)
    writing.show(written, out, json_)


@app.command()
@exit_codes()
def export(
    film: Annotated[str, typer.Argument(metavar="FILM", help="Id, title or file name of a film of the storage.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="A new folder.")],
    storage: StorageUri = "out",
    snapshot: Annotated[str, typer.Option("--snapshot", metavar="ID", help="Default: the newest.")] = "",
    json_: AsJson = False,
) -> None:
    """Writes a curated film as a story, with photographs of its people."""
    from flows.commands import writing

    written = writing.export_film(film, storage, snapshot, output)
    writing.show(written, out, json_)


@app.command()
@exit_codes()
def evaluate(
    results: Annotated[Path, typer.Argument(metavar="RESULTS", help="Folder with a system's pictures or movies.")],
    layout: Annotated[
        str, typer.Option("--layout", metavar="LAYOUT", help="plain, vistorybench, vbench or msvbench.")
    ] = "plain",
    real: Annotated[
        Path | None, typer.Option("--real", metavar="FOLDER", help="Pictures or videos of real films, for FID.")
    ] = None,
    stories: Annotated[
        Path | None, typer.Option("--stories", metavar="FOLDER", help="Their story files, for metrics of characters.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="REPORT.json", help="Where the report is written.")
    ] = None,
    recipe: RecipeName = "laptop",
    storage: StorageUri = "out",
    set_: Assignments = None,
    into: Into = False,
    json_: AsJson = False,
) -> None:
    """Measures the results of any system. Pictures that were measured before are not measured again."""
    end_at_sigterm()
    from flows.commands import evaluation

    if output:
        evaluation.check_output(output)
    reports = evaluation.run(results, layout, real, stories, recipe, storage, set_ or [], err, into)
    written = evaluation.write(reports, output) if output else []
    if json_:
        print(json_text([report.model_dump(mode="json") for report in reports]))
        return
    for report in reports:
        evaluation.show(report, out)
    for path in written:
        out.print(shown(str(path)), soft_wrap=True)


@app.command("compare")
@exit_codes()
def compare_(
    reports: Annotated[list[Path], typer.Argument(metavar="REPORT...", help="Two or more; the first against each.")],
    json_: AsJson = False,
) -> None:
    """Compares reports of evaluations, metric by metric, on the samples that they share, with paired significance."""
    from flows.commands import evaluation

    found = evaluation.compared(reports)
    if json_:
        print(json_text([one.model_dump(mode="json") for one in found]))
    else:
        evaluation.show_compared(found, out)


@app.command()
@exit_codes()
def status(
    storage: StorageUri = "out",
    watch: Annotated[bool, typer.Option("--watch", help="Refresh every five seconds, until Ctrl-C.")] = False,
    html: Annotated[Path | None, typer.Option("--html", metavar="FILE", help="Also write it as a page.")] = None,
    json_: AsJson = False,
) -> None:
    """Shows what a storage holds and, if PREFECT_API_URL is set, what runs, how far it is, and what failed and why."""
    from flows.commands import status as report
    from storage.root import Storage

    place = Storage(storage).reached()
    if json_:
        print(json_text(report.status(place)))
    else:
        report.show_all(place, watch, html)


@app.command()
@exit_codes()
def clean(
    storage: StorageUri = "out",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    unused: Annotated[bool, typer.Option("--unused", help="Remove only table files that nothing needs.")] = False,
    json_: AsJson = False,
) -> None:
    """Removes from a storage what runs have made and nobody has changed since."""
    from flows.commands import cleaning
    from flows.server.lock import alone
    from storage.root import Storage
    from tasks.shown import listed

    place = Storage(storage).reached()
    if unused:
        with alone(place) if cleaning.is_storage(place) else nullcontext():
            removed, bytes_ = cleaning.clean_unused(place), cleaning.space(place)
        shares = ", ".join(f"{folder} {size / 1e6:,.1f} MB" for folder, size in bytes_.items())
        told = f"removed {len(removed)} files that nothing needs; left: {shares or 'nothing'}"
        print(json.dumps({"removed": removed, "bytes": bytes_}) if json_ else told)
        return
    found = cleaning.look(place)
    names = found.removed
    if names and not yes and not typer.confirm(f"Remove {listed(names)} from {printable(place.base)}?", err=True):
        err.print("nothing was removed")
        raise typer.Exit(1)
    if place.record.exists:
        with alone(place):
            cleaning.clean(place)
    if json_:
        print(json.dumps({"removed": names, "left": found.left}))
        return
    print(f"removed {listed(names) or 'nothing'}")
    if found.left:
        print(f"kept, because no run made it or it has changed: {listed([*map(repr, found.left)])}")


def main() -> None:
    """The entry point `moviedreamer`."""
    for stream in (sys.stdout, sys.stderr):  # a terminal may know fewer letters than names have
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    sys.exit(app())


if __name__ == "__main__":
    main()
