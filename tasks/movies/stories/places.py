"""Where the pieces of stories are in a storage."""

import json

from storage.movies.names import file_names
from storage.root import Storage
from tasks.movies.stories.gate import Judgement
from tasks.movies.stories.plan import Plan
from tasks.movies.stories.stream import Name

_ENDINGS = {"scripts": "safetensors", "tokens": "safetensors", "keyframes": "webp", "enlarged": "webp", "clips": "mp4"}


def place(name: Name) -> str:
    """Of a piece that is neither a movie nor a page."""
    stage, key = name
    return f"pieces/{stage}/{key}.{_ENDINGS[stage]}"


def there(storage: Storage) -> set[Name]:
    """All such pieces that are made."""
    listed = ((stage, file) for stage in _ENDINGS for file in storage.list(f"pieces/{stage}"))
    names = ((stage, file.partition(".")[0], file) for stage, file in listed)
    return {(stage, key) for stage, key, file in names if place((stage, key)).endswith(f"/{file}")}


def movie_place(plan: Plan) -> str:
    """Of a movie, under a name that its title gives; its poster and its origin are beside it."""
    return f"movies/{plan.movie}/{file_names([plan.story.title])[0]}.mp4"


def page_place(plan: Plan) -> str:
    """Of a movie's page."""
    return f"movies/{plan.movie}/storyboard.html"


def notes_place(plan: Plan) -> str:
    """Of what did not enter the movie as the story says it."""
    return f"movies/{plan.movie}/notes.json"


def notes(storage: Storage, plan: Plan) -> list[str]:
    """What did not enter a movie as the story says it."""
    told: list[str] = json.loads(storage.read_bytes(notes_place(plan)))
    return told


def judged_place(keyframe: str) -> str:
    """Of what was seen of a keyframe's tries; it is there before the keyframe."""
    return f"pieces/keyframes/{keyframe}.json"


def judgement(storage: Storage, keyframe: str) -> Judgement:
    """How a keyframe was judged."""
    return Judgement.model_validate_json(storage.read_bytes(judged_place(keyframe)))
