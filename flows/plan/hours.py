"""The stages of a flow, their work, and how long it takes at measured or given rates."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TypeVar

from flows import catalogue
from flows.settings.recipe import Recipe
from models.animator import InterpolateConfig
from models.autoencoder.unet import SdxlUNetConfig
from models.backbone import LlamaBackbone, SmolLM2Backbone
from models.detector import GroundingDinoConfig
from models.vision import ClipConfig
from storage.errors import ConfigError
from tasks.curation.split import HalvesConfig
from tasks.movies.render import BATCH
from tasks.plan.drawing import Call
from tasks.plan.rates import MEASURED, Rate
from tasks.plan.steps import Step
from tasks.training.engine.job import FitConfig

_N = TypeVar("_N", int, float)
KEYFRAMES = 6_000_000  # of the paper: five million to learn from, one million held out (sections 4.1, 4.2)
_HELD_OUT = 1 / 6
_PEOPLE = 2  # of a keyframe, each of whom is captioned


@dataclass(frozen=True)
class Work:
    """What a stage does: `count` things at a rate, on some GPUs or cores.

    Attributes:
        rate: things a second: of all units where they work on each thing together (the steps of a training), else of
            each; None: nobody measured it.
    """

    stage: str
    count: int
    things: str
    units: int
    unit: str  # GPU or core
    together: bool
    rate: float | None
    source: str

    @property
    def hours(self) -> float | None:
        """From its beginning to its end."""
        return None if self.rate is None else self.count / self.rate / (1 if self.together else self.units) / 3600

    @property
    def gpu_hours(self) -> float | None:
        """GPU-hours that are paid for."""
        return None if self.hours is None else self.hours * self.units * (self.unit == "GPU")


def works(
    settings: Recipe, makes: Sequence[str], frames: int, trainings: Mapping[str, Step], draws: Mapping[str, Call]
) -> Iterator[Work]:
    """The stages in their order."""
    cluster = settings.cluster
    unit = "GPU" if cluster.gpus_a_worker else "core"

    def stage(name: str, count: float, things: str, rate: Rate | None, each: float = 1.0) -> Work:
        found = None if rate is None else rate.value / each
        source = rate.source if rate else "not measured"
        return Work(name, round(count), things, cluster.workers, unit, False, found, source)

    if "snapshot" in makes:
        decode = MEASURED["decode"]
        yield Work("keyframes", frames, "keyframes", cluster.decoders, "core", False, decode.value, decode.source)
        tiny = isinstance(settings.detector, GroundingDinoConfig) and settings.detector.source.endswith("tiny")
        rate = MEASURED["grounding_dino tiny"] if tiny and unit == "GPU" else None
        yield stage("characters", frames, "keyframes", rate)
        for name, count, things in (
            ("faces", frames, "keyframes"),
            ("captions", frames * (1 + _PEOPLE), "pictures"),
            ("scripts", frames, "keyframes"),
            ("features", frames, "keyframes"),
        ):
            yield stage(name, count, things, None)
    fits = {"autoregressive": settings.train_autoregressive().fit}
    counts = {
        "stage 1": settings.first.training.steps if settings.first else 0,
        "stage 2": settings.autoencoder.steps,
        "stage 3": settings.decoder.steps,
        "autoregressive": settings.autoregressive.steps,
    }
    for name, step in trainings.items():
        if name == "stage 3" or (name == "autoregressive" and "decoder" not in makes):
            yield _tokens(settings, frames, stage)
        yield _training(name, counts[name], step, fits.get(name, settings.fit), settings)
    if makes and makes[-1] == "autoencoder":
        yield _tokens(settings, frames, stage)
    if "movies" not in makes and "figures" not in makes:
        return
    asked, variants = held_out(settings, frames), settings.render.variants
    dreamt = asked * len([one for one in variants if one != "rebuilt"])
    drawn = [*draws.values()][-1]
    backbone = settings.autoregressive.model.backbone
    rate = None
    if isinstance(backbone, LlamaBackbone) and unit == "GPU":
        rate = MEASURED["generate llama"]
    if isinstance(backbone, SmolLM2Backbone) and unit == "core":
        rate = MEASURED["generate smollm2"]
    yield stage("dreamt tokens", dreamt, "keyframes", rate)
    sdxl = isinstance(settings.autoencoder.model.decoder.unet, SdxlUNetConfig) and unit == "GPU"
    passes = settings.render.steps * (1 if settings.render.guidance == 1 else 2)
    each = passes * drawn.flops / BATCH
    yield stage("drawing", asked * len(variants), "keyframes", MEASURED["draw sdxl"] if sdxl else None, each)
    if "movies" in makes:
        rate = MEASURED["interpolate"] if isinstance(settings.movie.animator, InterpolateConfig) else None
        yield stage("clips", asked, "keyframes", rate)


def _tokens(settings: Recipe, frames: int, stage: Callable[..., Work]) -> Work:
    clip = isinstance(settings.frozen.vision, ClipConfig) and settings.cluster.gpus_a_worker
    return stage("tokens", 2 * frames, "pictures", MEASURED["clip"] if clip else None)


def _training(name: str, count: int, step: Step, fit: FitConfig, settings: Recipe) -> Work:
    """The work of a training: `count` steps; their batches are split among the workers."""
    workers = max(fit.workers, 1)
    unit, units = ("GPU", workers * math.ceil(fit.gpus)) if fit.gpus else ("core", workers)
    unet, backbone = settings.autoencoder.model.decoder.unet.kind, settings.autoregressive.model.backbone.kind
    known = MEASURED.get(f"train {backbone if name == 'autoregressive' else unet}")
    if known is None or unit != "GPU" or fit.precision != "bf16":
        return Work(name, count, "steps", units, unit, True, None, "not measured")
    shares = math.ceil(fit.batches_a_step / workers)
    return Work(name, count, "steps", units, unit, True, known.value / (step.flops * shares), known.source)


def held_out(settings: Recipe, frames: int) -> float:
    """How many of the keyframes are held out."""
    split = settings.snapshot
    if isinstance(split, HalvesConfig):
        return frames * (1 - split.train_fraction)
    films = settings.ingest.drawn.films
    if split.test < 1:
        return frames * split.test
    return frames * (min(split.test / films, 1) if films and settings.name != "paper" else _HELD_OUT)


def with_rates(works: Sequence[Work], rates: Sequence[str]) -> list[Work]:
    """The work with the user's own rates, where given."""
    given = {}
    for rate in rates:
        stage, equals, value = rate.partition("=")
        catalogue.check("stage", stage, [work.stage for work in works])
        given[stage] = number(f"--rate {stage}:", value, float, 0) or 0
        if not equals or not given[stage]:
            raise ConfigError(f"--rate {rate!r} is not of the form stage=number, such as --rate captions=20")
    return [
        Work(**asdict(work) | {"rate": given[work.stage], "source": "given"}) if work.stage in given else work
        for work in works
    ]


def number(option: str, text: str, kind: Callable[[str], _N], least: float) -> _N | None:
    """The value of an option, None if it isn't given.

    Raises:
        ConfigError: not a number, or one that is too small.
    """
    if not text:
        return None
    try:
        value = kind(text)
        if value >= least and math.isfinite(value):
            return value
    except ValueError:
        pass
    raise ConfigError(f"{option} {text!r} is not a {'whole ' if kind is int else ''}number of at least {least}")
