"""How the command line prints what comes from outside."""

from rich.markup import escape

from storage.printable import LINE, printable


def shown(text: str) -> str:
    """A text in a line that rich prints: see storage.printable; its brackets are no markup."""
    return escape(printable(text, LINE))
