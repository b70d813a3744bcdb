"""All metrics of pictures at once, of any system's keyframes. A metric whose weights are missing says what to fetch.

First networks look at the keyframes, then the metrics are computed of their vectors, story by story; a caller that has
many keyframes does the first in parts, keeps the vectors and hands them over one story at a time.
Shapes: N keyframes, E numbers of an embedding.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, Field

from models import face, vision
from models.captioner.colours import NAMES, main_colour, nearest, to_lab
from models.checkpoint import CheckpointConfig, CheckpointError
from models.errors import ModelError
from models.face import DlibConfig, FaceConfig, FaceEmbedder
from models.metrics import consistency, pictures, script, sound
from models.metrics.aesthetic import AestheticConfig, AestheticHead
from models.metrics.clip import ClipMetricConfig, Image, JointSpace
from models.metrics.figure import Figure, Floats, absent, mean
from models.metrics.inception import Inception, InceptionConfig
from models.metrics.speech import SpeechConfig
from models.metrics.style import StyleConfig, StyleTower
from models.vision import EfficientNetLite0Config, VisionConfig

if TYPE_CHECKING:
    from models.vision.encoder import ImageEncoder

Module = Literal["clip", "inception", "style", "vision", "faces", "sound", "speech"]
MODULES: tuple[Module, ...] = get_args(Module)
"""What looks at pictures, and what listens to videos."""

HEARD: tuple[Module, ...] = ("sound", "speech")
"""Those that listen to videos."""

PLAIN: tuple[Module, ...] = ("clip", "inception", "style", "vision", "sound")
"""Those whose vectors need no story beside them."""

Vectors = Mapping[str, NDArray[np.float32]]
Encoder = Callable[[Sequence[Image], Sequence[str]], Vectors]
"""Pictures, RGB [H, W, 3], and their plots, or none -> arrays with a row for each picture or plot."""

_SIDE = 224  # pixels at which stand-ins look
_HELD = 1000  # pictures whose features are held at once, and resampled


class SoundMetricsConfig(BaseModel, frozen=True, extra="forbid"):
    """How movies are listened to."""

    revision: ClassVar[str] = "1"

    loudness: float = Field(-16.0, description="integrated loudness that movies should have, in LUFS")


class KeyframeMetricsConfig(BaseModel, frozen=True, extra="forbid"):
    """What keyframes are measured with. A metric whose weights are missing is left out, with the reason."""

    clip: ClipMetricConfig = Field(ClipMetricConfig(), description="of CLIP score, CLIP-sim, aesthetic score and drift")
    aesthetic: AestheticConfig = Field(AestheticConfig(), description="of the aesthetic score")
    inception: InceptionConfig = Field(InceptionConfig(), description="of FID and Inception Score")
    style: StyleConfig = Field(StyleConfig(), description="of CSD")
    vision: VisionConfig = Field(
        EfficientNetLite0Config(), description="image encoder of stand-ins, which bear its name and not the metrics'"
    )
    faces: FaceConfig = Field(
        DlibConfig(), description="face detector and embedder of the metrics of characters, where stories are given"
    )
    sound: SoundMetricsConfig = Field(SoundMetricsConfig(), description="of videos' sound")
    speech: SpeechConfig = Field(SpeechConfig(), description="recogniser of narration, where stories are given")
    splits: int = Field(10, ge=1, description="parts over which the Inception Score is averaged")
    resamples: int = Field(
        100, ge=0, description=f"of the intervals of FID and Inception Score, up to {_HELD} pictures; 0: none"
    )

    def network(self, module: Module) -> "Network":
        """What a module loads."""
        network: Network = getattr(self, module)
        return network

    def of_pictures(self, module: Module) -> str:
        """Which of a module's arrays has a row for each picture."""
        names = {"clip": "pictures", "inception": "2048", "style": "style", "faces": "counts"}
        return names.get(module, self.vision.kind)

    def metrics(self, module: Module) -> Mapping[str, str]:
        """Metric -> one line for people, of those that a module's vectors give."""
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
                kind = self.vision.kind
                return {
                    pictures.frechet_name(kind): pictures.frechet_words(kind),
                    f"similarity_{kind}": f"cosine of {kind}'s vectors of a keyframe and the next, more is better",
                    f"drift_{kind}": f"{consistency.DRIFT}, by {kind}",
                }
            case "faces":
                return {}  # tasks.evaluation.scripted has them
            case "speech":
                return {"narration": script.NARRATION}
            case "sound":
                return {"sound_step": sound.STEP, "loudness_gap": sound.gap_words(self.sound.loudness)}


Network = CheckpointConfig | VisionConfig | FaceConfig | SoundMetricsConfig


@dataclass(frozen=True)
class Keyframes:
    """The keyframes of a story, or some real pictures, as networks see them.

    Args:
        story: its name.
        ids: of each keyframe, in order of time.
        load: module -> its vectors, which are asked for when they are needed.
    """

    story: str
    ids: Sequence[str]
    load: Callable[[Module], Vectors]


class Measured(NamedTuple):
    """Metrics by name, and the values that a mean is of by the id of the keyframe or the name of the story."""

    figures: dict[str, Figure]
    samples: dict[str, dict[str, float]]


def encoder(config: KeyframeMetricsConfig, module: Module) -> Encoder:
    """A network with its weights.

    Raises:
        CheckpointError: saying what to fetch and where to put it.
    """
    match module:
        case "clip":
            space = JointSpace(config.clip)
            return lambda images, plots: {"pictures": space.embed(images), "plots": space.read(plots)}
        case "inception":
            network = Inception(config.inception)
            return lambda images, plots: {str(layer): rows for layer, rows in network.embed(images).items()}
        case "style":
            tower = StyleTower(config.style)
            return lambda images, plots: {"style": tower.embed(images)}
        case "vision":
            return partial(_vision, config.vision.kind, vision.build(config.vision))
        case "faces":
            return partial(_faces, config.faces.width, face.build(config.faces))
        case "sound" | "speech":
            raise AssertionError(f"{module} is heard, not seen")


def _vision(kind: str, network: "ImageEncoder", images: Sequence[Image], plots: Sequence[str]) -> Vectors:
    import cv2
    import torch

    found = []
    for image in images:
        square = cv2.resize(image, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
        with torch.inference_mode():
            pixels_13SS = torch.from_numpy(square.transpose(2, 0, 1).copy())[None].float() / 255
            found.append(network.embed(pixels_13SS).numpy())
    return {kind: np.concatenate(found) if found else np.zeros((0, 1), np.float32)}


def _faces(width: int, embedder: FaceEmbedder, images: Sequence[Image], plots: Sequence[str]) -> Vectors:
    """Of each picture how many faces it has; of each face its box, its vector, and the colour of the clothes below."""
    found = embedder.faces(images)
    known = [[one for one in faces if one.embedding is not None] for faces in found]
    every = [(image, one) for image, faces in zip(images, known, strict=True) for one in faces]
    vectors = [one.embedding for _, one in every if one.embedding is not None]
    return {
        "counts": np.array([len(faces) for faces in known], np.float32),
        "boxes": np.array([one.box for _, one in every], np.float32).reshape(-1, 4),
        "clothes": np.array([_clothes(image, one.box) for image, one in every], np.float32),
        "faces": np.stack(vectors).astype(np.float32) if vectors else np.zeros((0, width), np.float32),
    }


def _clothes(image: Image, box: tuple[float, float, float, float]) -> int:
    """Number of the most frequent colour of what is one face below a face, -1 where that is not in the picture."""
    height, width = image.shape[:2]
    x0, y0, x1, y1 = box
    tall = y1 - y0
    rows = slice(round(min(y1 + tall / 2, 1) * height), round(min(y1 + 1.5 * tall, 1) * height))
    columns = slice(round(max(x0, 0) * width), round(min(x1, 1) * width))
    below = image[rows, columns]
    if below.shape[0] < 4 or below.shape[1] < 4:
        return -1
    return NAMES.index(main_colour(nearest(to_lab(below.astype(np.float32)))))


def measure(
    config: KeyframeMetricsConfig,
    keyframes: Sequence[Image],
    stories: Sequence[str],
    plots: Sequence[str] = (),
    real: Sequence[Image] = (),
) -> dict[str, Figure]:
    """Every metric by its name, of pictures in memory.

    Args:
        keyframes: RGB [H, W, 3], those of one story one after the other.
        stories: the story of each.
        plots: of each, for the CLIP score.
        real: pictures of real films, for FID.

    Raises:
        ValueError: when keyframes and stories don't match, or a picture is not RGB in bytes.
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
    config: KeyframeMetricsConfig, stories: Sequence[Keyframes], real: Sequence[Keyframes], gone: Mapping[str, str]
) -> Measured:
    """Every metric, of vectors. However many keyframes there are, those of one story and one module are in memory.

    Args:
        real: pictures of real films, for FID.
        gone: module -> why it isn't there.
    """
    found, samples = {}, {}
    for module in PLAIN:
        measured = figures_of(module, config, stories, real, gone)
        found.update(measured.figures)
        samples.update(measured.samples)
    return Measured(found, samples)


def figures_of(
    module: Module,
    config: KeyframeMetricsConfig,
    stories: Sequence[Keyframes],
    real: Sequence[Keyframes],
    gone: Mapping[str, str],
) -> Measured:
    """The metrics that one module's vectors give."""
    if module in gone:
        return Measured({name: absent(words, gone[module]) for name, words in config.metrics(module).items()}, {})
    match module:
        case "clip":
            return _by_clip(config, stories)
        case "inception":
            return _by_inception(config, stories, real)
        case "style":
            return _by_style(config, stories)
        case "vision":
            return _by_vision(config, stories, real)
        case "faces" | "speech":
            return Measured({}, {})
        case "sound":
            return _by_sound(config, stories)


def _by_clip(config: KeyframeMetricsConfig, stories: Sequence[Keyframes]) -> Measured:
    samples: dict[str, dict[str, float]] = {name: {} for name in config.metrics("clip")}
    reasons = {
        "clip_score": "no story has a plot for each of its keyframes",
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
        if len(told_NE) == len(seen_NE):  # not where a keyframe has no plot
            samples["clip_score"] |= _named(one.ids, pictures.clip_scores(seen_NE, told_NE))
        samples["clip_sim"] |= _named(one.ids, pictures.cosine(seen_NE[:-1], seen_NE[1:]))
        if head:
            samples["aesthetic_score"] |= _named(one.ids, head.score(seen_NE))
        if len(seen_NE) >= 3:
            samples["drift"][one.story] = consistency.slope(seen_NE)
    return _means(config.metrics("clip"), samples, reasons)


def _by_inception(config: KeyframeMetricsConfig, stories: Sequence[Keyframes], real: Sequence[Keyframes]) -> Measured:
    found = {name: _frechet(config, stories, real, "inception", layer) for layer, name in pictures.FID_LAYERS.items()}
    count = sum(len(one.ids) for one in stories)
    if count <= _HELD:
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
    if max(count, others) <= _HELD:
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
    return _means(config.metrics("style"), {"csd_self": samples}, {"csd_self": reason})


def _by_vision(config: KeyframeMetricsConfig, stories: Sequence[Keyframes], real: Sequence[Keyframes]) -> Measured:
    kind = config.vision.kind
    (distance, similarity, drift) = words = config.metrics("vision")
    samples: dict[str, dict[str, float]] = {similarity: {}, drift: {}}
    for one in stories:
        seen_NE = one.load("vision")[kind]
        samples[similarity] |= _named(one.ids, pictures.cosine(seen_NE[:-1], seen_NE[1:]))
        if len(seen_NE) >= 3:
            samples[drift][one.story] = consistency.slope(seen_NE)
    reasons = {similarity: "no story has two keyframes", drift: "no story has three keyframes"}
    means = _means({name: words[name] for name in samples}, samples, reasons)
    return Measured({distance: _frechet(config, stories, real, "vision", kind), **means.figures}, means.samples)


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
    return _means(config.metrics("sound"), samples, reasons)


def _named(ids: Sequence[str], values_N: Floats) -> dict[str, float]:
    return dict(zip(ids, values_N.tolist(), strict=False))  # of pairs the first has the name


def _means(
    words: Mapping[str, str], samples: Mapping[str, Mapping[str, float]], reasons: Mapping[str, str]
) -> Measured:
    found: dict[str, Figure] = {}
    for name, what in words.items():
        values = samples[name]
        stories = [one.partition("/")[0] for one in values]
        found[name] = (
            mean(list(values.values()), what, stories)
            if values
            else absent(what, reasons.get(name, "there are no keyframes"))
        )
    return Measured(found, {name: dict(values) for name, values in samples.items() if values})


def _parts(some: Sequence[Keyframes], module: Module, layer: str) -> Iterator[Floats]:
    return (one.load(module)[layer] for one in some if len(one.ids))


def _rows(some: Sequence[Keyframes], module: Module, layer: str) -> Floats:
    parts = list(_parts(some, module, layer))
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)
