"""Loads weights that no package contains, from a file, a folder or a hub id. Errors say what is missing and its source.

A source is looked up as a path, then inside `packaged.cache_folder()`, so that a checkpoint there is found by its name.
A source that is not found and has the form owner/name is a hub id. Pickles are only opened with `weights_only=True`,
and every tensor of a model must come from its checkpoint.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, Field

from models.errors import ModelError
from models.weights import shapes
from models.weights.packaged import cache_folder

if TYPE_CHECKING:
    from torch import Tensor

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WEIGHT_FILES = (".pth", ".pt", ".bin", ".safetensors")


class CheckpointError(ModelError, ValueError):
    """A checkpoint is missing or has other content; the message says what to fetch and where to put it."""


class Origin(NamedTuple):
    """A checkpoint's name, its licence, what to fetch from where, and the setting for its path."""

    name: str
    licence: str
    fetch: str
    setting: str


class CheckpointConfig(BaseModel, frozen=True, extra="forbid"):
    """A backend whose weights are a checkpoint."""

    origin: ClassVar[Origin]
    not_identity: ClassVar[tuple[str, ...]] = ("source", "hub_revision", "batch")
    """Fields about the path or the speed of the weights: not part of a fingerprint, which has `revision` instead."""

    source: str = Field(description="checkpoint: a file, a folder or a hub id")
    hub_revision: str = Field("main", description="branch, tag or commit of a hub id")

    @property
    def revision(self) -> str:
        """The hub id and its commit, or a hash of the files in `source`; part of every fingerprint of this config.

        Raises:
            CheckpointError: nothing is found.
        """
        return identity(self.origin, self.source, self.hub_revision)


def find(source: str) -> Path | None:
    """The file or folder of `source`, None if it is not on this machine."""
    for path in (Path(source).expanduser(), cache_folder() / source):
        if path.exists():
            return path
    return None


def identity(origin: Origin, source: str, hub_revision: str) -> str:
    """An id of the weights that does not depend on their path."""
    if shapes.wanted():
        return shapes.IDENTITY
    path = find(source)
    if path is None:
        return f"{source}@{commit(origin, source, hub_revision)}"
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if _counts(one, path))
    parts = [f"{one.relative_to(path)} {_digest(one, one.stat().st_size, one.stat().st_mtime_ns)}" for one in files]
    return f"sha256 {hashlib.sha256(''.join(parts).encode()).hexdigest()[:16]}"


def require(origin: Origin, source: str, hub_revision: str) -> None:
    """Checks, without loading anything, that the weights are on this machine, in the hub's cache or on the hub.

    Raises:
        CheckpointError: they are not.
    """
    from huggingface_hub import constants

    path = find(source)
    if path is None:
        folder = _snapshot(origin, source, hub_revision)
        if constants.HF_HUB_OFFLINE and not _weights(folder):
            raise missing(origin, source, "its weights aren't in the hub's cache, and HF_HUB_OFFLINE is set")
        return
    if not (files := _weights(path)):
        raise missing(origin, source, f"{str(path)!r} holds no weights, no file that ends in {' '.join(_WEIGHT_FILES)}")
    if cut := cut_off(files):
        raise missing(origin, source, f"{str(cut)!r} is cut off or damaged")


def cut_off(files: Iterable[Path]) -> Path | None:
    """The first safetensors file with a wrong header or length, None if there is none."""
    from safetensors import SafetensorError, safe_open

    for file in files:
        if file.suffix != ".safetensors":
            continue
        try:
            with safe_open(file, "np"):
                pass
        except (SafetensorError, OSError):
            return file
    return None


def _weights(path: Path) -> list[Path]:
    """The file itself, or the weight files below a folder."""
    return [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.suffix in _WEIGHT_FILES)


def commit(origin: Origin, source: str, hub_revision: str) -> str:
    """The commit of a hub id's revision, from the hub's cache or otherwise from the hub.

    If the commit isn't in the cache, its JSON files are fetched, so that later calls resolve to the same commit.

    Raises:
        CheckpointError: neither the cache nor the hub knows the revision.
    """
    return _snapshot(origin, source, hub_revision).name


def place(origin: Origin, source: str, hub_revision: str) -> tuple[str | Path, dict[str, str]]:
    """The arguments for `from_pretrained`: a folder, or a hub id with its commit."""
    path = find(source)
    if path is None and shapes.known(source):
        return source, {}
    return (path, {}) if path else (source, {"revision": commit(origin, source, hub_revision)})


def _snapshot(origin: Origin, source: str, hub_revision: str) -> Path:
    if not _is_hub_id(source):
        raise missing(origin, source, "there is no such file or folder")
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        return Path(snapshot_download(source, revision=hub_revision, local_files_only=True))
    except LocalEntryNotFoundError as error:
        if constants.HF_HUB_OFFLINE:
            raise missing(origin, source, "it isn't in the hub's cache, and HF_HUB_OFFLINE is set") from error
    try:
        return Path(snapshot_download(source, revision=hub_revision, allow_patterns=["*.json"]))
    except Exception as answer:  # errors of the hub and of its HTTP library
        said = (str(answer).strip() or type(answer).__name__).splitlines()[0]
        raise missing(origin, source, f"the hub says: {said}") from answer


def missing(origin: Origin, source: str, why: str) -> CheckpointError:
    """The error to raise: `why` the weights of `origin` can't be loaded from `source`, and the cure."""
    return CheckpointError(
        f"{origin.name} can't be loaded from {source!r}: {why}. Fetch {origin.fetch}, and set {origin.setting} to "
        f"its path or put it at {str(cache_folder() / source)!r}"
    )


def read(origin: Origin, source: str, inside: str = "") -> "dict[str, Tensor]":
    """The state dict in a file: safetensors, or a pickle that contains only tensors.

    Args:
        inside: the key of the weights in a training checkpoint; a bare state dict is accepted too.
    """
    import pickle

    from safetensors import SafetensorError

    path = find(source)
    if path is None or not path.is_file():
        raise missing(origin, source, "there is no such file")
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            loaded: Any = load_file(path)
        else:
            import torch

            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, OSError, SafetensorError) as error:
        raise missing(origin, source, f"it is no plain file of tensors ({str(error).splitlines()[0]})") from error
    loaded = loaded.get(inside, loaded) if isinstance(loaded, Mapping) else {}
    weights = {str(key).removeprefix("module."): value for key, value in loaded.items() if hasattr(value, "shape")}
    if not weights:
        raise missing(origin, source, "it holds no tensors")
    return weights


def pretrained(
    origin: Origin, kind: Any, source: str, hub_revision: str, may_miss: Sequence[str] = (), **options: Any
) -> Any:
    """`kind.from_pretrained` of a folder or hub id, in eval mode; `may_miss`: name suffixes of unused tensors.

    Inside `shapes.only` it is the same model without weights, even if the weights are not on this machine.

    Raises:
        CheckpointError: it can't be loaded, or a tensor of `kind` is missing or has another shape.
    """
    if shapes.wanted():
        return _shaped(origin, kind, source, hub_revision, **options)
    where, pinned = place(origin, source, hub_revision)
    try:
        loaded, info = kind.from_pretrained(where, output_loading_info=True, **pinned, **options)
    except (OSError, ValueError) as error:
        raise missing(origin, source, f"{str(error).splitlines()[0]}") from error
    return complete(origin, source, loaded, info, may_miss)


def _shaped(
    origin: Origin, kind: Any, source: str, hub_revision: str, subfolder: str = "", dtype: Any = None, **_: Any
) -> Any:
    path = find(source)
    if path is None and not shapes.known(source, subfolder):
        path = _snapshot(origin, source, hub_revision)
    return shapes.build(kind, path / subfolder if path else "/".join(filter(None, (source, subfolder))), dtype)


def assembled(
    origin: Origin, kind: Any, source: str, config: Any, weights: "Mapping[str, Tensor]", may_miss: Sequence[str] = ()
) -> Any:
    """A transformers model of `config` with converted weights, in eval mode; no tensor may be missing."""
    import torch

    model, info = kind.from_pretrained(
        None, config=config, state_dict=dict(weights), output_loading_info=True, dtype=torch.float32
    )
    return complete(origin, source, model, info, may_miss)


def complete(origin: Origin, source: str, model: Any, info: Mapping[str, Any], may_miss: Sequence[str] = ()) -> Any:
    """`model`, if transformers' loading `info` says that each of its tensors came from the checkpoint."""
    lost = sorted(key for key in info["missing_keys"] if not key.endswith(tuple(may_miss)))
    if lost:
        raise missing(origin, source, f"{len(lost)} of its tensors are missing, {lost[0]!r} among them")
    if misfits := sorted(str(one[0]) for one in info["mismatched_keys"]):
        raise missing(origin, source, f"{len(misfits)} of its tensors have another shape, {misfits[0]!r} among them")
    return model.eval().requires_grad_(False)


def tokenizer(origin: Origin, source: str, hub_revision: str) -> Any:
    """The tokenizer in a model's folder."""
    from transformers import AutoTokenizer

    where, pinned = place(origin, source, hub_revision)
    try:
        return AutoTokenizer.from_pretrained(where, **pinned)
    except (OSError, ValueError) as error:
        raise missing(origin, source, f"no tokenizer: {str(error).splitlines()[0]}") from error


def _is_hub_id(source: str) -> bool:
    return _HUB_ID.fullmatch(source) is not None and not source.endswith(_WEIGHT_FILES)


def _counts(path: Path, folder: Path) -> bool:
    """Whether a file belongs to a checkpoint; hidden files belong to a downloader."""
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """Hash of a file's bytes; computed again only if its size or modification time has changed."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
