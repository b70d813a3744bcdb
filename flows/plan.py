"""What a flow would take, told before it is paid for: models, memory, hours, cost, disk, and what is missing.

Nothing is trained and no weights are read: every model is built at its true size and runs one step for shapes alone
(tasks.plan). Hours come from rates that were measured or that the user gives; where there is none, the plan says so.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, TypeVar

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from flows import catalogue
from flows.preflight import ServersError, preflight
from flows.recipe import Recipe
from flows.recipes import resolve
from models.animator import InterpolateConfig
from models.autoencoder.unet import SdxlUNetConfig
from models.backbone import LlamaBackbone, SmolLM2Backbone
from models.detector import GroundingDinoConfig
from models.vision import ClipConfig
from storage.errors import ConfigError
from storage.root import Storage
from tasks.curation.split import HalvesConfig
from tasks.movies.render import BATCH
from tasks.plan import drawing, networks, steps
from tasks.plan.drawing import Call
from tasks.plan.rates import MEASURED, Rate
from tasks.plan.steps import Step
from tasks.training.engine.job import FitConfig

_N = TypeVar("_N", int, float)
_KEYFRAMES, _HELD_OUT = 6_000_000, 1 / 6  # of the paper: five million to learn from, one held out (4.1, 4.2)
_PEOPLE = 2  # of a keyframe, each of whom is captioned
_PICTURE = 60_000  # bytes of a keyframe of 896x512 as WebP: docs/scale.md, 300 GB for five million
_SENTENCES, _FACES = 15, 5  # of a keyframe, at most
_GIB = 2**30
_GPUS = (16, 24, 40, 48, 80, 96, 141, 192)  # GB of memory of those that are sold
_DRIVER = 1.0  # GiB that CUDA and its libraries take, about


@dataclass(frozen=True)
class Work:
    """What a stage does: `count` things, so many at a time, at a rate of each."""

    stage: str
    count: int
    things: str
    at_a_time: int
    unit: str  # GPU or core
    rate: float | None  # things a second and unit; None: nobody measured it
    source: str

    @property
    def hours(self) -> float | None:
        """From its beginning to its end."""
        return None if self.rate is None else self.count / self.rate / self.at_a_time / 3600

    @property
    def gpu_hours(self) -> float | None:
        """What is paid for."""
        return None if self.hours is None else self.hours * self.at_a_time * (self.unit == "GPU")


@dataclass(frozen=True)
class Plan:
    """All that is told; bytes, hours and, where a price was given, its currency.

    Attributes:
        networks: backend -> its parameters, None where they come inside a package.
        trainings: training -> a step of it on each GPU (or in each process, without GPUs).
        drawing: what rendering runs -> a call of it.
        disk: what is kept -> bytes.
    """

    flow: str
    recipe: str
    gpus: int
    price: float | None
    keyframes: int
    networks: Mapping[str, int | None]
    trainings: Mapping[str, Step]
    drawing: Mapping[str, Call]
    works: Sequence[Work]
    disk: Mapping[str, int]
    host: int
    object_store: int
    missing: Sequence[str]

    @property
    def largest(self) -> tuple[str, float] | None:
        """What takes most of a GPU's memory, and how many GiB."""
        held = {name: one.bytes for name, one in self.trainings.items()}
        held |= {name: one.bytes for name, one in self.drawing.items()}
        name = max(held, key=lambda one: held[one], default=None)
        return None if name is None else (name, held[name] / _GIB)

    @property
    def bottleneck(self) -> Work | None:
        """The longest stage of those whose rate is known."""
        known = [work for work in self.works if work.hours]
        return max(known, key=lambda work: work.hours or 0, default=None)

    def dump(self) -> dict[str, Any]:
        """As JSON has it."""
        longest = self.bottleneck
        works = [asdict(work) | {"hours": work.hours, "gpu_hours": work.gpu_hours} for work in self.works]
        sizes = {
            part: {name: asdict(one) | {"bytes": one.bytes} for name, one in found.items()}
            for part, found in (("trainings", self.trainings), ("drawing", self.drawing))
        }
        return asdict(self) | sizes | {"works": works, "bottleneck": longest.stage if longest else None}


def plan(
    flow: str,
    recipe: str,
    storage: str,
    overrides: Sequence[str] = (),
    gpus: str = "",
    price: str = "",
    keyframes: str = "",
    rates: Sequence[str] = (),
) -> Plan:
    """Makes the plan of a flow.

    Args:
        overrides: as `resolve` takes them.
        gpus: on which trainings and stages run; "": as many as the recipe says.
        price: of a GPU for an hour; "": no cost is told.
        keyframes: of all films; "": the drawn films' seconds, or the paper's number.
        rates: "stage=things a second and unit", which count before those that were measured.

    Raises:
        ConfigError: unknown flow, recipe, setting or stage, or a number that can be none.
    """
    catalogue.check("flow", flow, catalogue.FLOWS)
    wanted, asked = _number("--gpus", gpus, int, 1), _number("--keyframes", keyframes, int, 1)
    cost = _number("--price", price, float, 0)
    uses, makes = catalogue.needs(flow), catalogue.FLOWS[flow].makes
    settings = resolve(recipe, overrides, uses)
    if wanted:
        settings = resolve(recipe, [*overrides, *_on(settings, wanted)], uses)
    frames = asked or _keyframes(settings)
    trainings = dict(_trainings(settings, makes))
    draws = dict(_drawing(settings)) if {"movies", "stories", "figures"} & set(makes) else {}
    works = list(_works(settings, makes, frames, trainings, draws))
    states = {name: 4 * one.parameters + 8 * one.trained for name, one in trainings.items()}
    return Plan(
        flow=flow,
        recipe=recipe,
        gpus=_workers(settings, makes),
        price=cost,
        keyframes=frames,
        networks=dict(_networks(settings, uses)),
        trainings=trainings,
        drawing=draws,
        works=_with(works, rates),
        disk=dict(_disk(settings, makes, frames, trainings, states)),
        host=max(states.values(), default=0),
        object_store=settings.cluster.object_store_mb * 10**6,
        missing=list(_missing(settings, Storage(storage), uses, makes)),
    )


def _number(option: str, text: str, kind: Callable[[str], _N], least: float) -> _N | None:
    """What an option says, None where it isn't given."""
    if not text:
        return None
    try:
        value = kind(text)
        if value >= least and math.isfinite(value):
            return value
    except ValueError:
        pass
    raise ConfigError(f"{option} {text!r} is no {'whole ' if kind is int else ''}number from {least} on")


def _on(settings: Recipe, gpus: int) -> list[str]:
    """The settings that use so many GPUs."""
    fits = {"fit": settings.fit, "autoregressive_fit": settings.autoregressive_fit}
    used = {name: fit for name, fit in fits.items() if fit and fit.gpus}
    if not used:
        raise ConfigError(
            f"--gpus {gpus}: the recipe {settings.name!r} trains without GPUs; --set fit.gpus=1 gives each worker one"
        )
    slots = max(gpus * fit.threads for fit in used.values())
    shared = [f"cluster.cpus={max(settings.cluster.cpus, slots)}", f"cluster.workers={gpus}"]
    return [*shared, *(f"{name}.workers={gpus}" for name in used)]


def _workers(settings: Recipe, makes: Sequence[str]) -> int:
    """GPUs at work at a time, at most."""
    fits = [settings.train_decoder().fit, settings.train_autoregressive().fit] if "autoencoder" in makes else []
    of_stages = settings.cluster.workers * math.ceil(settings.cluster.gpus_a_worker)
    return max([of_stages, *(fit.workers * math.ceil(fit.gpus) for fit in fits)])


def _keyframes(settings: Recipe) -> int:
    drawn = settings.ingest.drawn
    if settings.name == "paper" or settings.ingest.films:
        return _KEYFRAMES
    return max(drawn.films, 1) * drawn.seconds


def _networks(settings: Recipe, uses: frozenset[str]) -> Iterator[tuple[str, int | None]]:
    parts = {name: getattr(settings, name) for name in ("detector", "face", "captioner", "writer", "sentence")}
    parts = {name: part for name, part in parts.items() if name in uses}
    if "frozen" in uses:
        parts["frozen.vision"] = settings.frozen.vision
    if "movie" in uses:
        parts["movie.animator"] = settings.movie.animator
    for name, part in parts.items():
        yield f"{name} ({part.kind})", networks.parameters(part)


def _trainings(settings: Recipe, makes: Sequence[str]) -> Iterator[tuple[str, Step]]:
    autoencoder = settings.train_autoencoder()
    if "autoencoder" in makes:
        if settings.first:
            yield "stage 1", steps.stage_one(autoencoder, settings.first)
        yield "stage 2", steps.stage_two(autoencoder)
    if "decoder" in makes:
        yield "stage 3", steps.stage_three(settings.train_decoder(), settings.autoencoder.model)
    if "autoregressive" in makes:
        yield "autoregressive", steps.tokens(settings.train_autoregressive())


def _drawing(settings: Recipe) -> Iterator[tuple[str, Call]]:
    yield "a keyframe's tokens", drawing.turn(settings.autoregressive.model, settings.render)
    yield (
        f"{BATCH} keyframes drawn",
        drawing.keyframes(settings.autoencoder.model, settings.frozen, settings.render),
    )


def _works(
    settings: Recipe, makes: Sequence[str], frames: int, trainings: Mapping[str, Step], draws: Mapping[str, Call]
) -> Iterator[Work]:
    """The stages in their order."""
    cluster = settings.cluster
    unit = "GPU" if cluster.gpus_a_worker else "core"

    def stage(name: str, count: float, things: str, rate: Rate | None, each: float = 1.0) -> Work:
        found = None if rate is None else rate.value / each
        return Work(name, round(count), things, cluster.workers, unit, found, rate.source if rate else "not measured")

    if "snapshot" in makes:
        decode = MEASURED["decode"]
        yield Work("keyframes", frames, "keyframes", cluster.decoders, "core", decode.value, decode.source)
        tiny = isinstance(settings.detector, GroundingDinoConfig) and settings.detector.source.endswith("tiny")
        yield stage(
            "characters", frames, "keyframes", MEASURED["grounding_dino tiny"] if tiny and unit == "GPU" else None
        )
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
    held_out = _held_out(settings, frames)
    variants = settings.render.variants
    dreamt = held_out * len([one for one in variants if one != "rebuilt"])
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
    yield stage("drawing", held_out * len(variants), "keyframes", MEASURED["draw sdxl"] if sdxl else None, each)
    if "movies" in makes:
        rate = MEASURED["interpolate"] if isinstance(settings.movie.animator, InterpolateConfig) else None
        yield stage("clips", held_out, "keyframes", rate)


def _tokens(settings: Recipe, frames: int, stage: Callable[..., Work]) -> Work:
    clip = isinstance(settings.frozen.vision, ClipConfig) and settings.cluster.gpus_a_worker
    return stage("tokens", 2 * frames, "pictures", MEASURED["clip"] if clip else None)


def _training(name: str, count: int, step: Step, fit: FitConfig, settings: Recipe) -> Work:
    unit, at_a_time = ("GPU", math.ceil(fit.gpus)) if fit.gpus else ("core", 1)
    at_a_time *= max(fit.workers, 1)
    kind = {"sdxl": "train sdxl", "llama": "train llama"}
    network = (
        settings.autoregressive.model.backbone if name == "autoregressive" else settings.autoencoder.model.decoder.unet
    )
    rate = MEASURED.get(kind.get(network.kind, "")) if unit == "GPU" and fit.precision == "bf16" else None
    if rate is None:
        return Work(name, count, "steps", at_a_time, unit, None, "not measured")
    shares = math.ceil(fit.batches_a_step / max(fit.workers, 1))
    return Work(name, count, "steps", at_a_time, unit, rate.value / (step.flops * shares) / at_a_time, rate.source)


def _held_out(settings: Recipe, frames: int) -> float:
    split = settings.snapshot
    if isinstance(split, HalvesConfig):
        return frames * (1 - split.train_fraction)
    films = settings.ingest.drawn.films
    if split.test < 1:
        return frames * split.test
    return frames * (min(split.test / films, 1) if films and settings.name != "paper" else _HELD_OUT)


def _with(works: Sequence[Work], rates: Sequence[str]) -> list[Work]:
    """The works at the user's own rates where there are any."""
    given = {}
    for rate in rates:
        stage, equals, value = rate.partition("=")
        catalogue.check("stage", stage, [work.stage for work in works])
        if not equals or not (number := _number(f"--rate {stage}=", value or "nothing", float, 0)):
            raise ConfigError(f"--rate {rate!r} is not of the form stage=number, such as --rate captions=20")
        given[stage] = number
    return [
        Work(**asdict(work) | {"rate": given[work.stage], "source": "given"}) if work.stage in given else work
        for work in works
    ]


def _disk(
    settings: Recipe, makes: Sequence[str], frames: int, trainings: Mapping[str, Step], states: Mapping[str, int]
) -> Iterator[tuple[str, int]]:
    picture = _PICTURE * settings.keyframes.width * settings.keyframes.height // (896 * 512)
    sentence, face = settings.sentence.width, settings.face.width
    if "snapshot" in makes:
        yield "keyframes as WebP", frames * picture
        yield "features, at most", frames * 2 * (2 * _SENTENCES * sentence + _FACES * face)
    if "autoencoder" in makes:
        sizes = settings.autoencoder.model.compressor
        yield "tokens", frames * 2 * 4 * sizes.tokens * sizes.token_width
    for name, state in states.items():
        fit = settings.train_autoregressive().fit if name == "autoregressive" else settings.fit
        yield f"checkpoints of {name}", state * (fit.keep + bool(fit.validate_every)) + 4 * trainings[name].parameters
    if "movies" in makes:
        codec = settings.frozen.codec
        drawn = _PICTURE * codec.width * codec.height // (896 * 512)
        yield "drawn keyframes", round(_held_out(settings, frames)) * len(settings.render.variants) * drawn


def _missing(settings: Recipe, storage: Storage, uses: frozenset[str], makes: Sequence[str]) -> Iterator[str]:
    import torch

    wanted, here = _workers(settings, makes), torch.cuda.device_count()
    if wanted > here:
        yield f"GPUs: {wanted}; this machine has {here or 'none'}"
    try:
        preflight(settings, storage, uses)
    except (ConfigError, ServersError) as error:
        yield from [line for line in str(error).splitlines() if not line.startswith("missing before")]


def show(made: Plan, out: Console) -> None:
    """Prints a plan as tables that are read in a minute."""
    where = f"{made.gpus} GPU{'s' * (made.gpus != 1)}" if made.gpus else "CPUs alone"
    out.print(f"[bold]{made.flow}[/], recipe {escape(made.recipe)}, {where}, {made.keyframes:,} keyframes")
    if made.networks:
        table = _table("models", "parameters")
        for name, count in made.networks.items():
            table.add_row(name, "in a package, or none" if count is None else _millions(count))
        out.print(table)
    if made.trainings:
        names = ("parameters", "trained", "weights", "gradients", "moments", "gathered", "activations", "all")
        table = _table("GiB of each worker in training", *names)
        for name, one in made.trainings.items():
            parts = (one.weights, one.gradients, one.moments, one.gathered, one.activations, one.bytes)
            table.add_row(name, _millions(one.parameters), _millions(one.trained), *map(_gib, parts))
        out.print(table)
    if made.drawing:
        table = _table("GiB of each worker in rendering", "parameters", "weights", "activations", "all")
        for name, call in made.drawing.items():
            table.add_row(name, _millions(call.parameters), *map(_gib, (call.weights, call.activations, call.bytes)))
        out.print(table)
    if made.largest and made.gpus:
        name, size = made.largest
        fitting = next((gb for gb in _GPUS if gb * 1e9 / _GIB >= size + _DRIVER), None)
        cure = f"GPUs of {fitting} GB" if fitting else "more than any GPU has: shard it (fsdp) over more workers"
        out.print(f"largest: {name}, {size:.1f} GiB and about {_DRIVER:.0f} of the driver's: {cure}")
    _show_hours(made, out)
    table = _table("disk, GB", "")
    for name, size in made.disk.items():
        table.add_row(name, f"{size / 1e9:,.1f}")
    table.add_row("all", f"{sum(made.disk.values()) / 1e9:,.1f}")
    out.print(table)
    out.print(
        f"object store of each node: {made.object_store / 1e9:.1f} GB; the first worker's memory while it saves a ",
        end="",
    )
    out.print(f"checkpoint: {made.host / 1e9:.1f} GB")
    out.print("[bold]missing before a start[/]" if made.missing else "nothing is missing before a start")
    for line in made.missing:
        out.print(f"  {line}", markup=False, soft_wrap=True)


def _show_hours(made: Plan, out: Console) -> None:
    names = ["work", "rate", "hours", "GPU-hours", *(["cost"] if made.price is not None else [])]
    table, sources = _table("stages", *names, "source"), dict[str, int]()
    for work in made.works:
        row = [work.stage, f"{work.count:,} {work.things}"]
        if work.hours is None or work.rate is None or work.gpu_hours is None:
            table.add_row(*row, "not measured")
            continue
        number = sources.setdefault(work.source, len(sources) + 1)
        row += [f"{work.rate:.3g} /s x {work.at_a_time} {work.unit}s", f"{work.hours:,.1f}", f"{work.gpu_hours:,.0f}"]
        table.add_row(*row, *([f"{work.gpu_hours * made.price:,.0f}"] if made.price is not None else []), f"[{number}]")
    known = [work for work in made.works if work.hours is not None]
    hours, paid = sum(work.hours or 0 for work in known), sum(work.gpu_hours or 0 for work in known)
    all_ = [f"{hours:,.1f}", f"{paid:,.0f}", *([f"{paid * made.price:,.0f}"] if made.price is not None else [])]
    table.add_row("all that is measured", "", "", *all_)
    out.print(table)
    for source, number in sources.items():
        out.print(f"[{number}] {source}", markup=False, soft_wrap=True)
    unknown = [work.stage for work in made.works if work.hours is None]
    if longest := made.bottleneck:
        beside = f"; not measured, so perhaps longer: {', '.join(unknown)}" if unknown else ""
        out.print(f"bottleneck: {longest.stage}{beside}", soft_wrap=True)
    elif unknown:
        out.print("no rate of these stages was measured; --rate STAGE=NUMBER gives your own")


def _table(title: str, *columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column(title)
    for column in columns:
        table.add_column(column, justify="right")
    return table


def _millions(count: int) -> str:
    return f"{count / 1e6:,.1f} M"


def _gib(size: int) -> str:
    return f"{size / _GIB:.2f}"
