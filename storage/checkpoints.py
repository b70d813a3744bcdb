"""Checkpoints of models under checkpoints/<model>/<fingerprint>/<step>/, and their final export under .../final/.

`done.json` is written last and deleted first: a folder without it does not count. It names the files and their sizes.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ValidationError

from storage.errors import StorageError
from storage.root import Storage

MARKER = "done.json"
_FINAL = "final"
_NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]*"
_MARKED = re.compile(rf"checkpoints/({_NAME})/({_NAME})/(\d+|{_FINAL})/{re.escape(MARKER)}")


@dataclass(frozen=True)
class Checkpoint:
    """A complete checkpoint: its step, and the path of its files below the storage root."""

    model: str
    fingerprint: str
    step: int
    rel: str
    final: bool = False


class Marker(BaseModel, frozen=True, extra="forbid"):
    """What `done.json` says."""

    step: int
    files: dict[str, int]  # name -> bytes
    samples: int = 0  # the sampler's cursor: how many the run has seen
    loss: float | None = None  # of the held-out rows, where they were looked at


def save(
    storage: Storage,
    model: str,
    fingerprint: str,
    step: int,
    files: Mapping[str, bytes] | Path,
    keep: int = 2,
    samples: int = 0,
    loss: float | None = None,
) -> Checkpoint:
    """Saves the files of a step (names to bytes, or a local folder); keeps the newest `keep` checkpoints and the best.

    Raises:
        StorageError: they cannot be written; the earlier checkpoints are kept.
        ValueError: a name is not a folder name, or there are no files.
    """
    if keep < 1:
        raise ValueError(f"keep={keep}: at least one checkpoint stays")
    saved = Checkpoint(model, fingerprint, step, f"{_folder(model, fingerprint)}/{step:06d}")
    _write(storage, saved, files, samples, loss)
    kept = {each.rel for each in _steps(storage, model, fingerprint)[-keep:]} | {saved.rel}
    if first := best(storage, model, fingerprint):
        kept.add(first.rel)
    for name in storage.list(_folder(model, fingerprint)):
        rel = f"{_folder(model, fingerprint)}/{name}"
        if name.isdigit() and int(name) < step and rel not in kept:
            _drop(storage, rel)
    return saved


def save_final(
    storage: Storage, model: str, fingerprint: str, step: int, files: Mapping[str, bytes] | Path
) -> Checkpoint:
    """Saves the finished model's files; from then on `finished` returns their path."""
    rel = final_place(model, fingerprint)
    return _write(storage, Checkpoint(model, fingerprint, step, rel, final=True), files)


def final_place(model: str, fingerprint: str) -> str:
    """The path of the final export below the storage root once it is finished."""
    return f"{_folder(model, fingerprint)}/{_FINAL}"


def latest(storage: Storage, model: str, fingerprint: str) -> Checkpoint | None:
    """The complete checkpoint of the highest step, to resume from."""
    steps = _steps(storage, model, fingerprint)
    return steps[-1] if steps else None


def best(storage: Storage, model: str, fingerprint: str) -> Checkpoint | None:
    """The complete checkpoint with the lowest held-out loss; None if it was never measured."""
    losses = {each: _marker(storage, each.rel).loss for each in _steps(storage, model, fingerprint)}
    measured = {each: loss for each, loss in losses.items() if loss is not None}
    return min(measured, key=lambda each: (measured[each], each.step)) if measured else None


def finished(storage: Storage, model: str, fingerprint: str) -> str | None:
    """The path of the final export below the storage root, None if there is none."""
    rel = final_place(model, fingerprint)
    return rel if storage.exists(f"{rel}/{MARKER}") else None


def newest(storage: Storage, model: str) -> str | None:
    """The path of the newest final export of a model, None if there is none."""
    exports = [finished(storage, model, name) for name in storage.list(f"checkpoints/{model}")]
    found = [rel for rel in exports if rel]
    return max(found, key=lambda rel: (storage.modified_ns(f"{rel}/{MARKER}"), rel), default=None)


@contextmanager
def opened(storage: Storage, checkpoint: Checkpoint) -> Iterator[Path]:
    """A local folder with its files, while the block runs.

    Raises:
        StorageError: when a file is missing or of another size than it was saved with.
    """
    for name, size in _marker(storage, checkpoint.rel).files.items():
        rel = f"{checkpoint.rel}/{name}"
        if (found := storage.size(rel)) != size:
            said = f"{found} bytes" if found >= 0 else "it is missing"
            url = storage.url(rel)
            raise StorageError(f"{url!r} is damaged: {said}, saved with {size}; delete its folder and run again")
    with storage.local(checkpoint.rel) as folder:
        yield folder


def entries(storage: Storage) -> list[Checkpoint]:
    """All complete checkpoints and final exports, sorted by model, fingerprint and step."""
    files, _ = storage.look_into(lambda rel: f"{rel}/".startswith("checkpoints/") and rel.count("/") <= 3)
    marked = filter(None, map(_MARKED.fullmatch, files))
    found = []
    for model, fingerprint in sorted({(file[1], file[2]) for file in marked}):
        found += _steps(storage, model, fingerprint)
        if rel := finished(storage, model, fingerprint):
            found.append(Checkpoint(model, fingerprint, _marker(storage, rel).step, rel, final=True))
    return found


def _steps(storage: Storage, model: str, fingerprint: str) -> list[Checkpoint]:
    folder = _folder(model, fingerprint)
    steps = sorted(int(name) for name in storage.list(folder) if name.isdigit())
    rels = {step: f"{folder}/{step:06d}" for step in steps}
    done = (step for step in steps if storage.exists(f"{rels[step]}/{MARKER}"))
    return [Checkpoint(model, fingerprint, step, rels[step]) for step in done]


def _write(
    storage: Storage,
    checkpoint: Checkpoint,
    files: Mapping[str, bytes] | Path,
    samples: int = 0,
    loss: float | None = None,
) -> Checkpoint:
    storage.delete(f"{checkpoint.rel}/{MARKER}")
    if isinstance(files, Path):
        storage.upload(files, checkpoint.rel)
        sizes = {
            path.relative_to(files).as_posix(): path.stat().st_size
            for path in sorted(files.rglob("*"))
            if path.is_file()
        }
    else:
        for name, data in files.items():
            storage.write_bytes(f"{checkpoint.rel}/{name}", data)
        sizes = {name: len(data) for name, data in files.items()}
    if not sizes:
        raise ValueError(f"a checkpoint of {checkpoint.model!r} without files")
    for name in set(storage.list(checkpoint.rel)) - {name.partition("/")[0] for name in sizes}:
        storage.delete(f"{checkpoint.rel}/{name}")
    for name in set(storage.walk(checkpoint.rel)) - set(sizes):
        storage.delete(f"{checkpoint.rel}/{name}")
    marker = Marker(step=checkpoint.step, files=sizes, samples=samples, loss=loss)
    storage.write_bytes(f"{checkpoint.rel}/{MARKER}", marker.model_dump_json(indent=1).encode())
    return checkpoint


def _drop(storage: Storage, rel: str) -> None:
    storage.delete(f"{rel}/{MARKER}")
    storage.delete(rel)


def _marker(storage: Storage, rel: str) -> Marker:
    try:
        return Marker.model_validate_json(storage.read_bytes(f"{rel}/{MARKER}"))
    except ValidationError as error:
        url = storage.url(f"{rel}/{MARKER}")
        raise StorageError(f"{url!r} is no checkpoint's: no run wrote it so; move its folder away") from error


def _folder(model: str, fingerprint: str) -> str:
    for name in (model, fingerprint):
        if not re.fullmatch(_NAME, name):
            raise ValueError(f"{name!r} is no name for a folder: letters, digits, '_', '.' and '-' are")
    return f"checkpoints/{model}/{fingerprint}"
