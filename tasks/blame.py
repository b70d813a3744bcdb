"""Decides whether an error is the fault of a film, which is then rejected while the others continue."""

import sys
import traceback

from models.server import BudgetError
from storage.errors import FilmError
from tasks.errors import FOR_USERS


def film_error(error: Exception, film_id: str) -> tuple[FilmError, bool]:
    """Why the film is rejected, and whether another attempt may succeed.

    Raises:
        Exception: `error` itself, if it is not the film's fault.
    """
    match error:
        case FilmError():
            return error, error.reason == "crashed"  # of a child process
        case BudgetError():
            return FilmError("over_budget", str(error)), False
        case _ if _is_out_of_memory(error):
            return FilmError("out_of_memory", f"work on film {film_id}: {' '.join(str(error).split())[:300]}"), True
        case _:
            raise error


def message(error: Exception) -> str:
    """The message of an error for users; of any other error the traceback, starting on a new line."""
    if isinstance(error, FOR_USERS):
        return str(error)
    return "\n" + "".join(traceback.format_exception(error))


def _is_out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # if it isn't loaded, the error is not from it
    return isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError))
