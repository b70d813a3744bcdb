"""The device of a model: this process's GPU (Ray shows a worker only its own), otherwise the CPU."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

_asked: ContextVar[str] = ContextVar("device", default="")


def device() -> "torch.device":
    """The first visible GPU, otherwise the CPU; inside `on`, its device."""
    import torch

    return torch.device(_asked.get() or ("cuda" if torch.cuda.is_available() else "cpu"))


@contextmanager
def on(name: str) -> Iterator[None]:
    """Overrides the device of models during the block."""
    token = _asked.set(name)
    try:
        yield
    finally:
        _asked.reset(token)
