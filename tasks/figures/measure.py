"""The figures of a run, computed from what it rendered: metrics.json, each with its number of samples and its meaning.

All are taken of the decoder's own pictures, before the super-resolution of a movie.

Shapes: T keyframes, P pixels times colours, E numbers of an embedding.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, ClassVar

import numpy as np
from pydantic import BaseModel, Field

from models import face, vision
from models.autoregressive.generate import GenerationConfig
from models.face import FaceConfig
from models.metrics.figure import Figure, Measured, joined, mean, means_by_sample
from models.metrics.networks import KeyframeMetricsConfig
from models.metrics.pictures import cosine
from models.vision import EfficientNetLite0Config, VisionConfig
from storage.decoding.pictures import decode
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from storage.tables.tables import Tables
from tasks import rows
from tasks.cluster import ClusterConfig
from tasks.evaluation import report
from tasks.evaluation.report import Model
from tasks.evaluation.stage import Looks as SystemLooks
from tasks.figures import identity, likelihood, retrieval, systems, truth
from tasks.figures.looks import Eyes, Looks, sample_names
from tasks.figures.retrieval import Floats
from tasks.progress import Progress
from tasks.stage import Work
from tasks.training.views import keyframe_ids

Figures = dict[str, Figure]
_RUN = 16  # keyframes that are looked at one after the other, where not all are
_PARTS = {"train": "training", "held_out": "held-out"}


class EvaluateConfig(BaseModel, frozen=True, extra="forbid"):
    """What is measured with."""

    not_identity: ClassVar[tuple[str, ...]] = ("metrics",)
    """Weights that may be missing have no revision: `run` names those that are there."""

    metrics: KeyframeMetricsConfig = Field(
        KeyframeMetricsConfig(), description="networks of the metrics that compare systems (docs/metrics.md)"
    )
    vision: VisionConfig = Field(EfficientNetLite0Config(), description="image encoder whose vectors are compared")
    width: int = Field(224, ge=16, description="width in pixels of pictures compared pixel by pixel")
    height: int = Field(128, ge=16, description="height in pixels of pictures compared pixel by pixel")
    same_face: float = Field(
        0.6,
        gt=0,
        description="largest Euclidean distance of two faces of one person: 0.55 to 0.6 for dlib, 0.7 for FaRL",
    )
    main_faces: int = Field(
        3, ge=1, description="least faces of a main character in the training half, or in a film without one"
    )
    smallest_face: float = Field(32, ge=0, description="least height of a drawn face in pixels")
    most: int = Field(
        5000, ge=1, description="keyframes of each side that are looked at, at most, in evenly spread runs"
    )
    neighbours: int = Field(2, ge=0, description="keyframes beside its own that also count in the retrieval 'within'")
    references: int = Field(10, ge=1, description="reference frames of the few-shot likelihood")
    shuffles: int = Field(
        4, ge=1, description="times that scripts are exchanged, for the likelihood under wrong scripts"
    )
    seed: int = Field(0, ge=0, description="seed of all random draws")


@dataclass(frozen=True)
class Rendered:
    """Keyframes that were drawn of a snapshot, and by what.

    Attributes:
        work: as tasks.movies.render returns it.
        autoregressive: the model's folder in the storage.
        generation: how its tokens were generated.
        embedder: of the snapshot's faces, whose vectors those of rendered faces are compared with.
    """

    storage: Storage
    snapshot: Snapshot
    work: Work
    autoregressive: str
    generation: GenerationConfig
    embedder: FaceConfig


def run(config: EvaluateConfig, rendered: Rendered, cluster: ClusterConfig, progress: Progress) -> str:
    """Computes all figures, unless that was done.

    Returns:
        where they are in the storage: evaluations/<fingerprint>/metrics.json. Beside it is report.json, which also has
        the values that they are means of, so that two runs can be compared.
    """
    storage = rendered.storage
    looks = SystemLooks(config.metrics, storage, systems.MODULES)
    networks = {str(module): model.revision for module, model in looks.models.items()}
    networks |= {name: getattr(config.metrics, name) for name in ("splits", "resamples")}
    shown = rendered.embedder, rendered.snapshot.id, rendered.work, rendered.autoregressive, rendered.generation
    key = fingerprint("evaluate", config, networks, *shown)
    rel = f"evaluations/{key}/metrics.json"
    if not storage.exists(rel):
        began = datetime.now(UTC)
        found = _measured(config, rendered, cluster, progress)
        figures = {name: _short(figure) for name, figure in found.figures.items()}
        models = {str(module): model for module, model in looks.models.items()}
        models["autoregressive"] = Model(id=rendered.autoregressive, revision="", licence="")
        n, seeds = figures["keyframes"].n, [config.seed]
        made = report.made(f"evaluation {key}", began, n, figures, found.samples, models, seeds)
        storage.write_bytes(f"evaluations/{key}/report.json", made.text().encode())
        plain = {name: figure.model_dump(mode="json") for name, figure in figures.items()}
        storage.write_bytes(rel, (json.dumps(plain, indent=1) + "\n").encode())
    return rel


def read(storage: Storage, rel: str) -> Figures:
    """The figures that `run` kept."""
    return {name: Figure(**figure) for name, figure in json.loads(storage.read_bytes(rel)).items()}


def _short(figure: Figure) -> Figure:
    """The same to six significant digits."""
    shorter = {
        "value": None if figure.value is None else float(f"{figure.value:.6g}"),
        "interval": None if figure.interval is None else tuple(float(f"{end:.6g}") for end in figure.interval),
    }
    return figure.model_copy(update=shorter)


def _measured(config: EvaluateConfig, rendered: Rendered, cluster: ClusterConfig, progress: Progress) -> Measured:
    storage, snapshot, work = rendered.storage, rendered.snapshot, rendered.work
    _, one = next(_images(storage, "original", snapshot.work["keyframes"]))
    height, width = decode(one).shape[:2]
    eyes = Eyes(
        config.width, config.height, (width, height), vision.build(config.vision), face.build(rendered.embedder)
    )
    drawn = Tables(storage).read("renders", work["renders"], ["row_id", "variant"]).to_pylist()
    rebuilt = {str(row["row_id"]) for row in drawn if row["variant"] == "rebuilt"}
    versions = ["original", *sorted({str(row["variant"]) for row in drawn})]
    learnt, test = (keyframe_ids(storage, snapshot, part) for part in ("train", "test"))
    train = _some([row_id for row_id in learnt if row_id in rebuilt], config.most)
    shown = _some(test, config.most)
    counted = {*train, *shown}
    looks: dict[str, Looks] = {}
    for done, version in enumerate(versions):
        progress("evaluate", done, len(versions) + 1)
        images = _images(storage, version, snapshot.work["keyframes"] if version == "original" else work["renders"])
        mine = (pair for pair in images if pair[0] in counted)
        looks[version] = eyes.look(mine, with_faces=() if version == "original" else set(shown))
    progress("evaluate", len(versions), len(versions) + 1)
    looks["original"] = replace(looks["original"], faces=_known_faces(storage, snapshot, looks["original"].row_ids))
    made = {**snapshot.work, **work}
    found = [
        likelihood.measured(
            storage,
            snapshot,
            work,
            rendered.autoregressive,
            rendered.generation,
            config.references,
            config.shuffles,
            config.seed,
        ),
        identity.measured(storage, snapshot, looks, config.same_face, config.main_faces),
        dreamt_figures(looks, shown),
        Measured(truth.figures(storage, snapshot, config.smallest_face), {}),
        systems.measured(config.metrics, storage, made, versions, shown, cluster, progress),
        Measured(_counts(storage, snapshot, learnt, test), {}),
    ]
    if "rebuilt" in looks:
        parts = {"train": train, "held_out": shown}
        found.insert(0, rebuilt_figures(config, looks["original"], looks["rebuilt"], parts, _side(snapshot)))
    progress("evaluate", len(versions) + 1, len(versions) + 1)
    return joined(found)


def _some(row_ids: Sequence[str], most: int) -> list[str]:
    from models.training.sheet import windows

    return [row_ids[place] for place in windows(len(row_ids), most, _RUN).tolist()]


def _images(storage: Storage, version: str, work: Mapping[str, str]) -> Iterator[tuple[str, bytes]]:
    """The encoded pictures of one version by row id, in order, a film's batch of rows at a time."""
    table, columns = ("keyframes", []) if version == "original" else ("renders", ["variant"])
    kept = FilmRows(storage, table, work)
    for film_id in sorted(work):
        for batch in kept.batches(film_id, ["row_id", "image", *columns]):
            for row in batch.to_pylist():
                if row.get("variant", version) == version:
                    yield row["row_id"], row["image"]


def _known_faces(storage: Storage, snapshot: Snapshot, row_ids: Sequence[str]) -> list[Floats]:
    """The faces that the curation found in the originals of films of which something is held out."""
    work = {film.film_id: snapshot.work["faces"][film.film_id] for film in snapshot.of_part("test")}
    faces = rows.grouped(Tables(storage).read("faces", work, ["row_id", "embedding"]).to_pylist())
    return [
        np.stack([np.frombuffer(row["embedding"], np.float32) for row in faces[row_id]])
        if row_id in faces
        else np.zeros((0, 1), np.float32)
        for row_id in row_ids
    ]


def rebuilt_figures(
    config: EvaluateConfig, original: Looks, rebuilt: Looks, parts: Mapping[str, Sequence[str]], side: str = "half"
) -> Measured:
    """How well two tokens hold a keyframe: is the rebuilt one nearest to its own original, and how near?

    Args:
        side: what a part is of the snapshot, in words: "half" or "films".
    """
    places = {row_id: t for t, row_id in enumerate(original.row_ids)}
    words, samples = dict[str, str](), dict[str, dict[str, Any]]()
    for half, row_ids in parts.items():
        mine, own = rebuilt.at(row_ids), original.at(row_ids)
        own_Q = np.array([places[row_id] for row_id in row_ids], dtype=np.int64)
        ranks_Q, steps_Q = retrieval.retrieved(mine.pixels, original.pixels, own_Q)
        feature_ranks_Q, _ = retrieval.retrieved(mine.embeddings, original.embeddings, own_Q)
        of = f"of the rebuilt keyframes of the {_PARTS[half]} {side}"
        near = config.neighbours
        told = {
            f"rebuilt_top1_{half}": (
                ranks_Q == 0,
                f"share {of} whose own original is the nearest of all originals, by pixels",
            ),
            f"rebuilt_within_{near}_{half}": (
                steps_Q <= near,
                f"share {of} whose nearest original is their own or at most {near} places from it",
            ),
            f"rebuilt_top1_features_{half}": (
                feature_ranks_Q == 0,
                f"share {of} whose own original is the nearest of all, by image-encoder features",
            ),
            f"rebuilt_psnr_{half}": (
                retrieval.psnr(mine.pixels, own.pixels),
                f"PSNR {of} in dB, at {config.width}x{config.height}",
            ),
            f"rebuilt_similarity_{half}": (
                cosine(mine.embeddings, own.embeddings),
                f"cosine of image-encoder features {of} and of their originals",
            ),
        }
        for name, (values_Q, what) in told.items():
            words[name], samples[name] = what, dict(zip(sample_names(row_ids), values_Q, strict=True))
    return means_by_sample(words, samples)


def dreamt_figures(looks: Mapping[str, Looks], test: Sequence[str]) -> Measured:
    """Similarity of dreamt keyframes to their originals, which training never saw."""
    own = looks["original"].at(test)
    shown = {f"{one}_similarity": one for one in looks if one not in ("original", "rebuilt")}
    return means_by_sample(
        {
            name: f"cosine of image-encoder features of {identity.VERSIONS[one]} and of their originals"
            for name, one in shown.items()
        },
        {
            name: dict(zip(sample_names(test), cosine(looks[one].at(test).embeddings, own.embeddings), strict=True))
            for name, one in shown.items()
        },
    )


def _counts(storage: Storage, snapshot: Snapshot, train: Sequence[str], test: Sequence[str]) -> Figures:
    tables = Tables(storage)
    scripts = tables.read("scripts", snapshot.work["scripts"], ["row_id", "written_by"]).to_pylist()
    shown, sides = set(train) | set(test), "sides" if snapshot.by_films else "halves"
    by_llm = [row["written_by"] == "llm" for row in scripts if row["row_id"] in shown]
    return {
        "scripts_by_llm": mean(by_llm, "share of scripts that the language model wrote, the rest by template"),
        "keyframes": Figure(value=len(shown), n=len(shown), what=f"keyframes of all films, both {sides}"),
    }


def _side(snapshot: Snapshot) -> str:
    return "films" if snapshot.by_films else "half"
