"""Estimates what a flow takes before it is paid for: models, memory, hours, cost, disk, and what is missing.

Nothing is trained and no weights are read: every model is built at its true size and runs one step for shapes alone
(tasks.plan). Hours come from rates that were measured or that the user gives; where there is none, the plan says so.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from flows import catalogue
from flows.plan.hours import KEYFRAMES, Work, held_out, number, with_rates, works
from flows.settings.preflight import ServersError, preflight
from flows.settings.recipe import Recipe
from flows.settings.recipes import resolve
from storage.errors import ConfigError
from storage.root import Storage
from tasks.movies.render import BATCH
from tasks.plan import drawing, networks, steps
from tasks.plan.drawing import Call
from tasks.plan.steps import Step

_PICTURE = 60_000  # bytes of a keyframe of 896x512 as WebP: docs/scale.md, 300 GB for five million
_SENTENCES, _FACES = 15, 5  # of a keyframe, at most


@dataclass(frozen=True)
class Plan:
    """Everything that the plan reports: bytes, hours and, if a price was given, cost in its currency.

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
    def largest(self) -> tuple[str, int] | None:
        """What takes most of a GPU's memory, and how many bytes."""
        held = {name: one.bytes for name, one in self.trainings.items()}
        held |= {name: one.bytes for name, one in self.drawing.items()}
        name = max(held, key=lambda one: held[one], default=None)
        return None if name is None else (name, held[name])

    @property
    def bottleneck(self) -> Work | None:
        """The longest stage of those whose rate is known."""
        known = [work for work in self.works if work.hours]
        return max(known, key=lambda work: work.hours or 0, default=None)

    def dump(self) -> dict[str, Any]:
        """As JSON has it."""
        longest = self.bottleneck
        stages = [asdict(work) | {"hours": work.hours, "gpu_hours": work.gpu_hours} for work in self.works]
        sizes = {
            part: {name: asdict(one) | {"bytes": one.bytes} for name, one in found.items()}
            for part, found in (("trainings", self.trainings), ("drawing", self.drawing))
        }
        return asdict(self) | sizes | {"works": stages, "bottleneck": longest.stage if longest else None}


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
        price: of one GPU for one hour; "": no cost is reported.
        keyframes: of all films; "": the drawn films' seconds, or the paper's number.
        rates: "stage=things a second and unit", which count before those that were measured.

    Raises:
        ConfigError: unknown flow, recipe, setting or stage, or a number that can be none.
    """
    catalogue.check("flow", flow, catalogue.FLOWS)
    wanted, asked = number("--gpus", gpus, int, 1), number("--keyframes", keyframes, int, 1)
    cost = number("--price", price, float, 0)
    uses, makes = catalogue.needs(flow), catalogue.FLOWS[flow].makes
    settings = resolve(recipe, overrides, uses)
    if wanted:
        settings = resolve(recipe, [*overrides, *_on(settings, wanted)], uses)
    frames = asked or _keyframes(settings)
    trainings = dict(_trainings(settings, makes))
    draws = dict(_drawing(settings)) if {"movies", "stories", "figures"} & set(makes) else {}
    done = list(works(settings, makes, frames, trainings, draws))
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
        works=with_rates(done, rates),
        disk=dict(_disk(settings, makes, frames, trainings, states)),
        host=max(states.values(), default=0),
        object_store=settings.cluster.object_store_mb * 10**6,
        missing=list(_missing(settings, Storage(storage).reached(), uses, makes)),
    )


def _on(settings: Recipe, gpus: int) -> list[str]:
    """The settings for this number of GPUs."""
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
        return KEYFRAMES
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
        yield "drawn keyframes", round(held_out(settings, frames)) * len(settings.render.variants) * drawn


def _missing(settings: Recipe, storage: Storage, uses: frozenset[str], makes: Sequence[str]) -> Iterator[str]:
    import torch

    wanted, here = _workers(settings, makes), torch.cuda.device_count()
    if wanted > here:
        yield f"GPUs: {wanted}; this machine has {here or 'none'}"
    try:
        preflight(settings, storage, uses)
    except (ConfigError, ServersError) as error:
        yield from [line for line in str(error).splitlines() if not line.startswith("missing before")]
