"""Derived names: of a film from its bytes, of a piece of work from its settings and inputs."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path

from pydantic import BaseModel

_DIGITS = 16


def fingerprint(*parts: object) -> str:
    """16 hex digits that name a piece of work.

    Args:
        parts: pydantic models and plain JSON values; sets count as sorted lists. Put in what changes the result (the
            stage's name and config, the inputs' fingerprints); never a path, a host or hardware. A config's property
            `revision`, of the weights or the code behind it, counts as one of its fields; those named in its
            `not_identity` (where the weights lie, how many run together) don't.

    Raises:
        TypeError: for a part that has no JSON form, a pathlib.Path among them.
        ValueError: for NaN and infinity.
    """
    text = json.dumps([_plain(part) for part in parts], sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def file_id(path: str | Path) -> str:
    """film_id: the first 16 hex digits of the sha256 of the file's bytes."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()[:_DIGITS]


def _plain(part: object) -> object:
    match part:
        case None | bool() | int() | float() | str():  # first, since most parts are
            return part
        case BaseModel():
            skipped = getattr(type(part), "not_identity", ())
            values = {name: getattr(part, name) for name in type(part).model_fields if name not in skipped}
            return _plain(values | ({"revision": part.revision} if hasattr(part, "revision") else {}))
        case Mapping():
            return {_key(key): _plain(value) for key, value in part.items()}
        case list() | tuple():
            return [_plain(value) for value in part]
        case set() | frozenset():
            return sorted((_plain(value) for value in part), key=lambda value: json.dumps(value, sort_keys=True))
        case _:
            raise TypeError(f"cannot fingerprint {part!r} ({type(part).__name__}): pass JSON values or pydantic models")


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise TypeError(f"cannot fingerprint a mapping with the key {key!r}: keys are strings")
    return key
