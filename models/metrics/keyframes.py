"""All metrics of any system's keyframes. If weights are missing, the metric's reason says what to fetch.

Networks embed the keyframes (models/metrics/networks.py), and the metrics are computed from these vectors, story by
story. A caller with many keyframes embeds them in parts, stores the vectors, and passes one story at a time.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from models.errors import ModelError
from models.metrics import characters, consistency, pictures, script, sound
from models.metrics.aesthetic import AestheticHead
from models.metrics.clip import Image
from models.metrics.figure import Figure, Floats, Measured, absent, joined, means_by_story
from models.metrics.networks import HELD, PLAIN, Encoder, KeyframeMetricsConfig, Module, Vectors, encoder
from models.weights.checkpoint import CheckpointError


@dataclass(frozen=True)
class Keyframes:
    """The vectors of a story's keyframes, or of real pictures.

    Args:
        story: its name.
        ids: of each keyframe, in order of time.
        load: module -> its vectors, called on demand.
    """

    story: str
    ids: Sequence[str]
    load: Callable[[Module], Vectors]


def words(config: KeyframeMetricsConfig, module: Module) -> Mapping[str, str]:
    """Metric -> one line for people, for the metrics of a module's vectors."""
    match module:
        case "clip":
            names = ("clip_score", "clip_sim", "aesthetic_score")
            return {**{name: pictures.WHAT[name] for name in names}, "drift": consistency.DRIFT}
        case "inception":
            distances = {name: pictures.frechet_words(layer) for layer, name in pictures.FID_LAYERS.items()}
            return {**distances, "inception_score": "Inception Score, more is better"}
        case "style":
            return {"csd_self": pictures.WHAT["csd_self"]}
        case "vision":
            kind = config.vision.kind
            return {
                pictures.frechet_name(kind): pictures.frechet_words(kind),
                f"similarity_{kind}": f"cosine of {kind}'s vectors of a keyframe and the next, more is better",
                f"drift_{kind}": f"{consistency.DRIFT}, by {kind}",
            }
        case "faces":
            told = ("lt_script", "shot_size", "clothes", "relative_size")
            return characters.WHAT | {name: script.WHAT[name] for name in told}
        case "identity":  # for metrics of `faces`
            return {}
        case "speech":
            return {"narration": script.WHAT["narration"]}
        case "camera":
            return {"camera": script.WHAT["camera"]}
        case "sound":
            return {"sound_step": sound.STEP, "loudness_gap": sound.gap_words(config.sound.loudness)}


def measure(
    config: KeyframeMetricsConfig,
    keyframes: Sequence[Image],
    stories: Sequence[str],
    plots: Sequence[str] = (),
    real: Sequence[Image] = (),
) -> dict[str, Figure]:
    """Every metric by its name, for pictures in memory.

    Args:
        keyframes: RGB [H, W, 3], grouped by story.
        stories: the story of each.
        plots: of each, for the CLIP score.
        real: pictures of real films, for FID.

    Raises:
        ValueError: keyframes and stories don't match, or a picture is not RGB in bytes.
    """
    if len(keyframes) != len(stories):
        raise ValueError(f"{len(keyframes)} keyframes, and the stories of {len(stories)}")
    if plots and len(keyframes) != len(plots):
        raise ValueError(f"{len(keyframes)} keyframes, and plots of {len(plots)}")
    for image in (*keyframes, *real):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"pictures are RGB [height, width, 3] in bytes, got {image.dtype} {list(image.shape)}")
    encoders: dict[Module, Encoder] = {}
    gone: dict[str, str] = {}
    for module in (one for one in PLAIN if one != "sound"):
        try:
            encoders[module] = encoder(config, module)
        except ModelError as error:
            gone[module] = str(error)

    def seen(story: str, images: Sequence[Image], told: Sequence[str]) -> Keyframes:
        found = {module: look(images, told) for module, look in encoders.items()}
        return Keyframes(
            story, [f"{story}/{number}" for number in range(1, len(images) + 1)], lambda module: found.get(module, {})
        )

    names = np.asarray(stories)
    groups = [(story, np.flatnonzero(names == story).tolist()) for story in dict.fromkeys(stories)]
    made = [
        seen(story, [keyframes[row] for row in rows], [plots[row] for row in rows] if plots else ())
        for story, rows in groups
    ]
    return figures(config, made, [seen("real", real, ())] if real else [], gone).figures


def figures(
    config: KeyframeMetricsConfig,
    stories: Sequence[Keyframes],
    real: Sequence[Keyframes],
    gone: Mapping[str, str],
    modules: Sequence[Module] = PLAIN,
) -> Measured:
    """Every metric, from vectors. Only those of one story and one module are in memory at once.

    Args:
        real: pictures of real films, for FID.
        gone: module -> why it is missing.
    """
    return joined(figures_of(module, config, stories, real, gone) for module in modules)


def figures_of(
    module: Module,
    config: KeyframeMetricsConfig,
    stories: Sequence[Keyframes],
    real: Sequence[Keyframes],
    gone: Mapping[str, str],
) -> Measured:
    """The metrics of one module's vectors."""
    if module in gone:
        return Measured({name: absent(what, gone[module]) for name, what in words(config, module).items()}, {})
    match module:
        case "clip":
            return _by_clip(config, stories)
        case "inception":
            return _by_inception(config, stories, real)
        case "style":
            return _by_style(config, stories)
        case "vision":
            return _by_vision(config, stories, real)
        case "faces" | "identity" | "speech" | "camera":  # tasks.evaluation.scripted has them
            return Measured({}, {})
        case "sound":
            return _by_sound(config, stories)


def _by_clip(config: KeyframeMetricsConfig, stories: Sequence[Keyframes]) -> Measured:
    samples: dict[str, dict[str, float]] = {name: {} for name in words(config, "clip")}
    reasons = {
        "clip_score": "no keyframe has a plot",
        "clip_sim": "no story has two keyframes",
        "drift": f"a slope takes three keyframes, none of {len(stories)} stories has them",
    }
    try:
        head = AestheticHead(config.aesthetic)
    except CheckpointError as error:
        head, reasons["aesthetic_score"] = None, str(error)
    for one in stories:
        vectors = one.load("clip")
        seen_NE, told_NE = vectors["pictures"], vectors["plots"]
        told = np.flatnonzero(told_NE.any(axis=1)).tolist()  # zeros: a keyframe without a plot
        samples["clip_score"] |= _named([one.ids[t] for t in told], pictures.clip_scores(seen_NE[told], told_NE[told]))
        samples["clip_sim"] |= _named(one.ids, pictures.cosine(seen_NE[:-1], seen_NE[1:]))
        if head and len(seen_NE):
            try:
                samples["aesthetic_score"] |= _named(one.ids, head.score(seen_NE))
            except ValueError as error:  # the head of another CLIP
                head, reasons["aesthetic_score"] = None, str(error)
        if len(seen_NE) >= 3:
            samples["drift"][one.story] = consistency.slope(seen_NE)
    return means_by_story(words(config, "clip"), samples, reasons)


def _by_inception(config: KeyframeMetricsConfig, stories: Sequence[Keyframes], real: Sequence[Keyframes]) -> Measured:
    found = {name: _frechet(config, stories, real, "inception", layer) for layer, name in pictures.FID_LAYERS.items()}
    count = sum(len(one.ids) for one in stories)
    if count <= HELD:
        logits = _rows(stories, "inception", "logits_unbiased")
        found["inception_score"] = pictures.inception_score(logits, config.splits, config.resamples)
    else:
        logits_parts = _parts(stories, "inception", "logits_unbiased")
        found["inception_score"] = pictures.inception_score_of_many(logits_parts, count, config.splits)
    return Measured(found, {})


def _frechet(
    config: KeyframeMetricsConfig, stories: Sequence[Keyframes], real: Sequence[Keyframes], module: Module, layer: str
) -> Figure:
    count, others = (sum(len(one.ids) for one in some) for some in (stories, real))
    if not others:
        return absent(pictures.frechet_words(layer), "no pictures of real films were given")
    if max(count, others) <= HELD:
        mine, theirs = (_rows(some, module, layer) for some in (stories, real))
        return pictures.frechet(mine, theirs, layer, config.resamples)
    many, of_real = (pictures.Moments.of(_parts(some, module, layer)) for some in (stories, real))
    return pictures.frechet_of_many(many, of_real, layer)


def _by_style(config: KeyframeMetricsConfig, stories: Sequence[Keyframes]) -> Measured:
    samples: dict[str, float] = {}
    for one in stories:
        selves_N = pictures.style_selves(one.load("style")["style"])
        samples |= _named(one.ids, selves_N)
    reason = "a pair takes two shots of a story, there is none"
    return means_by_story(words(config, "style"), {"csd_self": samples}, {"csd_self": reason})


def _by_vision(config: KeyframeMetricsConfig, stories: Sequence[Keyframes], real: Sequence[Keyframes]) -> Measured:
    kind = config.vision.kind
    (distance, similarity, drift) = said = words(config, "vision")
    samples: dict[str, dict[str, float]] = {similarity: {}, drift: {}}
    for one in stories:
        seen_NE = one.load("vision")[kind]
        samples[similarity] |= _named(one.ids, pictures.cosine(seen_NE[:-1], seen_NE[1:]))
        if len(seen_NE) >= 3:
            samples[drift][one.story] = consistency.slope(seen_NE)
    reasons = {similarity: "no story has two keyframes", drift: "no story has three keyframes"}
    found = means_by_story({name: said[name] for name in samples}, samples, reasons)
    return Measured({distance: _frechet(config, stories, real, "vision", kind), **found.figures}, found.samples)


def _by_sound(config: KeyframeMetricsConfig, stories: Sequence[Keyframes]) -> Measured:
    samples: dict[str, dict[str, float]] = {"sound_step": {}, "loudness_gap": {}}
    for one in stories:
        heard = one.load("sound")
        if not heard:  # pictures
            continue
        ends = np.cumsum(heard["moments"].astype(np.int64))
        for number, (start, end) in enumerate(zip([0, *ends[:-1].tolist()], ends.tolist(), strict=True), start=1):
            name = one.story if len(ends) == 1 else f"{one.story}/{number}"
            lag = sound.lag(heard["loud"][start:end], heard["cuts"][start:end], sound.RATE)
            if lag is not None:
                samples["sound_step"][name] = abs(lag)
            if np.isfinite(loudness := float(heard["loudness"][number - 1])):
                samples["loudness_gap"][name] = abs(loudness - config.sound.loudness)
    reasons = {
        "sound_step": "in no video both sound and picture change",
        "loudness_gap": "there is no video with sound",
    }
    return means_by_story(words(config, "sound"), samples, reasons)


def _named(ids: Sequence[str], values_N: Floats) -> dict[str, float]:
    return dict(zip(ids, values_N.tolist(), strict=False))  # of pairs the first has the name


def _parts(some: Sequence[Keyframes], module: Module, layer: str) -> Iterator[Floats]:
    return (one.load(module)[layer] for one in some if len(one.ids))


def _rows(some: Sequence[Keyframes], module: Module, layer: str) -> Floats:
    parts = list(_parts(some, module, layer))
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
