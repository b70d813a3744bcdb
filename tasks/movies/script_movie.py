"""Makes a movie of a user's own script: read, dreamt, painted, animated; silent, with its plots as subtitles.

movies/<id>/{notes.json, about.json, movie.mp4}: the movie is written last, and a second run finds it. The id is that of
script, faces, reference pictures, models and settings.

Shapes: R reference frames, L tokens, D token width.
"""

import difflib
import json
import re
import tempfile
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models import face, sentence
from models.autoregressive import screenplay
from models.autoregressive.screenplay import Screenplay
from models.autoregressive.script_tokens import FrameScript
from models.face import FaceConfig
from models.sentence import SentenceConfig
from storage.errors import ConfigError
from storage.fingerprint import file_id, fingerprint
from storage.printable import printable
from storage.remote import Source, local_path
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.stories.photographs import photograph
from tasks import dataset
from tasks.consent import Consent
from tasks.movies.movie import MovieConfig, Scene, made_with, write
from tasks.movies.render import Draft, Painter, RenderConfig, dreamer, watcher
from tasks.progress import Progress
from tasks.training.frozen import FrozenConfig

if TYPE_CHECKING:
    from torch import Tensor

STAGE = "script"

_CHARACTER = re.compile(r".+/\d+")
_CURE = "put the pictures beside the script, correct the names, or leave the faces out: words alone describe them then"


class ScriptConfig(BaseModel, frozen=True, extra="forbid"):
    """A movie of the user's own script."""

    path: Source = Field(
        "", description='JSON script (see docs/autoregressive.md); "": none, films of the snapshot are dreamt'
    )
    references: tuple[Source, ...] = Field(
        (), description="reference pictures that generation starts from; none: zero-shot"
    )

    @property
    def file(self) -> Path:
        return local_path(self.path)


@dataclass(frozen=True)
class Settings:
    """Everything that a movie depends on besides its script and its models."""

    sentence: SentenceConfig
    face: FaceConfig
    frozen: FrozenConfig
    render: RenderConfig
    movie: MovieConfig


def read(config: ScriptConfig) -> Screenplay:
    """The script of the config.

    Raises:
        ConfigError: a missing file, a file that is not a script, a reference that is not a picture, or faces that are
            neither pictures nor characters of a film; all of these faces are named.
    """
    for reference in config.references:
        _picture(local_path(reference), "script.references")
    try:
        story = screenplay.read(config.file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(f"script.path={config.path!r} is not UTF-8: save it as UTF-8") from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"script.path={config.path!r}: {error}; docs/autoregressive.md shows a script") from error
    if wrong := [problem for name in _names(story) if (problem := _problem(name, config.file.parent))]:
        raise ConfigError("\n".join([f"script.path={config.path!r}: {len(wrong)} faces can't be used", *wrong, _CURE]))
    return story


def run(
    config: ScriptConfig,
    settings: Settings,
    storage: Storage,
    snapshot: Snapshot,
    autoencoder: str,
    decoder: str,
    autoregressive: str,
    progress: Progress,
) -> str:
    """Makes the movie, unless it exists.

    Args:
        autoencoder, decoder, autoregressive: the models' folders in the storage.

    Returns:
        the movie's folder in the storage.

    Raises:
        ConfigError: as `read`, and for a face that nobody has.
    """
    story = read(config)
    files = _face_files(story, config.file.parent)
    given = [*(file_id(path) for path in files.values()), *(file_id(local_path(path)) for path in config.references)]
    parts = [story, list(files), given, *vars(settings).values(), snapshot.id, autoencoder, decoder, autoregressive]
    folder = f"movies/{fingerprint('script', *parts)}"
    if storage.exists(f"{folder}/movie.mp4"):
        return folder
    faces = _embedded(files, settings.face) | _characters(config, story, files, storage, snapshot)
    scripts, told = screenplay.encode(story, sentence.build(settings.sentence), faces, settings.face.width)
    shown_RLD = _references(config, settings.frozen, storage, autoencoder) if config.references else None
    seed = settings.render.seed + zlib.crc32(story.model_dump_json().encode())  # two movies share no random numbers
    tokens_TLD = _dream(settings.render, storage, autoregressive, scripts, seed, shown_RLD)
    draft, scenes = Draft("few_shot" if config.references else "dreamt", scripts, tokens_TLD), list[Scene]()
    for t, image in enumerate(Painter(settings.render, storage, decoder).paint(draft)):
        scenes.append(Scene(scripts[t].row_id, t, _shots(story)[t], image, " ".join(story.keyframes[t].plots)))
        progress(STAGE, t + 1, len(scripts))
    with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
        path = Path(scratch) / "movie.mp4"
        title = printable(config.file.stem)
        write(settings.movie, path, title, scenes, None, progress)
        about = {"title": title, "keyframes": len(scenes), "seconds": len(scenes) * settings.movie.clip}
        about |= made_with(settings.movie)
        for name, said in (("notes", told), ("about", about)):
            storage.write_bytes(f"{folder}/{name}.json", json.dumps(said, ensure_ascii=False, indent=2).encode())
        storage.upload(path, f"{folder}/movie.mp4")
    return folder


def notes(storage: Storage, folder: str) -> list[str]:
    """What of a movie's script was not rendered as written."""
    told: list[str] = json.loads(storage.read_bytes(f"{folder}/notes.json"))
    return told


def _shots(story: Screenplay) -> list[int]:
    """A shot ends where the scene elements change."""
    places = [keyframe.scene_elements for keyframe in story.keyframes]
    return list(accumulate(int(t > 0 and place != places[t - 1]) for t, place in enumerate(places)))


def _names(story: Screenplay) -> list[str]:
    return sorted({one.face for keyframe in story.keyframes for one in keyframe.characters if one.face})


def _face_files(story: Screenplay, folder: Path) -> dict[str, Path]:
    """The faces of the script that are picture files."""
    return {name: folder / name for name in _names(story) if _is_file(folder / name)}


def _problem(name: str, folder: Path) -> str:
    """What is wrong with a face, as far as it can be checked without the films; "" for nothing."""
    if _is_file(folder / name):
        try:
            _picture(folder / name, f"face {name!r}")
        except ConfigError as error:
            return str(error)
    elif not _CHARACTER.fullmatch(name):
        return _unknown(name, [path.name for path in folder.iterdir() if path.is_file()])
    return ""


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name that is too long for the system
        return False


def _unknown(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f": the nearest is {near[0]!r}" if near else ""
    return f"face {name!r} is neither a picture file beside the script nor a film's character <film_id>/<number>{hint}"


def _embedded(files: dict[str, Path], config: FaceConfig) -> dict[str, NDArray[np.float32]]:
    """The embedding of the largest face in each picture."""
    if not files:
        return {}
    embedder, faces = face.build(config), dict[str, NDArray[np.float32]]()
    consent = Consent(config, embedder)
    for name, path in files.items():
        found = embedder.faces([_picture(path, "face")])[0]
        if not found or found[0].embedding is None:
            raise ConfigError(f"no face is found in {str(path)!r}: give a picture that shows one larger")
        consent.require(found[0].embedding, repr(str(path)))
        faces[name] = found[0].embedding
    return faces


def _characters(
    config: ScriptConfig, story: Screenplay, files: dict[str, Path], storage: Storage, snapshot: Snapshot
) -> dict[str, NDArray[np.float32]]:
    """The embeddings of the films' characters that the script names."""
    names = [name for name in _names(story) if name not in files]
    bank = dataset.characters(storage, snapshot, names) if names else {}
    if wrong := [_unknown(name, bank) for name in names if name not in bank]:
        raise ConfigError("\n".join([f"script.path={config.path!r}: {len(wrong)} faces can't be used", *wrong, _CURE]))
    return {name: bank[name] for name in names}


def _picture(path: Path, what: str) -> NDArray[np.uint8]:
    try:
        return photograph(path)
    except ConfigError as error:
        raise ConfigError(f"{what}: {error}") from error


def _references(config: ScriptConfig, frozen: FrozenConfig, storage: Storage, autoencoder: str) -> "Tensor":
    """Tokens_RLD of the reference pictures."""
    pictures = [_picture(Path(path), "script.references") for path in config.references]
    return watcher(frozen, storage, autoencoder)(pictures)


def _dream(
    config: RenderConfig,
    storage: Storage,
    autoregressive: str,
    scripts: Sequence[FrameScript],
    seed: int,
    references_RLD: "Tensor | None",
) -> "Tensor":
    from models.autoregressive.generate import Request, generate

    model = dreamer(config.generation, storage, autoregressive)
    return generate(model, [Request(scripts, seed, references_RLD)], config.generation)[0]
