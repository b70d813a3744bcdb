"""Weights that no package carries: a file, a folder or a hub id. What is missing is named, with where to get it.

A source is looked for as it stands and then inside `packaged.cache_folder()`, so that a checkpoint put there is found
by its plain name; what is found nowhere and reads owner/name is a hub id. Pickles are only ever opened with
`weights_only=True`, and every tensor of a model must come from its checkpoint.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from pydantic import BaseModel, Field

from models import shapes
from models.errors import ModelError
from models.packaged import cache_folder

if TYPE_CHECKING:
    from torch import Tensor

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[\w.-]+")
_WEIGHT_FILES = (".pth", ".pt", ".bin", ".safetensors")


class CheckpointError(ModelError, ValueError):
    """A checkpoint is missing or holds something else; the message says what to fetch and where to put it."""


class Origin(NamedTuple):
    """What a checkpoint is called, its licence, what to fetch from where, and the setting that points to it."""

    name: str
    licence: str
    fetch: str
    setting: str


class CheckpointConfig(BaseModel, frozen=True, extra="forbid"):
    """A backend whose weights are a checkpoint."""

    origin: ClassVar[Origin]
    not_identity: ClassVar[tuple[str, ...]] = ("source", "hub_revision", "batch")
    """Fields that tell where weights lie or how fast they run: no part of a fingerprint, `revision` stands for them."""

    source: str = Field(description="checkpoint: a file, a folder or a hub id")
    hub_revision: str = Field("main", description="branch, tag or commit of a hub id")

    @property
    def revision(self) -> str:
        """The hub id and its commit, or a hash of what lies in `source`; part of every fingerprint of this config.

        Raises:
            CheckpointError: when there is nothing.
        """
        return identity(self.origin, self.source, self.hub_revision)


def find(source: str) -> Path | None:
    """The file or folder that `source` means, None when it lies nowhere here."""
    for path in (Path(source).expanduser(), cache_folder() / source):
        if path.exists():
            return path
    return None


def identity(origin: Origin, source: str, hub_revision: str) -> str:
    """Names the weights, not their place."""
    if shapes.wanted():
        return shapes.IDENTITY
    path = find(source)
    if path is None:
        return f"{source}@{commit(origin, source, hub_revision)}"
    files = [path] if path.is_file() else sorted(one for one in path.rglob("*") if _counts(one, path))
    parts = [f"{one.relative_to(path)} {_digest(one, one.stat().st_size, one.stat().st_mtime_ns)}" for one in files]
    return f"sha256 {hashlib.sha256(''.join(parts).encode()).hexdigest()[:16]}"


def require(origin: Origin, source: str, hub_revision: str) -> None:
    """Makes sure, without loading anything, that there is something to load: here, in the hub's cache or on the hub.

    Raises:
        CheckpointError: when there is not.
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
    """The first of the safetensors among some files whose header or length is not what it should be."""
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
    """The file itself, or those below a folder."""
    return [path] if path.is_file() else sorted(one for one in path.rglob("*") if one.suffix in _WEIGHT_FILES)


def commit(origin: Origin, source: str, hub_revision: str) -> str:
    """The commit that is loaded for a hub id: what its revision means in the hub's cache, else what the hub says.

    Of a commit that isn't in the cache its JSON files are fetched, so that all that follows means the same one.

    Raises:
        CheckpointError: when neither knows it.
    """
    return _snapshot(origin, source, hub_revision).name


def place(origin: Origin, source: str, hub_revision: str) -> tuple[str | Path, dict[str, str]]:
    """What `from_pretrained` is given: a folder or, with the commit, a hub id."""
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
    except Exception as answer:  # the hub's own, and those of whichever HTTP library it was built on
        said = (str(answer).strip() or type(answer).__name__).splitlines()[0]
        raise missing(origin, source, f"the hub says: {said}") from answer


def missing(origin: Origin, source: str, why: str) -> CheckpointError:
    """What to raise: `why` the weights of `origin` can't be had from `source`, and the cure."""
    return CheckpointError(
        f"{origin.name} can't be loaded from {source!r}: {why}. Fetch {origin.fetch}, and set {origin.setting} to "
        f"where it lies or put it at {str(cache_folder() / source)!r}"
    )


def read(origin: Origin, source: str, inside: str = "") -> "dict[str, Tensor]":
    """The state dict in a file: safetensors, or a pickle of nothing but tensors.

    Args:
        inside: the key under which a training checkpoint keeps the weights; a bare state dict is taken too.
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
    """`kind.from_pretrained` of a folder or hub id, in evaluation mode; `may_miss`: tails of names of unused tensors.

    Inside `shapes.only` the same model without weights, also of a source whose weights are not here.

    Raises:
        CheckpointError: when it can't be had, or doesn't hold all the tensors of `kind` in their shapes.
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
    """A transformers model of `config` with converted weights, in evaluation mode; every tensor must be there."""
    import torch

    model, info = kind.from_pretrained(
        None, config=config, state_dict=dict(weights), output_loading_info=True, dtype=torch.float32
    )
    return complete(origin, source, model, info, may_miss)


def complete(origin: Origin, source: str, model: Any, info: Mapping[str, Any], may_miss: Sequence[str] = ()) -> Any:
    """`model` when transformers' loading `info` says that each of its tensors came from the checkpoint."""
    lost = sorted(key for key in info["missing_keys"] if not key.endswith(tuple(may_miss)))
    if lost:
        raise missing(origin, source, f"{len(lost)} of its tensors are missing, {lost[0]!r} among them")
    if misfits := sorted(str(one[0]) for one in info["mismatched_keys"]):
        raise missing(origin, source, f"{len(misfits)} of its tensors have another shape, {misfits[0]!r} among them")
    return model.eval().requires_grad_(False)


def tokenizer(origin: Origin, source: str, hub_revision: str) -> Any:
    """The tokenizer that lies beside a model."""
    from transformers import AutoTokenizer

    where, pinned = place(origin, source, hub_revision)
    try:
        return AutoTokenizer.from_pretrained(where, **pinned)
    except (OSError, ValueError) as error:
        raise missing(origin, source, f"no tokenizer: {str(error).splitlines()[0]}") from error


def _is_hub_id(source: str) -> bool:
    return _HUB_ID.fullmatch(source) is not None and not source.endswith(_WEIGHT_FILES)


def _counts(path: Path, folder: Path) -> bool:
    """Whether a file belongs to a checkpoint; hidden ones are a downloader's."""
    return path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """Of a file's bytes; read again when its size or time has changed."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
