"""The JSON Schema of story files, for editors: the types of a story, and the shorter forms that are read as well.

`python -m storage.stories.schema > docs/story.schema.json` writes it.
"""

import json
from typing import Any

from storage.stories.story import Story

Schema = dict[str, Any]

_TEXT: Schema = {"type": ["string", "number", "boolean", "null"]}  # as other readers of YAML see a plain 1984 or No


def schema() -> Schema:
    """The schema of a whole story file. References between its parts (names) are only checked when it is read."""
    made = Story.model_json_schema()
    types = made["$defs"]
    _loosen(made)
    named = types["Named"]["properties"]
    named["pictures"] = _one_or_many(named["pictures"])
    named |= dict.fromkeys(("picture", "photographs", "photograph"), named["pictures"])
    types["NamedByKey"] = {
        "anyOf": [_TEXT, {**types["Named"], "required": []}],
        "description": "description, or fields, of what the key names",
    }
    by_name = {"type": "object", "additionalProperties": {"$ref": "#/$defs/NamedByKey"}}
    types["NamedOrShort"] = {"anyOf": [_TEXT, {"$ref": "#/$defs/Named"}, {**by_name, "maxProperties": 1}]}
    several = {"anyOf": [by_name, {"type": "array", "items": {"$ref": "#/$defs/NamedOrShort"}}, _TEXT]}
    for kind in ("cast", "places", "props"):
        made["properties"][kind] = {"description": made["properties"][kind]["description"], **several}
    made["properties"]["continue"] = made["properties"]["continues"]
    shot = types["Shot"]["properties"]
    for field, shorter in {"characters": "character", "props": "prop", "plots": "plot"}.items():
        shot[field] = shot[shorter] = _one_or_many(shot[field])
    spoken = {"type": "object", "additionalProperties": {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}}
    shot["dialogue"] = {"description": "who says what, as Ada: Good evening.", **_several(spoken)}
    shot["narration"] = {"description": "what the narrator says", **_several(_TEXT)}
    shot["lines"] |= _several({"anyOf": [{"$ref": "#/$defs/Line"}, spoken, _TEXT]})
    shot["lines"].pop("items")
    shot["lines"].pop("type")
    types["Scene"]["properties"]["shots"]["items"] = {"anyOf": [{"$ref": "#/$defs/Shot"}, _TEXT]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **made}


def _several(one: Schema) -> Schema:
    return {"anyOf": [one, {"type": "array", "items": one}]}


def _one_or_many(many: Schema) -> Schema:
    """A list of texts that may be one text."""
    return {"description": many["description"], "default": [], **_several(_TEXT)}


def _loosen(part: Any) -> None:
    """Accepts numbers and booleans as texts, and removes pydantic's titles."""
    if isinstance(part, dict):
        if part.get("type") == "string":
            part["type"] = _TEXT["type"]
        if isinstance(part.get("title"), str):
            part.pop("title")
        for value in part.values():
            _loosen(value)
    elif isinstance(part, list):
        for value in part:
            _loosen(value)


def text() -> str:
    """As docs/story.schema.json has it."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    print(text(), end="")
