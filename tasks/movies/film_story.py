"""Turns a curated film into a story: people, places and plots from its keyframes' scripts, shot by shot.

People are the film's characters as their faces tell them, each with a picture of the clearest one; where a script
describes somebody without a known face, the shot's plots alone speak of them. A shot has the scene elements of its
first keyframe: the first is its place, the others are props.
"""

import io
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from PIL import Image

from storage.decoding.pictures import decode
from storage.errors import ConfigError
from storage.printable import cut, printable
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.stories.names import Names
from storage.stories.story import Named, Scene, Shot, Story
from storage.stories.text import normal, require_readable
from storage.tables.evolve import check_columns
from storage.tables.tables import Tables
from tasks import dataset
from tasks.rows import Row

PICTURES = "photographs"
"""Folder of the people's pictures beside the story."""

_AROUND = 1.0  # of a face on each side of it, in its own widths and heights
_SMALLEST = 128  # pixels of the shorter side of a picture, to which smaller ones are enlarged
_CALLED = re.compile(r"([A-Z][\w'’-]+)(?:,|:| is | has | wears )")


@dataclass(frozen=True)
class FilmStory:
    """A story and the pictures that it names: WebP by their names."""

    story: Story
    pictures: dict[str, bytes]


def film_story(storage: Storage, snapshot: Snapshot, film: str) -> FilmStory:
    """The story of a film.

    Args:
        film: its id, its title or the name of its file.

    Raises:
        ConfigError: when no film of the snapshot has this name, or several have.
        StorageError: when the table `features` is not that of this version.
    """
    found = dataset.film_called(storage, snapshot, film)
    rows = _rows(storage, snapshot, found.film_id)
    people, described = _people(rows)
    pictures = _pictures(storage, snapshot, found.film_id, people)
    cast = tuple(
        Named(name=name, description=described[number], pictures=(file,) if (file := _file(number)) in pictures else ())
        for number, name in people.items()
    )
    scenes = []
    shots = [list(of_shot) for _, of_shot in groupby(rows, key=lambda row: row["shot"])]
    elements = [_elements(shot) for shot in shots]
    places = _names(text for texts in elements for text in texts[:1])
    props = _names(text for texts in elements for text in texts[1:])
    for _, of_scene in groupby(shots, key=lambda shot: _elements(shot)[:1]):
        made = []
        for shot in of_scene:
            first, *others = _elements(shot) or [""]
            seen = Counter(number for row in shot for number in row["face_characters"] if number in people)
            plots = (normal(" ".join(row["plots"] or row["scene_elements"][:1])) for row in shot)
            made.append(
                Shot(
                    characters=tuple(people[number] for number, _ in seen.most_common()),
                    props=tuple(dict.fromkeys(props[text] for text in others)),
                    plots=tuple(filter(None, plots)),
                )
            )
        scenes.append(Scene(place=places.get(first, ""), shots=tuple(made)))
    title = cut(normal(printable(found.title)), 200) or found.film_id
    story = Story(title=title, cast=cast, places=_named(places), props=_named(props), scenes=tuple(scenes))
    return FilmStory(story, pictures)


def _rows(storage: Storage, snapshot: Snapshot, film_id: str) -> list[Row]:
    """Of the keyframes in order: shot, faces' characters and script."""
    check_columns(storage, "features")
    tables = Tables(storage)

    def of(table: str, columns: Sequence[str]) -> list[Row]:
        work = {film_id: snapshot.work[table][film_id]}
        rows: list[Row] = tables.read(table, work, ["row_id", *columns]).to_pylist()
        return rows

    scripts = {row["row_id"]: row for row in of("scripts", ["characters", "scene_elements", "plots"])}
    features = sorted(of("features", ["second", "shot", "face_characters"]), key=lambda row: int(row["second"]))
    rows = [{**row, **scripts[row["row_id"]]} for row in features if row["row_id"] in scripts]
    if not rows:
        raise ConfigError(f"film {film_id!r} has no scripts in the snapshot {snapshot.id}")
    for row in rows:
        for text in (*row["characters"], *row["scene_elements"], *row["plots"]):
            require_readable(text, row["row_id"], 1)
    return rows


def _people(rows: Sequence[Row]) -> tuple[dict[int, str], dict[int, str]]:
    """(names, descriptions) of the film's characters by their numbers, the most seen first."""
    said: dict[int, Counter[str]] = defaultdict(Counter)
    for row in rows:
        for number, text in zip(row["face_characters"], row["characters"], strict=False):
            if number >= 0:
                said[number][normal(text)] += 1
    order = sorted(said, key=lambda number: (-said[number].total(), number))
    names: dict[int, str] = {}
    for number in order:
        called = Counter(
            found[1] for text in said[number].elements() if (found := _CALLED.match(text)) and found[1] not in _NOBODY
        )
        name = next((name for name, _ in called.most_common() if name not in names.values()), "")
        names[number] = name or f"Person {number + 1}"
    return names, {number: said[number].most_common(1)[0][0] for number in order}


_NOBODY = ("A", "An", "The", "Person", "Somebody", "He", "She", "They", "One", "Two", "Three")


def _file(number: int) -> str:
    return f"{PICTURES}/person-{number + 1}.webp"


def _pictures(storage: Storage, snapshot: Snapshot, film_id: str, people: dict[int, str]) -> dict[str, bytes]:
    """The clearest face of each, with what is around it."""
    work = {film_id: snapshot.work["faces"][film_id]}
    columns = ["row_id", "character", "rejected", "score", "x0", "y0", "x1", "y1"]
    best: dict[int, Row] = {}
    for row in Tables(storage).read("faces", work, columns).to_pylist():
        number = row["character"]
        if number in people and not row["rejected"] and _clear(row) > _clear(best.get(number)):
            best[number] = row
    images = dataset.images(storage, snapshot, sorted({row["row_id"] for row in best.values()})) if best else {}
    return {_file(number): _cropped(images[row["row_id"]], row) for number, row in best.items()}


def _clear(row: Row | None) -> float:
    return float(row["score"] * (row["x1"] - row["x0"]) * (row["y1"] - row["y0"])) if row else -1.0


def _cropped(image: bytes, box: Row) -> bytes:
    pixels = decode(image)
    high, wide = pixels.shape[:2]
    dx, dy = _AROUND * (box["x1"] - box["x0"]), _AROUND * (box["y1"] - box["y0"])
    left, right = int(max(0, box["x0"] - dx) * wide), int(min(1, box["x1"] + dx) * wide)
    top, bottom = int(max(0, box["y0"] - dy) * high), int(min(1, box["y1"] + dy) * high)
    part = Image.fromarray(pixels[top : max(bottom, top + 1), left : max(right, left + 1)])
    scale = max(1, -(-_SMALLEST // min(part.size)))
    file = io.BytesIO()
    part.resize((part.width * scale, part.height * scale), Image.Resampling.LANCZOS).save(file, "WEBP", quality=95)
    return file.getvalue()


def _elements(shot: Sequence[Row]) -> list[str]:
    return [text for one in shot[0]["scene_elements"] if (text := normal(one))]


def _names(descriptions: Iterable[str]) -> dict[str, str]:
    """A name for each description, made of its beginning."""
    keys = {(text, ""): 0 for text in descriptions}
    names = Names(keys)
    return {key[0]: names.of(key) for key in keys}


def _named(names: Mapping[str, str]) -> tuple[Named, ...]:
    return tuple(Named(name=name, description=description) for description, name in names.items())
