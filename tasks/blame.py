"""Which errors are a film's own, so that it leaves the chain and the others go on."""

import sys
import traceback

from models.server import BudgetError
from storage.errors import FilmError
from tasks.errors import FOR_USERS


def film_error(error: Exception, film_id: str) -> tuple[FilmError, bool]:
    """Why the film is rejected, and whether another attempt may end better.

    Raises:
        Exception: `error` itself, when it is not the film's.
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


def told(error: Exception) -> str:
    """Why the stage stops: the message of an error that is made for people, else its traceback on lines of its own."""
    if isinstance(error, FOR_USERS):
        return str(error)
    return "\n" + "".join(traceback.format_exception(error))


def _is_out_of_memory(error: Exception) -> bool:
    torch = sys.modules.get("torch")  # where it isn't loaded nothing can come from it
    return isinstance(error, MemoryError) or (torch is not None and isinstance(error, torch.OutOfMemoryError))
