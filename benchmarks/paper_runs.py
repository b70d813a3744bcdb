"""What the paper's tables and figures compare, on drawn films: variants, each a list of the project's own settings.

A variant trains a small model of its own, once a seed, and draws films through the whole picture path. Those of a seed
start alike and see the same windows. The autoregressive ones read the tokens of the embedded autoencoder and are drawn
by the embedded decoder; those of Table 3 are autoencoders with a coarse head alone. What is done is kept in the storage
and not done again.

The films are of evaluation seeds, which the embedded weights never saw. Models learn from the first half of each and
are asked for the second one, as in the recipe laptop.

Shapes: T keyframes, L tokens a keyframe, D token width.
"""

import json
import subprocess
import sys
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Literal

import numpy as np
import torch
from oracle import SIZE, Oracle
from pydantic import BaseModel

from drawn.truth import Second
from drawn.worlds import HELD_OUT
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from models import vision
from models.autoregressive.generate import Request, generate
from models.autoregressive.likelihood import held_out_nll
from models.training import Trainable
from models.training.autoregressive import AutoregressiveTraining
from models.training.scripted import InMemoryEpisode
from models.vision.encoder import ImageEncoder
from storage import checkpoints
from storage import snapshot as snapshots
from storage.decoding.pictures import Pixels, decode
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Part
from storage.tables.schemas import film_of
from storage.tables.tables import Tables
from tasks import dataset
from tasks.curation.drawn_films import known_truth
from tasks.movies.render import Draft, Painter, dreamer, watcher
from tasks.progress import silent
from tasks.references import References, references
from tasks.training import latents, tokens, train_autoencoder
from tasks.training.engine.job import Job
from tasks.training.engine.training_loop import train
from tasks.training.frozen import keyframes
from tasks.training.pretrained import Pretrained, pretrained

Samples = dict[str, dict[str, float]]
"""metric -> "story/second" -> value; a story is a film as one seed's models drew it."""

REVISION = 1  # of how pictures are drawn and judged
EVERY = 3  # one of so many held-out keyframes is drawn and judged
SMALL = (
    "autoregressive.init=",
    "autoregressive.model.backbone.kind=llama_tiny",
    "autoregressive.model.backbone.hidden=128",
    "autoregressive.model.backbone.heads=4",
    "autoregressive.model.head.kind=gmm",
    "autoregressive.model.recall=false",
    "autoregressive.model.noise=0.1",
    "autoregressive.steps=200",
    "autoregressive.batch=8",
    "autoregressive.window=6",
    "autoregressive.short_windows=0",
    "autoregressive.references=6",
    "autoregressive.reference_probability=0.3",
    "autoregressive.untold=0",
    "autoregressive.learning_rate=4e-3",
    "render.references=6",
    "render.generation.keep=3",
    "render.generation.window=6",
    "render.generation.temperature=0",
    "render.generation.guidance=1",
)
ANEW = (
    "frozen.init=",
    "autoencoder.model.compressor.token_width=32",
    "autoencoder.model.compressor.levels=[48,96,128]",
    "autoencoder.model.compressor.hidden=192",
    "autoencoder.model.decoder.coarse.hidden=192",
    "autoencoder.model.decoder.coarse.channels=[128,96,64]",
    "autoencoder.model.decoder.unet.channels=[32,32,64]",
    "autoencoder.warmup_steps=150",
    "autoencoder.steps=150",
    "autoencoder.warmup_learning_rate=1.5e-3",
    "autoencoder.average=0.9",
    "render.steps=1",
)
POINTS = ('autoregressive.losses=["l1","l2"]', "autoregressive.model.head.kind=regression")
MIXTURE = ('autoregressive.losses=["nll"]',)
NO_FACES = ("autoregressive.faces=false",)
NO_GUARDS = tuple(
    f"autoregressive.{setting}"
    for setting in ("flip=0", "reverse=0", "random_faces=false", "model.dropout=0", "model.masking=0", "model.noise=0")
)


@dataclass(frozen=True)
class Variant:
    """What is trained, with which settings of the recipe laptop, and what of a film is drawn.

    Args:
        trains: "" where the embedded weights draw.
        draws: dreamt from scripts (few_shot: and from reference frames), or rebuilt from tokens (unscripted: from them
            alone).
    """

    about: str
    trains: Literal["autoregressive", "autoencoder", ""]
    draws: Literal["dreamt", "few_shot", "rebuilt", "unscripted"]
    settings: tuple[str, ...] = ()


VARIANTS = {
    "ours": Variant("mixture, l1 and l2", "autoregressive", "dreamt", SMALL),
    "ours-ref": Variant("mixture, l1 and l2; 6 reference frames", "autoregressive", "few_shot", SMALL),
    "noC": Variant("l1 and l2", "autoregressive", "dreamt", SMALL + POINTS),
    "noC-ref": Variant("l1 and l2; 6 reference frames", "autoregressive", "few_shot", SMALL + POINTS),
    "con": Variant("mixture", "autoregressive", "dreamt", SMALL + MIXTURE),
    "con-ref": Variant("mixture; 6 reference frames", "autoregressive", "few_shot", SMALL + MIXTURE),
    "no-faces": Variant("without face embeddings", "autoregressive", "dreamt", SMALL + NO_FACES),
    "no-guards": Variant("without guards against overfitting", "autoregressive", "dreamt", SMALL + NO_GUARDS),
    "2-tokens": Variant("2 tokens of 32 numbers", "autoencoder", "rebuilt", ANEW),
    "8-tokens": Variant(
        "8 tokens of 32 numbers", "autoencoder", "rebuilt", (*ANEW, "autoencoder.model.compressor.tokens=8")
    ),
    "embedded": Variant("the embedded weights", "", "dreamt"),
    "embedded-ref": Variant("the embedded weights; 10 reference frames", "", "few_shot"),
    "embedded-no-faces": Variant("the embedded weights, asked without face embeddings", "", "dreamt", NO_FACES),
    "identity": Variant("tokens, descriptions and faces", "", "rebuilt"),
    "no-identity": Variant("tokens alone", "", "unscripted"),
}


class Films:
    """Drawn films of a storage's newest snapshot; they are curated where there is none."""

    def __init__(self, storage: Storage, films: int) -> None:
        if not snapshots.ids(storage):
            first = HELD_OUT[0] - films
            changes = (f"ingest.drawn.films={films}", f"ingest.drawn.first={first}", "writer.share=1.0")
            changed = [word for change in (*changes, "snapshot.kind=halves") for word in ("--set", change)]
            command = [sys.executable, "-m", "flows.cli", "run", "build_dataset", "--recipe", "world", *changed]
            subprocess.run([*command, "--storage", storage.uri], check=True, stdout=sys.stderr)
        self.storage = storage
        self.snapshot = snapshots.load(storage, snapshots.newest(storage))
        self._table = dataset.feature_rows(storage, self.snapshot)

    def data(self, part: Part) -> list[dataset.FilmData]:
        return [dataset.of_film(self._table, film, part) for film in self.snapshot.of_part(part)]

    @cached_property
    def pictures(self) -> Mapping[str, Pixels]:
        """row id -> the keyframe, at the oracle's size."""
        found = keyframes(self.storage, self.snapshot, SIZE[::-1])
        return {row_id: picture.permute(1, 2, 0).numpy() for row_id, _, picture in found}

    @cached_property
    def judges(self) -> Mapping[str, "Judge"]:
        """film id -> who judges its pictures."""
        sources = Tables(self.storage).sources(self.snapshot.work["keyframes"])
        eyes = vision.build(resolve("laptop").evaluate.vision)
        return {film_id: Judge(self, film_id, source, eyes) for film_id, source in sources.items()}


class Judge:
    """Compares pictures of a film's keyframes with what these are known to show.

    A sample is a keyframe; of `lt` somebody who should be in it, of `leak` one of several who should be, where as many
    are there. All but `similarity` and `st` ask no learned model.

    place       1: it shows the place of its script
    people      1: it shows as many people as its script has
    lt          1: it shows this person (Appendix B)
    leak        1: somebody else of the script stands in this person's place
    psnr        dB, against the keyframe itself
    similarity  cosine of the image encoder's features and those of the keyframe itself
    st          cosine of these features and those of the last drawn keyframe with the same person (Appendix B)
    """

    def __init__(self, films: Films, film_id: str, source: str, eyes: ImageEncoder) -> None:
        truth = known_truth(films.storage, source)
        if truth is None:
            raise ValueError(f"{source!r} is no drawn film: nobody knows what it shows")
        self.name = f"seed-{truth.seed}"
        self._oracle, self._eyes = Oracle(truth), eyes
        self._timeline = {second.second: second for second in truth.timeline}
        self._own = {int(row[-6:]): picture for row, picture in films.pictures.items() if film_of(row) == film_id}
        self._features_of_own = lru_cache(1)(lambda seconds: self._features([self._own[t] for t in seconds]))

    def __call__(self, seconds: Sequence[int], pictures: Sequence[Pixels], story: str) -> Samples:
        found: Samples = {}
        features, own = self._features(pictures), self._features_of_own(tuple(seconds))
        before = dict[str, int]()
        for place, (second, picture) in enumerate(zip(seconds, pictures, strict=True)):
            told = self._timeline[second]
            values = {"psnr": _psnr(picture, self._own[second]), "similarity": float(features[place] @ own[place])}
            sampled = {metric: {"": value} for metric, value in values.items()}
            sampled["st"] = {
                one.character: float(features[place] @ features[before[one.character]])
                for one in told.appearances
                if one.character in before
            }
            before |= {one.character: place for one in told.appearances}
            if told.kind == "scene":
                sampled |= facts(self._oracle, told, picture)
            for metric, each in sampled.items():
                named = {f"{story}/{second}{who and f'.{who}'}": value for who, value in each.items()}
                found.setdefault(metric, {}).update(named)
        return found

    def _features(self, pictures: Sequence[Pixels]) -> np.ndarray:
        images = [torch.from_numpy(picture.copy()).permute(2, 0, 1)[None].float() / 255 for picture in pictures]
        with torch.inference_mode():
            rows = torch.cat([self._eyes.embed(image) for image in images]).double().numpy()
        unit: np.ndarray = rows / np.linalg.norm(rows, axis=1, keepdims=True)
        return unit


def facts(oracle: Oracle, told: Second, picture: Pixels) -> dict[str, dict[str, float]]:
    """metric -> person ("": of the whole keyframe) -> what the oracle sees of what the script tells."""
    verdict = oracle(picture)
    who = oracle.who(verdict)
    seats = [one.character for one in sorted(told.appearances, key=lambda one: one.box[0] + one.box[2])]
    found = {
        "place": {"": float(verdict.place == told.place)},
        "people": {"": float(verdict.people == len(seats))},
        "lt": {one: float(one in who) for one in seats},
    }
    if len(seats) > 1 and len(who) == len(seats):
        found["leak"] = {one: float(other != one and other in seats) for one, other in zip(seats, who, strict=True)}
    return found


def _psnr(picture: Pixels, other: Pixels) -> float:
    error = np.square(picture.astype(np.float64) - other).mean() / 255**2
    return float(-10 * np.log10(max(error, 1e-10)))


class Runs:
    """Trains variants, draws films with them, and has the pictures judged."""

    def __init__(self, uri: str, films: int) -> None:
        self.storage = Storage(uri)
        self.films = Films(self.storage, films)
        settings = resolve("laptop")
        self._models = pretrained(settings.frozen, settings.autoregressive.init, self.storage)

    def samples(self, name: str, seed: int) -> Samples:
        """What was measured of a variant; it is made where it is missing."""
        rel = f"{self._folder(name, seed)}/samples.json"
        if not self.storage.exists(rel):
            self.storage.write_bytes(rel, json.dumps(self._made(name, seed)).encode())
        found: Samples = json.loads(self.storage.read_bytes(rel))
        return found

    def pictures(self, name: str, seed: int, film_id: str) -> dict[int, Pixels]:
        """second -> what a variant drew of a film."""
        rel = f"{self._folder(name, seed)}/{self.films.judges[film_id].name}"
        files = self.storage.list(rel)
        return {int(file.removesuffix(".webp")): decode(self.storage.read_bytes(f"{rel}/{file}")) for file in files}

    def _folder(self, name: str, seed: int) -> str:
        one = VARIANTS[name]
        given = self.films.snapshot.id, [*self._models], one.draws, one.settings, seed
        return f"paper/{name}-{seed}-{fingerprint('paper', REVISION, EVERY, *given)}"

    def _made(self, name: str, seed: int) -> Samples:
        variant = VARIANTS[name]
        seeds = [f"{part}.seed={seed}" for part in ("autoregressive", "autoencoder", "render")]
        settings = resolve("laptop", [*variant.settings, *seeds, "fit.workers=0"])
        models = self._models
        if variant.draws in ("rebuilt", "unscripted"):
            models = models._replace(autoregressive="")
        if variant.trains == "autoregressive":
            models = models._replace(autoregressive=self._autoregressive(settings))
        if variant.trains == "autoencoder":
            autoencoder = self._autoencoder(settings)
            models = models._replace(autoencoder=autoencoder, decoder=autoencoder)
        artist = Artist(variant, settings, self.storage, models)
        known, asked = self.films.data("train"), self.films.data("test")
        drafts = artist.drafts(known, asked, self.films.pictures)
        found: Samples = {}
        for film, draft in zip(asked, drafts, strict=True):
            judge = self.films.judges[film.film.film_id]
            some = list(range(0, len(film.row_ids), EVERY))
            shown = Draft(draft.variant, [draft.scripts[t] for t in some], draft.tokens[some])
            drawn, seconds = list(artist.painter.paint(shown)), film.seconds[some].tolist()
            for second, page in zip(seconds, drawn, strict=True):
                self.storage.write_bytes(f"{self._folder(name, seed)}/{judge.name}/{second:04d}.webp", page)
            story = f"{judge.name}.{seed}"
            judged = judge(seconds, [decode(page) for page in drawn], story)
            if variant.trains or seed == 0:  # the embedded weights are the same for every seed
                values = zip(film.seconds.tolist(), artist.likelihoods(film.film.film_id), strict=False)
                judged["nll"] = {f"{story}/{second}": value for second, value in values}
            for metric, samples in judged.items():
                found.setdefault(metric, {}).update(samples)
        return found

    def _autoregressive(self, settings: Recipe) -> str:
        """The trained model in the storage."""
        config = settings.train_autoregressive()
        return self._trained(
            "autoregressive", settings, config, lambda: AutoregressiveTraining(config.training, self._episodes)
        )

    def _autoencoder(self, settings: Recipe) -> str:
        """The trained model in the storage."""
        config = settings.train_autoencoder()
        latents.run(config.frozen, self.storage, self.films.snapshot, settings.cluster, silent)
        make = train_autoencoder.Make(config, self.storage, self.films.snapshot, "")
        return self._trained("autoencoder", settings, config, make)

    def _trained(self, model: str, settings: Recipe, config: BaseModel, make: Callable[[], Trainable]) -> str:
        key = fingerprint("paper", self.films.snapshot.id, config, self._models.autoencoder)
        if checkpoints.finished(self.storage, model, key) is None:
            train(Job(self.storage, model, key, make, settings.fit))
        return checkpoints.final_place(model, key)

    @cached_property
    def _episodes(self) -> list[InMemoryEpisode]:
        """The films' first halves, as tokens of the embedded autoencoder."""
        settings = resolve("laptop")
        given = self.storage, self.films.snapshot, self._models.autoencoder
        work = tokens.run(settings.frozen, *given, settings.cluster, silent)
        return [
            InMemoryEpisode(
                data.film.film_id,
                data.scripts,
                *tokens.read(self.storage, work, data.row_ids),
                data.scripts_flipped,
            )
            for data in self.films.data("train")
        ]


class Artist:
    """Makes tokens of films' held-out halves as a variant does; `painter` draws them."""

    def __init__(self, variant: Variant, settings: Recipe, storage: Storage, models: Pretrained) -> None:
        self._draws, self._settings = variant.draws, settings
        self.painter = Painter(settings.render, storage, models.decoder)
        self._watch = watcher(settings.frozen, storage, models.autoencoder)
        generation = settings.render.generation
        self._model = dreamer(generation, storage, models.autoregressive) if models.autoregressive else None
        self._asked: dict[str, tuple[Request, torch.Tensor]] = {}

    def drafts(
        self, known: Sequence[dataset.FilmData], asked: Sequence[dataset.FilmData], pictures: Mapping[str, Pixels]
    ) -> list[Draft]:
        """What is to be drawn of each film; those that are dreamt go through the model side by side."""
        true = [self._watched(film, pictures) for film in asked]
        if self._model is None:
            told = [
                [script.untold() if self._draws == "unscripted" else script for script in film.scripts]
                for film in asked
            ]
            return [Draft("rebuilt", *one) for one in zip(told, true, strict=True)]
        requests = [
            self._request(learnt, film, tokens_TLD, pictures)
            for learnt, film, tokens_TLD in zip(known, asked, true, strict=True)
        ]
        names = [film.film.film_id for film in asked]
        self._asked = dict(zip(names, zip(requests, true, strict=True), strict=True))
        made = generate(self._model, requests, self._settings.render.generation)
        return [Draft("dreamt", one.scripts, made_TLD) for one, made_TLD in zip(requests, made, strict=True)]

    def likelihoods(self, film_id: str) -> list[float]:
        """Of a dreamt film's true tokens, in nats per dimension; none where the model has no likelihood."""
        if self._model is None or self._settings.autoregressive.model.head.kind == "regression":
            return []
        (request, true_TLD), generation = self._asked[film_id], self._settings.render.generation
        shown = request.references_RLD, request.reference_scripts
        nll_T = held_out_nll(
            self._model, request.scripts, true_TLD, *shown, window=generation.window, keep=generation.keep
        )
        return nll_T.tolist()

    def _request(
        self,
        known: dataset.FilmData,
        asked: dataset.FilmData,
        true_TLD: torch.Tensor,
        pictures: Mapping[str, Pixels],
    ) -> Request:
        settings, scripts = self._settings, list(asked.scripts)
        if not settings.autoregressive.faces:
            scripts = [script.without_faces() for script in scripts]
        given = References((), None, [])
        if self._draws == "few_shot":
            learnt_TLD = self._watched(known, pictures)
            (given,) = references(known.scripts, learnt_TLD, scripts, true_TLD, settings.render.references)
        seed = settings.render.seed + zlib.crc32(scripts[0].row_id.encode())
        return Request(scripts, seed, given.tokens_RLD, given.scripts)

    def _watched(self, film: dataset.FilmData, pictures: Mapping[str, Pixels]) -> torch.Tensor:
        return self._watch([pictures[row_id] for row_id in film.row_ids]).clone()
