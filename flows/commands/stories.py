"""Options and output of the commands render, takes, write and export, which flows.cli adds to its own."""

import json
from pathlib import Path
from typing import Annotated

import typer

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


@exit_codes()
def render(
    stories: Annotated[list[str], typer.Argument(metavar="STORY...", help="Story files, or folders of them.")],
    recipe: RecipeName = "laptop",
    storage: StorageUri = "out",
    set_: Assignments = None,
    only: Annotated[str, typer.Option(metavar="SHOTS", help="Only these shots, such as 3 or 12-15,18.")] = "",
    redo: Annotated[str, typer.Option(metavar="SHOTS", help="A new take of these shots.")] = "",
    seed: Annotated[int | None, typer.Option(min=0, help="Seed of the new take.")] = None,
    take: Annotated[
        list[str] | None, typer.Option(metavar="SHOT=TAKE", help="Shows a shot in an earlier take; may be repeated.")
    ] = None,
    preview: Annotated[bool, typer.Option("--preview", help="Small, without super-resolution.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would be made, and how long.")] = False,
    max_hours: Annotated[
        float | None, typer.Option(min=0, help="Begin nothing after so many hours; the next run goes on.")
    ] = None,
    into: Into = False,
    json_: AsJson = False,
) -> None:
    """Makes movies of stories. What was made before is not made again."""
    end_at_sigterm()
    from flows.commands import render as render_command

    order = render_command.order(only, redo, seed, take or [])
    report = render_command.run(stories, recipe, storage, set_ or [], order, preview, dry_run, max_hours, err, into)
    if json_:
        print(report.json())
    else:
        render_command.show(report, dry_run, out)
    if any(one.state == "failed" for one in report.stories):
        raise typer.Exit(1)


@exit_codes()
def takes(
    story: Annotated[str, typer.Argument(metavar="STORY", help="A story file.")],
    recipe: RecipeName = "laptop",
    storage: StorageUri = "out",
    set_: Assignments = None,
    json_: AsJson = False,
) -> None:
    """The takes of a story's shots, and which of them the movie shows."""
    from flows.commands import render as render_command

    found = render_command.takes(story, recipe, storage, set_ or [])
    if json_:
        names = ("shot", "take", "seed", "shown")
        print(json.dumps([dict(zip(names, one, strict=True)) for one in found], indent=1))
        return
    for shot, number, seed, shown_ in found:
        out.print(f"shot {shot:>4}  take {number}  seed {seed}{'  shown' if shown_ else ''}")


@exit_codes()
def write(
    synopsis: Annotated[Path, typer.Argument(metavar="SYNOPSIS", help="Text file, a sentence a keyframe.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="STORY.yaml", help="Default: beside the synopsis.")
    ] = None,
    recipe: RecipeName = "laptop",
    keyframes: Annotated[
        int | None, typer.Option("--keyframes", min=1, help="Keyframes of the movie; default: one a sentence.")
    ] = None,
    verbatim: Annotated[
        bool, typer.Option("--verbatim", help="No plot but sentences of the synopsis, also with more keyframes.")
    ] = False,
    set_: Assignments = None,
    json_: AsJson = False,
) -> None:
    """Writes a story file of a synopsis: cast, places, scenes and shots, to be edited and rendered."""
    from flows.commands import writing

    written = writing.write_story(synopsis, output, recipe, set_ or [], keyframes, verbatim)
    if json_:
        print(written.json())
    else:
        writing.show(written, out)


@exit_codes()
def export(
    film: Annotated[str, typer.Argument(metavar="FILM", help="Id, title or file name of a film of the storage.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FOLDER", help="A folder that is not there yet.")],
    storage: StorageUri = "out",
    snapshot: Annotated[str, typer.Option("--snapshot", metavar="ID", help="Default: the newest.")] = "",
    json_: AsJson = False,
) -> None:
    """Writes a curated film as a story, with photographs of its people."""
    from flows.commands import writing

    written = writing.export_film(film, storage, snapshot, output)
    if json_:
        print(written.json())
    else:
        writing.show(written, out)
