"""What do the embedded models dream of drawn films that they never saw?

    python benchmarks/dreamt.py [--films 8] [--storage FOLDER]

Curates films of evaluation seeds with scripts in the films' own words, and dreams each from its scripts alone with the
weights that the recipe `laptop` starts from, without any fine-tuning. An oracle recognises places by colours and
shapes, without a learned model (oracle.py). A network that was trained on drawn pictures only counts people
(counting.py); the oracle's own count is printed as well. LT is the one of Appendix B: it takes the film's faces that
are at least 96 of 512 rows high, and tells in what share of them the same person is recognised in the dream. Dreams are
brought to the film's size by Lanczos and not by super-resolution. Each figure is one JSON line with its 95 % interval,
from resampled films; the baseline of a dream is the same film dreamt under scripts that were exchanged among its
keyframes.
"""

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from counting import Counter
from numpy.typing import NDArray
from oracle import Oracle
from rebuilt_films import SHOWN, SIZE, SMALLEST, Pictures, tell

from drawn.truth import Truth
from drawn.worlds import HELD_OUT
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from models.autoregressive.generate import Request, generate
from models.autoregressive.likelihood import held_out_nll, shuffled, unconditional_nll
from models.autoregressive.script_tokens import FrameScript
from models.face import FaceEmbedder, build
from storage import snapshot as snapshots
from storage.decoding.pictures import decode
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks import dataset
from tasks.curation.drawn_films import known_truth
from tasks.dataset import FilmData
from tasks.movies.render import Draft, Painter, dreamer
from tasks.references import references
from tasks.training import tokens
from tasks.training.pretrained import pretrained

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Dreamt:
    """A film's keyframes in one version."""

    pictures: Pictures
    place: Values
    people: Values
    people_by_oracle: Values
    faces: Values


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--films", type=int, default=8)
    parser.add_argument("--storage", default="", help="folder of the curated films, to go on from; a temporary one")
    parser.add_argument("--sheet", type=Path, help="write originals and dreams to this PNG")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        measure(args.films, args.storage or scratch, args.sheet)


def measure(films: int, uri: str, path: Path | None = None) -> None:
    """Prints all figures."""
    curate(films, uri)
    settings, storage = resolve("laptop"), Storage(uri)
    snapshot = snapshots.load(storage, snapshots.newest(storage))
    world = World(settings, storage, snapshot)
    made = [world.film(film) for film in world.films]
    seeds = [one.truth.seed for one in made]
    pairs = {
        "dreamt_place": ("dreamt", "exchanged", "place"),
        "dreamt_people": ("dreamt", "exchanged", "people"),
        "few_shot_place": ("few_shot", "dreamt", "place"),
        "rebuilt_place": ("rebuilt", "dreamt", "place"),
        "rebuilt_people": ("rebuilt", "dreamt", "people"),
        "dreamt_people_by_oracle": ("dreamt", "exchanged", "people_by_oracle"),
        "lt_rebuilt": ("rebuilt", "dreamt", "faces"),
        "lt_faces": ("dreamt", "exchanged", "faces"),
        "lt_no_faces": ("no_faces", "dreamt", "faces"),
        "lt_few_shot": ("few_shot", "dreamt", "faces"),
    }
    for name, (mine, baseline, field) in pairs.items():
        values, compared = ([getattr(one.versions[version], field) for one in made] for version in (mine, baseline))
        tell(name, "share", values, compared, seeds)
    both = [(one.versions["dreamt"].faces, one.versions["no_faces"].faces) for one in made]
    gains = [with_faces - without for with_faces, without in both]
    tell("lt_gain_by_faces", "share", gains, [np.zeros_like(gain) for gain in gains], seeds)
    for name, baseline in (
        ("nll_right", "nll_exchanged"),
        ("nll_exchanged", "nll_right"),
        ("nll_unconditional", "nll_right"),
    ):
        values, compared = ([one.nll[key] for one in made] for key in (name, baseline))
        tell(name, "nats per dimension", values, compared, seeds)
    if path:
        cv2.imwrite(str(path), cv2.cvtColor(_sheet(made), cv2.COLOR_RGB2BGR))


def curate(films: int, uri: str) -> None:
    """Films of the last evaluation seeds; one more stands on the training side, which must not be empty."""
    first = HELD_OUT[0] - films - 1
    given = [f"ingest.drawn.films={films + 1}", f"ingest.drawn.first={first}", f"snapshot.test={films}"]
    changes = [part for each in [*given, "writer.share=1.0"] for part in ("--set", each)]
    command = [sys.executable, "-m", "flows.cli", "run", "build_dataset", "--recipe", "world", "--storage", uri]
    subprocess.run([*command, *changes], check=True, stdout=sys.stderr)


@dataclass(frozen=True)
class Film:
    """What came of a film."""

    truth: Truth
    originals: Pictures
    versions: Mapping[str, Dreamt]
    nll: Mapping[str, Values]


class World:
    """The embedded models, and films to dream."""

    def __init__(self, settings: Recipe, storage: Storage, snapshot: Snapshot) -> None:
        models = pretrained(settings.frozen, settings.autoregressive.init, storage)
        self.settings, self.storage, self.snapshot = settings, storage, snapshot
        self.films = snapshot.of_part("test")
        self.work = tokens.run(
            settings.frozen, storage, snapshot, models.autoencoder, settings.cluster, lambda *_: None
        )
        self.painter = Painter(settings.render, storage, models.decoder)
        self.model = dreamer(settings.render.generation, storage, models.autoregressive)
        self.features = dataset.feature_rows(storage, snapshot)
        self.keyframes = FilmRows(storage, "keyframes", snapshot.work["keyframes"])
        self.embedder = build(settings.face)
        learnt = [dataset.of_film(self.features, film, "train") for film in snapshot.of_part("train")]
        self.learnt_TLD = torch.cat([tokens.read(storage, self.work, film.row_ids)[0] for film in learnt])

    def film(self, film: snapshots.SnapshotFilm) -> Film:
        """Everything of one film."""
        test = dataset.of_film(self.features, film, "test")
        tokens_TLD = tokens.read(self.storage, self.work, test.row_ids)[0]
        kept = {
            str(row["row_id"]): decode(row["image"])
            for some in self.keyframes.batches(film.film_id, ["row_id", "image"])
            for row in some.to_pylist()
        }
        originals = np.stack([cv2.resize(kept[row], SIZE, interpolation=cv2.INTER_AREA) for row in test.row_ids])
        truth = known_truth(self.storage, Tables(self.storage).sources(self.snapshot.work["keyframes"])[film.film_id])
        assert truth
        judge = Judge(truth, test.seconds.tolist(), self.embedder, originals)
        versions = {name: judge(self._paint(draft)) for name, draft in self._drafts(test, tokens_TLD)}
        return Film(truth, originals, versions, self._nll(test.scripts, tokens_TLD))

    def _drafts(self, test: FilmData, tokens_TLD: torch.Tensor) -> Iterator[tuple[str, Draft]]:
        config, scripts, seed = self.settings.render, test.scripts, 7
        yield "rebuilt", Draft("rebuilt", scripts, tokens_TLD)
        exchanged = shuffled(scripts, seed)
        without = [script.without_faces() for script in scripts]
        for name, told in (("dreamt", scripts), ("exchanged", exchanged), ("no_faces", without)):
            (made_TLD,) = generate(self.model, [Request(told, seed)], config.generation)
            yield name, Draft("no_faces" if name == "no_faces" else "dreamt", told, made_TLD)
        given = references((), tokens_TLD[:0], scripts, tokens_TLD, config.references)
        requests = [Request(scripts, seed, one.tokens_RLD, one.scripts) for one in given]
        few_TLD = torch.empty_like(tokens_TLD)
        for one, made_TLD in zip(given, generate(self.model, requests, config.generation), strict=True):
            few_TLD[one.places] = made_TLD[one.places]
        yield "few_shot", Draft("few_shot", scripts, few_TLD)

    def _paint(self, draft: Draft) -> Pictures:
        return np.stack([decode(picture) for picture in self.painter.paint(draft)])

    def _nll(self, scripts: Sequence[FrameScript], tokens_TLD: torch.Tensor) -> dict[str, Values]:
        generation = self.settings.render.generation
        found = {
            name: held_out_nll(self.model, told, tokens_TLD, window=generation.window, keep=generation.keep)
            for name, told in (("nll_right", scripts), ("nll_exchanged", shuffled(scripts, 0)))
        }
        found["nll_unconditional"] = unconditional_nll(self.learnt_TLD, tokens_TLD)[0]
        return {name: values_T.double().numpy() for name, values_T in found.items()}


class Judge:
    """Compares versions of a film with what it is known to show."""

    def __init__(self, truth: Truth, seconds: Sequence[int], embedder: FaceEmbedder, originals: Pictures) -> None:
        timeline = {second.second: second for second in truth.timeline}
        self.shown = [timeline[int(second)] for second in seconds]
        self.oracle, self.embedder, self.counter = Oracle(truth), embedder, Counter.trained()
        self.typical = self._typical(originals)

    def __call__(self, pictures: Pictures) -> Dreamt:
        scenes = [t for t, second in enumerate(self.shown) if second.kind == "scene"]
        verdicts = {t: self.oracle(pictures[t]) for t in scenes}
        place = np.array([verdicts[t].place == self.shown[t].place for t in scenes], float)
        there = np.array([len(self.shown[t].appearances) for t in scenes])
        counted, seen = self.counter.count(pictures[scenes]), np.array([verdicts[t].people for t in scenes])
        people, by_oracle = (counted == there).astype(float), (seen == there).astype(float)
        return Dreamt(pictures, place, people, by_oracle, self._recognised(pictures))

    def _large(self, t: int) -> list[str]:
        """Characters whose face is large in a keyframe."""
        appearances = self.shown[t].appearances
        return [one.character for one in appearances if one.face_pixels * SHOWN[1] / SIZE[1] >= SMALLEST]

    def _faces(self, picture: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
        found = self.embedder.faces([cv2.resize(picture, SHOWN, interpolation=cv2.INTER_LANCZOS4)])[0]
        return [face.embedding for face in found if face.embedding is not None]

    def _typical(self, originals: Pictures) -> dict[str, NDArray[np.float32]]:
        """character -> mean of its faces where it is alone."""
        alone: dict[str, list[NDArray[np.float32]]] = {}
        for t, second in enumerate(self.shown):
            if (
                len(second.appearances) == 1
                and (mine := self._large(t))
                and len(faces := self._faces(originals[t])) == 1
            ):
                alone.setdefault(mine[0], []).append(faces[0])
        return {name: np.mean(faces, axis=0) for name, faces in alone.items()}

    def _recognised(self, pictures: Pictures) -> Values:
        """For each large face whether somebody in the picture is nearer to that person than to all others."""
        names, right = sorted(self.typical), list[bool]()
        typical = np.stack([self.typical[name] for name in names]) if names else np.zeros((0, 1))
        for t in range(len(pictures)):
            wanted = [name for name in self._large(t) if name in self.typical]
            if wanted:
                nearest = [np.linalg.norm(typical - face, axis=1).argmin() for face in self._faces(pictures[t])]
                seen = {names[int(place)] for place in nearest}
                right += [name in seen for name in wanted]
        return np.array(right, float)


def _sheet(made: Sequence[Film], columns: int = 8) -> Pictures:
    """Of each film originals, and below them what was rebuilt, dreamt, and dreamt with reference frames."""
    rows = []
    for one in made:
        some = np.linspace(1, len(one.originals) - 2, columns).astype(int)
        versions = (one.versions[name].pictures for name in ("rebuilt", "dreamt", "few_shot"))
        rows += [np.concatenate(list(pictures[some]), axis=1) for pictures in (one.originals, *versions)]
    return np.concatenate(rows)


if __name__ == "__main__":
    main()
