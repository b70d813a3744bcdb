"""What all commands share: options, consoles, and errors in one line instead of a traceback.

Exit codes: 0 done, 1 failed, 2 bad usage, 130 stopped by Ctrl-C, 143 by SIGTERM.
"""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, NoReturn

import typer
from rich.console import Console
from rich.markup import escape

from storage.errors import ConfigError
from storage.masked import masked
from storage.printable import printable_lines
from tasks.errors import FOR_USERS

out = Console(highlight=False)
err = Console(stderr=True, highlight=False)

_TERMINATED = 128 + signal.SIGTERM

RecipeName = Annotated[str, typer.Option("--recipe", help="Where the settings come from; see `moviedreamer list`.")]
StorageUri = Annotated[str, typer.Option("--storage", metavar="URI", help="Folder, file://, s3://, gs:// or az://.")]
Into = Annotated[bool, typer.Option("--into", help="Use a folder that is not empty; its files are left alone.")]
Assignments = Annotated[
    list[str] | None, typer.Option("--set", metavar="KEY=VALUE", help="Change one setting; may be repeated.")
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def end_at_sigterm() -> None:
    """Makes SIGTERM raise an exception, so that everything is closed."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))


@contextmanager
def exit_codes() -> Iterator[None]:
    """Turns exceptions into one line and an exit code, unless MOVIEDREAMER_DEBUG is set."""
    try:
        yield
    except BrokenPipeError:  # of `status | head`: the reader has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit(1) from None
    except KeyboardInterrupt:
        err.print("stopped by Ctrl-C")
        raise typer.Exit(130) from None
    except SystemExit as ended:
        if ended.code not in (_TERMINATED, signal.SIGTERM):  # the second is Ray's, while it starts
            raise
        err.print("stopped by SIGTERM")
        raise typer.Exit(_TERMINATED) from None
    except typer.Exit:
        raise
    except typer.Abort:  # there is no terminal to answer the question
        err.print("nothing was removed; pass --yes to skip the question")
        raise typer.Exit(1) from None
    except Exception as error:
        if os.environ.get("MOVIEDREAMER_DEBUG"):
            raise
        _end(error)


def _end(error: Exception) -> NoReturn:
    known = isinstance(error, FOR_USERS)
    text = str(error) if known else f"{type(error).__name__}: {error} (MOVIEDREAMER_DEBUG=1 shows where)"
    err.print(f"[bold red]error[/] {escape(printable_lines(masked(text)))}", soft_wrap=True)
    raise typer.Exit(2 if isinstance(error, ConfigError) else 1) from error
