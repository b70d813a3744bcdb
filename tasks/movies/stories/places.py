"""Paths of the pieces of stories in a storage."""

import json

from storage.movies.names import file_names
from storage.root import Storage
from tasks.movies.stories.gate import Judgement
from tasks.movies.stories.plan import Plan
from tasks.movies.stories.stream import Name

_ENDINGS = {"scripts": "safetensors", "tokens": "safetensors", "keyframes": "webp", "enlarged": "webp", "clips": "mp4"}


def place(name: Name) -> str:
    """The path of a piece that is neither a movie nor a page."""
    stage, key = name
    return f"pieces/{stage}/{key}.{_ENDINGS[stage]}"


def there(storage: Storage) -> set[Name]:
    """The pieces of this kind that exist."""
    listed = ((stage, file) for stage in _ENDINGS for file in storage.list(f"pieces/{stage}"))
    names = ((stage, file.partition(".")[0], file) for stage, file in listed)
    return {(stage, key) for stage, key, file in names if place((stage, key)).endswith(f"/{file}")}


def movie_place(plan: Plan) -> str:
    """The path of a movie, named after its title; poster and provenance are in the same folder."""
    return f"movies/{plan.movie}/{file_names([plan.story.title])[0]}.mp4"


def page_place(plan: Plan) -> str:
    """The path of a movie's page."""
    return f"movies/{plan.movie}/storyboard.html"


def notes_place(plan: Plan) -> str:
    """The path of the notes on what was not rendered as the story says."""
    return f"movies/{plan.movie}/notes.json"


def notes(storage: Storage, plan: Plan) -> list[str]:
    """Notes on what was not rendered as the story says."""
    told: list[str] = json.loads(storage.read_bytes(notes_place(plan)))
    return told


def judged_place(keyframe: str) -> str:
    """The path of the judgement of a keyframe's tries; it is written before the keyframe."""
    return f"pieces/keyframes/{keyframe}.json"


def judgement(storage: Storage, keyframe: str) -> Judgement:
    """The judgement of a keyframe."""
    return Judgement.model_validate_json(storage.read_bytes(judged_place(keyframe)))
