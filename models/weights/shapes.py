"""Models without weights: inside `only()` a checkpoint is built on torch's meta device, with shapes but no values.

The sizes are from the checkpoint's config if it is on this machine, otherwise from published.json, which names their
sources. So the code that builds models for training and rendering can run, and be measured, on any machine.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from models.device import on

_only: ContextVar[bool] = ContextVar("only_shapes", default=False)

IDENTITY = "shapes alone"
"""The revision of weights that are not read."""
_LETTERS = 4  # approximate letters per token of a language model


@contextmanager
def only() -> Iterator[None]:
    """During the block, models of checkpoints are built on the meta device, and only configs are read."""
    import torch

    token = _only.set(True)
    try:
        with on("meta"), torch.device("meta"):
            yield
    finally:
        _only.reset(token)


def wanted() -> bool:
    """Whether this is inside `only`."""
    return _only.get()


@cache
def published() -> dict[str, Any]:
    """Checkpoint, or checkpoint/part -> its config, number of parameters, and the source of both."""
    found: dict[str, Any] = json.loads(resources.files("models.weights").joinpath("published.json").read_text())
    return found


def known(source: str, part: str = "") -> bool:
    """Whether this is inside `only`, and the sizes of a checkpoint (or its part) are in the table."""
    return wanted() and "/".join(filter(None, (source, part))) in published()


def config(kind: Any, source: str | Path) -> Any:
    """The config of a model of class `kind` (of diffusers or transformers): that of a folder, or a published one."""
    from transformers import AutoConfig

    config_class = getattr(kind, "config_class", None)
    if isinstance(source, Path):
        if hasattr(kind, "load_config"):
            return kind.load_config(source)
        return (config_class or AutoConfig).from_pretrained(source)
    sizes = dict(published()[source]["config"])
    if hasattr(kind, "load_config"):
        return sizes
    name = sizes.pop("model_type", "")
    return config_class(**sizes) if config_class else AutoConfig.for_model(name, **sizes)


def build(kind: Any, source: str | Path, dtype: Any = None) -> Any:
    """A model of class `kind`, frozen and in evaluation mode; `source` as `config` takes it."""
    import torch

    with torch.device("meta"):
        sizes = config(kind, source)
        model = kind.from_config(sizes) if hasattr(kind, "from_config") else kind(sizes)
    return torch.nn.Module.to(model, dtype or torch.float32).eval().requires_grad_(False)


class Words:
    """Replaces a tokenizer that isn't on this machine: about four letters per token."""

    def __call__(self, text: str, add_special_tokens: bool = False) -> Any:
        pieces = [text[start : start + _LETTERS] for start in range(0, len(text), _LETTERS)]
        return SimpleNamespace(input_ids=[sum(piece.encode()) for piece in pieces])
