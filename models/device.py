"""Where a model runs: on the GPU that this process was given (Ray shows a worker its own alone), else on the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_asked: ContextVar[str] = ContextVar("device", default="")


def device() -> "torch.device":
    """The first GPU in sight, or the CPU; inside `on` what it was given."""
    import torch

    return torch.device(_asked.get() or ("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def on(name: str) -> Iterator[None]:
    """Makes models run on another device than they would."""
    token = _asked.set(name)
    try:
        yield
    finally:
        _asked.reset(token)
