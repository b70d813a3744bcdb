"""The work of the pools: one function per stage, which loads its models and makes pieces.

Tokens are generated one keyframe at a time, which costs little compared with drawing. On a CPU pictures are drawn one
by one, on a GPU in batches of constant size. So neither depends on the number of pieces per call or on the number of
actors.

Shapes: T keyframes, H past ones, R references, L tokens, D token width, N sentences of width E, M faces of width G.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models import animator, sentence, upscaler
from models.animator import Clip
from models.autoregressive import screenplay
from models.autoregressive.script_tokens import FrameScript
from models.device import device
from storage import snapshot as snapshots
from storage.decoding.pictures import decode, encode
from storage.movies.about import About, MadeBy, MadeFrom
from storage.movies.assembly import about_path, assemble, poster_path
from storage.movies.clips import write_clip
from storage.remote import fetched
from storage.root import Storage
from tasks import dataset
from tasks.movies.movie import made_with
from tasks.movies.render import Draft, Painter, dreamer, watcher
from tasks.movies.stories import board, inputs, soundtrack
from tasks.movies.stories.gate import Gate, Judgement, Look, again
from tasks.movies.stories.inputs import Faces
from tasks.movies.stories.places import judged_place, movie_place, notes_place, place
from tasks.movies.stories.plan import Drawn, Past, Plan, Scripts, Settings
from tasks.movies.stories.soundtrack import Soundtrack
from tasks.movies.stories.stream import Name, Piece, Work
from tasks.training import tokens as film_tokens

Arrays = Mapping[str, NDArray[Any]]
Files = Mapping[str, str]
"""Hash of a picture -> its path."""
_QUALITY = 95  # of pictures that will be encoded again
_HELD = 512  # keyframes whose tokens an actor caches


def scripts(settings: Settings, files: Files, storage: Storage) -> Work:
    """Sentences and faces as vectors, pictures as tokens."""
    encoder, known = sentence.build(settings.sentence), Faces(settings.face)
    watch = cache(lambda: watcher(settings.frozen, storage, settings.models.autoencoder))

    def encoded(job: Scripts) -> dict[str, NDArray[Any]]:
        faces = {who: known.of(who, {key: files[key] for key in keys}) for who, keys in job.faces.items()}
        told, notes = screenplay.encode(job.screenplay, encoder, faces, settings.face.width)
        arrays: dict[str, NDArray[Any]] = {"notes": np.frombuffer(json.dumps(notes).encode(), np.uint8)}
        if job.past:
            before, arrays["past"] = _past(storage, job.past)
            told = [*before, *told]
        if job.references:
            arrays["references"] = watch()([inputs.read(files[key]) for key in job.references]).numpy()
        return arrays | _packed(told)

    return _each(lambda piece: _write(storage, piece.name, encoded(piece.job)))


def tokens(settings: Settings, storage: Storage) -> Work:
    """Generates tokens with the autoregressive model from a script and its history."""
    import torch

    from models.autoregressive.generate import Request, generate

    generation = settings.render.generation
    model, read = dreamer(generation, storage, settings.models.autoregressive), _Reader(storage)

    def request(one: Drawn) -> Request:
        told = read.scripts(one.scripts)
        history = [read.tokens(key) if place >= 0 else told.past_HLD[place] for key, place in one.history]
        shown = [told.references_RLD[place] for place in one.references]
        return Request(
            [told.script(one.place)],
            one.seed,
            torch.from_numpy(np.stack(shown)) if shown else None,
            history_scripts=[told.script(place) for _, place in one.history],
            history_TLD=torch.from_numpy(np.stack(history)) if history else None,
        )

    def work(piece: Piece) -> None:
        one: Drawn = piece.job
        config = generation.model_copy(update={"temperature": one.temperature, "guidance": one.guidance})
        (made_1LD,) = generate(model, [request(one)], config, graphs=False)
        _write(storage, piece.name, {"tokens": made_1LD[0].numpy()})

    return _each(work)


def keyframes(settings: Settings, storage: Storage) -> Work:
    """Draws pictures from tokens, and again if one is below a threshold."""
    import torch

    on_gpu = device().type == "cuda"
    painter = Painter(settings.render, storage, settings.models.decoder, filled=on_gpu)
    gate, read = Gate(settings.stories.gate, settings.face), _Reader(storage)

    def painted(some: Sequence[Drawn], number: int) -> list[bytes]:
        told = [replace(read.scripts(one.scripts).script(one.place), row_id=f"{one.keyframe} {number}") for one in some]
        drawn_TLD = torch.from_numpy(np.stack([read.tokens(one.tokens) for one in some]))
        return list(painter.paint(Draft("dreamt", told, drawn_TLD)))

    def work(pieces: Sequence[Piece]) -> None:
        for some in [pieces] if on_gpu else [[piece] for piece in pieces]:
            left = {piece.key: piece.job for piece in some}
            images: dict[str, list[bytes]] = {key: [] for key in left}
            looks: dict[str, list[Look]] = {key: [] for key in left}
            for number in range(settings.stories.gate.tries):
                for (key, one), image in zip(left.items(), painted(list(left.values()), number), strict=True):
                    cast_FG = read.scripts(one.scripts).script(one.place).faces
                    images[key].append(image)
                    looks[key].append(gate.look(decode(image), cast_FG, one.people))
                left = {key: one for key, one in left.items() if again(looks[key])}
                if not left:
                    break
            for piece in some:
                judged = Judgement.of(looks[piece.key])
                told = judged.model_dump_json().encode()
                storage.write_bytes(judged_place(piece.key), told)
                storage.write_bytes(place(piece.name), images[piece.key][judged.kept - 1])

    return work


def enlarged(settings: Settings, storage: Storage) -> Work:
    """Keyframes at the movie's size."""
    movie = settings.movie
    enlarger = upscaler.build(movie.upscaler)

    def work(piece: Piece) -> None:
        small = decode(storage.read_bytes(place(("keyframes", piece.job.keyframe))))
        large = enlarger.upscale(small, movie.width, movie.height)
        storage.write_bytes(place(piece.name), encode(large, _QUALITY))

    return _each(work)


def clips(settings: Settings, storage: Storage) -> Work:
    """Animates a keyframe and its neighbours."""
    movie, fps = settings.movie, settings.movie.fps
    camera = animator.build(movie.animator)
    picture = lru_cache(8)(lambda name: decode(storage.read_bytes(place(name))))

    def work(piece: Piece) -> None:
        one: Drawn = piece.job
        stage = one.picture[0]
        shown = picture(one.picture)
        clip = Clip(
            shown,
            one.frames / fps,
            fps,
            seed=one.seed,
            previous=picture((stage, one.before)) if one.before else None,
            next=picture((stage, one.after)) if one.after else None,
            anchor=picture((stage, one.anchor)),
            prompt=one.plot,
        )
        frames = camera.animate(clip)
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
            path = Path(scratch) / "clip.mp4"
            write_clip(path, frames, (shown.shape[1], shown.shape[0]), fps, movie.codec, movie.mark)
            storage.upload(path, place(piece.name))

    return _each(work)


def movies(files: Files, storage: Storage) -> Work:
    """Joins clips to movies, with sound and subtitles."""
    return _each(lambda piece: _assemble(piece.job, files, storage))


def pages(files: Files, storage: Storage) -> Work:
    """The page beside each movie."""
    return _each(lambda piece: board.write(piece.job, files, storage))


def _each(make: Callable[[Piece], None]) -> Work:
    def work(pieces: Sequence[Piece]) -> None:
        for piece in pieces:
            make(piece)

    return work


def _assemble(plan: Plan, files: Files, storage: Storage) -> None:
    rel, story, sound = movie_place(plan), plan.story, plan.settings.sound
    with ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="moviedreamer-")))
        shown = {one.clip: stack.enter_context(storage.local(place(("clips", one.clip)))) for one in plan.keyframes()}
        music = stack.enter_context(fetched(files[plan.pictures[story.music]])) if story.music else None
        with _spoken(plan, storage, scratch / "speech") as speech:
            heard = soundtrack.write(sound, story, plan.lasts(), scratch / "sound.mp4", speech, music)
        path = scratch / Path(rel).name
        clips = [shown[one.clip] for one in plan.keyframes()]
        assemble(path, clips, _about(plan, heard), heard.path, heard.subtitles, heard.chapters)
        notes = [*_notes(plan, storage), *heard.notes]
        storage.write_bytes(notes_place(plan), json.dumps(notes, ensure_ascii=False, indent=1).encode())
        for file in (poster_path(path), about_path(path), path):  # the movie is last: it marks the others complete
            storage.upload(file, f"{Path(rel).parent}/{file.name}")


@contextmanager
def _spoken(plan: Plan, storage: Storage, folder: Path) -> Iterator[Path]:
    """A local folder with the story's cached spoken lines; new ones are stored when the block ends."""
    config = plan.settings.sound
    lines = [line for placed, _ in plan.lasts() for line in soundtrack.lines_of(placed.shot, config)]
    names = {soundtrack.speech_name(config, line) for line in lines}
    folder.mkdir()
    known = {name for name in names if storage.exists(f"pieces/speech/{name}")}
    for name in known:
        storage.download(f"pieces/speech/{name}", folder / name)
    yield folder
    for file in sorted(folder.iterdir()):
        if file.name not in known:
            storage.upload(file, f"pieces/speech/{file.name}")


def _about(plan: Plan, heard: Soundtrack) -> About:
    """The movie's provenance."""
    settings, story = plan.settings, plan.story
    drawn = {"tokens": settings.models.autoregressive, "keyframes": settings.models.decoder}
    made_by = [MadeBy(part, rel, "1", "see its training films") for part, rel in drawn.items()]
    used = made_with(settings.movie).items()
    made_by += [MadeBy(part, one["kind"], one["revision"], one["licence"]) for part, one in used]
    given = [
        MadeFrom(f"picture of {one.name}", plan.pictures[file])
        for one in (*story.cast, *story.places, *story.props)
        for file in one.pictures
    ]
    return About(story.title, story.language, [*made_by, *heard.made_by], [*given, *heard.made_from])


def _notes(plan: Plan, storage: Storage) -> list[str]:
    """Notes on parts of the scripts that were not rendered as written."""
    told: list[str] = json.loads(bytes(_read(storage, ("scripts", plan.key))["notes"]))
    return told


class _Told:
    """The encoded scripts of a story."""

    def __init__(self, arrays: Arrays) -> None:
        self.past_HLD = arrays.get("past", np.zeros((0, 0, 0), np.float32))
        self.references_RLD = arrays.get("references", np.zeros((0, 0, 0), np.float32))
        self._arrays = arrays
        self._ends = {name: np.concatenate([[0], np.cumsum(arrays[f"{name}_T"])]) for name in ("sentences", "faces")}

    def script(self, place: int) -> FrameScript:
        """The script of a keyframe by index; below 0 of the continued film."""
        at = place + len(self.past_HLD)
        some = {name: slice(int(ends[at]), int(ends[at + 1])) for name, ends in self._ends.items()}
        arrays = self._arrays
        return FrameScript(
            f"keyframe {place}",
            arrays["sentences_NE"][some["sentences"]],
            arrays["kinds_N"][some["sentences"]],
            arrays["faces_MG"][some["faces"]],
        )


class _Reader:
    """Reads scripts and tokens from a storage, with a cache."""

    def __init__(self, storage: Storage) -> None:
        self.scripts = lru_cache(4)(lambda key: _Told(_read(storage, ("scripts", key))))
        self.tokens = lru_cache(_HELD)(lambda key: _read(storage, ("tokens", key))["tokens"])


def _packed(told: Sequence[FrameScript]) -> dict[str, NDArray[Any]]:
    return {
        "sentences_NE": np.concatenate([script.sentences for script in told]),
        "kinds_N": np.concatenate([script.kinds for script in told]),
        "faces_MG": np.concatenate([script.faces for script in told]),
        "sentences_T": np.array([len(script.sentences) for script in told]),
        "faces_T": np.array([len(script.faces) for script in told]),
    }


def _write(storage: Storage, name: Name, arrays: Mapping[str, NDArray[Any]]) -> None:
    from safetensors.numpy import save

    contiguous = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    storage.write_bytes(place(name), save(contiguous))


def _read(storage: Storage, name: Name) -> Arrays:
    from safetensors.numpy import load

    arrays: Arrays = load(storage.read_bytes(place(name)))
    return arrays


def _past(storage: Storage, past: Past) -> tuple[list[FrameScript], NDArray[np.float32]]:
    """Scripts and tokens_HLD of the film that a story continues."""
    snapshot = snapshots.load(storage, past.snapshot)
    (film,) = (film for film in snapshot.films if film.film_id == past.film_id)
    parts = [dataset.of_film(dataset.feature_rows(storage, snapshot), film, part) for part in ("train", "test")]
    told = {script.row_id: script for part in parts for script in part.scripts}
    read = film_tokens.read(storage, {"tokens": {past.film_id: past.tokens}}, past.row_ids)[0]
    return [told[row_id] for row_id in past.row_ids], read.numpy()
