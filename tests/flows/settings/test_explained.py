"""Every setting says in one line what it is."""

from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from flows.settings.explained import explained
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve


def configs(annotation: Any) -> Iterator[type[BaseModel]]:
    """The classes of configs that an annotation leads to, those of unused backends too."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from configs(field.annotation)
    for part in get_args(annotation):
        yield from configs(part)


def test_every_field_has_a_description_of_one_line() -> None:
    found = {
        f"{config.__name__}.{name}": field.description or ""
        for config in set(configs(Recipe))
        for name, field in config.model_fields.items()
        if name != "kind"  # which its section describes
    }
    assert len(found) > 250
    assert {name for name, description in found.items() if not description or "\n" in description} == set()


def test_a_kind_is_described_by_its_section_and_its_choices() -> None:
    (kind,) = [setting for setting in explained(resolve("paper"), resolve("laptop")) if setting.key == "face.kind"]
    assert kind == ("face.kind", "farl", "dlib", True, "face detector and face embedder: dlib or farl")
