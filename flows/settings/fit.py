"""Settings that must fit together, because one model reads what another makes."""

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence, Set
from operator import attrgetter
from typing import Any, NamedTuple

from flows.settings.assignments import assign_all, fields
from flows.settings.recipe import Recipe
from models.face import FarlConfig
from models.sentence import LongClipConfig
from storage.errors import ConfigError
from tasks.cluster import cluster_address

DERIVED: Mapping[str, str] = {
    "autoencoder.model.decoder.sentence_width": "sentence.width",
    "autoencoder.model.decoder.face_width": "face.width",
    "autoregressive.model.sentence_width": "sentence.width",
    "autoregressive.model.face_width": "face.width",
    "autoregressive.model.tokens": "autoencoder.model.compressor.tokens",
    "autoregressive.model.width": "autoencoder.model.compressor.token_width",
}
"""Setting that can have only one value -> where that value comes from."""


class _Wish(NamedTuple):
    """A setting, the value that it needs, and what needs it."""

    key: str
    value: Any
    why: str


def derived(settings: Recipe, overrides: Sequence[str] = ()) -> Recipe:
    """The same settings with those of `DERIVED` filled in.

    Args:
        overrides: what was assigned to get `settings`.

    Raises:
        ConfigError: an override gives a derived setting another value.
    """
    settings = _measured(settings, overrides)
    complete = assign_all(settings, [f"{key}={attrgetter(source)(settings)}" for key, source in DERIVED.items()])
    for key in (assignment.partition("=")[0].strip() for assignment in overrides):
        if key in DERIVED and attrgetter(key)(settings) != attrgetter(key)(complete):
            section = DERIVED[key].rpartition(".")[0]
            raise ConfigError(
                f"{key}={attrgetter(key)(settings)}: it is always {DERIVED[key]}, which is {attrgetter(key)(complete)} "
                f"with {section}.kind={attrgetter(section)(settings).kind}; leave it out, or change {section}"
            )
    return complete


def _measured(settings: Recipe, overrides: Sequence[str]) -> Recipe:
    """The same settings with widths read from local checkpoints, unless they are assigned."""
    given = {assignment.partition("=")[0].strip() for assignment in overrides}
    encoders = {"sentence.width": settings.sentence, "face.width": settings.face}
    widths = {
        key: width
        for key, config in encoders.items()
        if key not in given and isinstance(config, LongClipConfig | FarlConfig) and (width := config.checkpoint_width())
    }
    return assign_all(settings, [f"{key}={width}" for key, width in widths.items()])


def check_fit(settings: Recipe, uses: Set[str]) -> None:
    """Checks the parts of the recipe that are used.

    Raises:
        ConfigError: names everything that doesn't fit, and how to change it.
    """
    fits = settings.train_decoder().fit, settings.train_autoregressive().fit
    if settings.side_by_side and not all(fit.workers for fit in fits):
        raise ConfigError(
            "side_by_side=true trains two models at the same time, and with fit.workers=0 both would share the random "
            "numbers of this process: set fit.workers=1 or side_by_side=false"
        )
    values = fields(settings)
    lost = [wish for wish in _wishes(settings, uses) if values.get(wish.key) != wish.value]
    if lost:
        says = "; ".join(f"{key}={_text(values.get(key))} does not go with {why}" for key, _, why in lost)
        changes = " ".join(f"--set {shlex.quote(f'{key}={_text(value)}')}" for key, value, _ in lost)
        raise ConfigError(f"{says}. Change together: {changes}")


def _wishes(settings: Recipe, uses: Set[str]) -> Iterator[_Wish]:
    first = settings.first
    coarse = settings.autoencoder.model.decoder.coarse
    if "first" in uses and first and coarse and {*first.sizes} - {(first.height, first.width)}:
        yield _Wish("first.sizes", [], "autoencoder.model.decoder.coarse, which draws one shape and may be null")
    stages = {"autoencoder": settings.autoencoder, "first.training": first.training if first else None}
    for key, stage in stages.items():
        if key.partition(".")[0] in uses and stage and stage.warmup_steps > stage.steps:
            yield _Wish(f"{key}.warmup_steps", stage.steps, f"{key}.steps={stage.steps}, which it is a part of")
    sizes = settings.autoencoder.model.compressor
    if "autoencoder" in uses and sizes.kind == "transformer" and sizes.width % sizes.heads:
        heads = max(count for count in range(1, sizes.heads) if sizes.width % count == 0)
        yield _Wish(
            "autoencoder.model.compressor.heads",
            heads,
            f"autoencoder.model.compressor.width={sizes.width}, which it must divide",
        )
    if (slots := _slots(settings, uses)) > settings.cluster.cpus:
        yield _Wish("cluster.cpus", slots, "fit.workers, of which each takes fit.threads: Ray would wait for ever")
    if "movie" in uses and settings.movie.variant not in settings.render.variants:
        both = [*settings.render.variants, settings.movie.variant]
        yield _Wish("render.variants", both, f"movie.variant={settings.movie.variant}")


def _slots(settings: Recipe, uses: Set[str]) -> int:
    """What the trainings that are run at a time take of the Ray of this machine; of a cluster nothing is known."""
    if cluster_address():
        return 0
    fits = dict.fromkeys(("first", "autoencoder", "decoder"), settings.fit)
    fits["autoregressive"] = settings.train_autoregressive().fit
    slots = {part: fit.workers * fit.threads for part, fit in fits.items() if part in uses}
    if settings.side_by_side and {"decoder", "autoregressive"} <= slots.keys():
        return max(slots["decoder"] + slots["autoregressive"], *slots.values())
    return max(slots.values(), default=0)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
