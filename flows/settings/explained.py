"""Every setting with its default and one line of help, the description of its field."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, get_args

from pydantic import BaseModel
from pydantic_core import PydanticUndefined, to_jsonable_python
from rich.console import Console

from flows.catalogue import nearest
from flows.settings.fit import DERIVED
from storage.errors import ConfigError
from storage.printable import json_text


class Setting(NamedTuple):
    """One setting as `--set` takes it; value and default are JSON values, None for a setting without a default."""

    key: str
    value: Any
    default: Any
    changed: bool
    help: str


def explained(
    config: BaseModel, standard: BaseModel | None = None, prefix: str = "", changed: bool = False
) -> Iterator[Setting]:
    """All settings of a config, in order.

    Args:
        standard: a config of the same class with the defaults; None: those of the class. A section of another kind, or
            one that is null by default, is compared with its own class.
        prefix: of the keys.
        changed: whether all settings count as changed.
    """
    values = config.model_dump(mode="json")
    for name, field in type(config).model_fields.items():
        value = getattr(config, name)
        default = getattr(standard, name) if standard else field.get_default(call_default_factory=True)
        default = None if default is PydanticUndefined else default
        key, help_ = prefix + name, field.description or ""
        if not isinstance(value, BaseModel):
            if name != "kind":
                plain = to_jsonable_python(default)
                yield Setting(key, values[name], plain, changed or values[name] != plain, help_)
            continue
        if (kind := getattr(value, "kind", None)) is not None:
            usual = getattr(default, "kind", None)
            choices = " or ".join(_kinds(field.annotation))
            yield Setting(f"{key}.kind", kind, usual, changed or kind != usual, f"{help_}: {choices}")
        same = default if type(default) is type(value) else None
        yield from explained(value, same, f"{key}.", changed or default is None)


def chosen(config: BaseModel, standard: BaseModel, prefix: str, changed: bool) -> list[Setting]:
    """The settings that begin with `prefix`; with `changed` only those that differ from the defaults.

    Raises:
        ConfigError: no setting begins with it; the message names the nearest one.
    """
    every = list(explained(config, standard))
    found = [one for one in every if not prefix or f"{one.key}.".startswith(f"{prefix}.")]
    if not found:
        raise ConfigError(f"there is no setting {prefix!r}{nearest(prefix, [one.key for one in every])}")
    return [one for one in found if one.changed or not changed]


def show(settings: Iterable[Setting], console: Console) -> None:
    """Prints settings as `--set` takes them, each below its help."""
    for one in settings:
        source = f"; always {DERIVED[one.key]}" if one.key in DERIVED else ""
        about = f"# {one.help}{source} (default: {json_text(one.default, indent=None)})"
        console.print(about, style="dim", markup=False, soft_wrap=True)
        console.print(f"{one.key}={json_text(one.value, indent=None)}", markup=False, soft_wrap=True)


def _kinds(annotation: Any) -> list[str]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation.model_fields["kind"].default] if "kind" in annotation.model_fields else []
    return [kind for part in get_args(annotation) for kind in _kinds(part)]
