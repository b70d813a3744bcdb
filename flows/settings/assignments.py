"""`a.b=c`: changes one field of a frozen config and validates the result."""

import json
from collections.abc import Sequence
from typing import Any, TypeVar, get_origin

from pydantic import BaseModel, ValidationError

from flows.catalogue import nearest
from models.text.unique import unique
from storage.errors import ConfigError
from storage.printable import is_utf8

Config = TypeVar("Config", bound=BaseModel)


class _UnknownKeyError(Exception):
    """No field has this path."""


def assign_all(config: Config, assignments: Sequence[str]) -> Config:
    """Applies `key=value` pairs from left to right.

    A key is a dotted path of fields. A value is JSON or, where that doesn't fit the field, the plain text; a single
    value also fits a field of several. `x.kind=name` changes to another backend, with its default settings.

    Raises:
        ConfigError: no `=`, an unknown key (the message names the nearest one), a value that does not fit, or JSON
            with two equal names in an object.
    """
    for assignment in assignments:
        key, equals, value = (part.strip() for part in assignment.partition("="))
        if not equals or not key:
            raise ConfigError(f"--set {assignment!r} is not of the form key=value, such as --set render.seed=1")
        try:
            config = _assign(config, key.split("."), value)
        except _UnknownKeyError:
            close = nearest(key, [*fields(config), *_sections(config)])
            raise ConfigError(
                f"--set {assignment!r}: there is no setting {key!r}{close}{_of_kind(config, key)}"
            ) from None
        except ValidationError as error:
            raise ConfigError(f"--set {assignment!r}: {_explain(error, value)}") from error
    return config


def in_utf8(assignment: str) -> str:
    """The same assignment; bytes that are not UTF-8, as in some file names, are escaped as JSON."""
    if is_utf8(assignment):
        return assignment
    key, _, value = assignment.partition("=")
    return f"{key}={json.dumps(_readings(value, several=False)[0])}"


def fields(config: BaseModel, prefix: str = "") -> dict[str, Any]:
    """Dotted key of every field of a config, in order -> its value as JSON has it."""
    flat: dict[str, Any] = {}
    for name, dumped in config.model_dump(mode="json").items():
        value = getattr(config, name)
        flat |= fields(value, f"{prefix}{name}.") if isinstance(value, BaseModel) else {prefix + name: dumped}
    return flat


def _sections(config: BaseModel, prefix: str = "") -> list[str]:
    parts = {name: getattr(config, name) for name in type(config).model_fields}
    models = {prefix + name: part for name, part in parts.items() if isinstance(part, BaseModel)}
    return [name for key, part in models.items() for name in [key, *_sections(part, f"{key}.")]]


def _assign(config: Config, path: list[str], value: str) -> Config:
    name, *rest = path
    if name not in type(config).model_fields:
        raise _UnknownKeyError
    old = getattr(config, name)
    if not rest:
        candidates = _readings(value, several=get_origin(type(config).model_fields[name].annotation) in (tuple, list))
    elif not isinstance(old, BaseModel):
        raise _UnknownKeyError
    elif rest == ["kind"] and hasattr(old, "kind"):  # another member of the union: its other fields are not these
        candidates = [old if kind == old.kind else {"kind": kind} for kind in _readings(value, several=False)]
    else:
        candidates = [_assign(old, rest, value)]
    given = {field: getattr(config, field) for field in type(config).model_fields}
    problems = []
    for candidate in candidates:
        try:
            return type(config).model_validate(given | {name: candidate})
        except ValidationError as error:
            problems.append(error)
    raise problems[0]


def _of_kind(config: BaseModel, key: str) -> str:
    section = key.rpartition(".")[0]
    kind = fields(config).get(f"{section}.kind")
    return f" ({section}.kind is {kind!r}; what another kind has is set after that kind)" if kind else ""


def _readings(value: str, several: bool) -> list[Any]:
    """What a text may mean, the most likely reading first."""
    readings: list[Any] = [value, [value]] if several else [value]
    try:
        meant = json.loads(value, object_pairs_hook=unique)
    except json.JSONDecodeError:
        return readings
    except ValueError as error:
        raise ConfigError(f"--set: {error}") from None
    return [meant, *([[meant]] if several and isinstance(meant, str) else []), *readings]


def _explain(error: ValidationError, value: str) -> str:
    problems = [
        ".".join(map(str, problem["loc"])) + (": " if problem["loc"] else "") + problem["msg"]
        for problem in error.errors(include_url=False)
    ]
    return f"{value!r} does not fit ({'; '.join(dict.fromkeys(problems))})"
