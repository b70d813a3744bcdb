"""All metrics of pictures at once, of any system's keyframes. A metric whose weights are missing says what to fetch.

Shapes: N keyframes, E numbers of an embedding.
"""

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from pydantic import BaseModel, Field

from models.checkpoint import CheckpointError
from models.metrics import pictures
from models.metrics.aesthetic import AestheticConfig, AestheticHead
from models.metrics.clip import ClipMetricConfig, Image, JointSpace
from models.metrics.figure import Figure, absent
from models.metrics.inception import Inception, InceptionConfig
from models.metrics.style import StyleConfig, StyleTower

Network = TypeVar("Network")


class KeyframeMetricsConfig(BaseModel, frozen=True, extra="forbid"):
    """What keyframes are measured with."""

    clip: ClipMetricConfig = Field(ClipMetricConfig(), description="of CLIP score, CLIP-sim and aesthetic score")
    aesthetic: AestheticConfig = Field(AestheticConfig(), description="of the aesthetic score")
    inception: InceptionConfig = Field(InceptionConfig(), description="of FID and Inception Score")
    style: StyleConfig = Field(StyleConfig(), description="of CSD")
    splits: int = Field(10, ge=1, description="parts over which the Inception Score is averaged")
    resamples: int = Field(100, ge=0, description="of the intervals of FID and Inception Score; 0: none")


def measure(
    config: KeyframeMetricsConfig,
    keyframes: Sequence[Image],
    stories: Sequence[str],
    plots: Sequence[str] = (),
    real: Sequence[Image] = (),
) -> dict[str, Figure]:
    """Every metric by its name.

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
    for image in (*keyframes, *real):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"pictures are RGB [height, width, 3] in bytes, got {image.dtype} {list(image.shape)}")
    return {
        **_with_clip(config, keyframes, stories, plots),
        **_with_inception(config, keyframes, real),
        **_with_style(config, keyframes, stories),
    }


def _with_clip(
    config: KeyframeMetricsConfig, keyframes: Sequence[Image], stories: Sequence[str], plots: Sequence[str]
) -> dict[str, Figure]:
    space = _loaded(lambda: JointSpace(config.clip))
    if isinstance(space, str):
        return _all_absent(("clip_score", "clip_sim", "aesthetic_score"), space)
    vectors_NE = space.embed(keyframes)
    names = np.asarray(stories)
    next_in_story = np.flatnonzero(names[1:] == names[:-1])
    head = _loaded(lambda: AestheticHead(config.aesthetic))
    return {
        "clip_score": pictures.clip_score(vectors_NE, space.read(plots), stories),
        "clip_sim": pictures.clip_sim(
            vectors_NE[next_in_story], vectors_NE[next_in_story + 1], names[next_in_story].tolist()
        ),
        "aesthetic_score": absent("aesthetic_score", head)
        if isinstance(head, str)
        else pictures.aesthetic_score(head.score(vectors_NE), stories),
    }


def _with_inception(
    config: KeyframeMetricsConfig, keyframes: Sequence[Image], real: Sequence[Image]
) -> dict[str, Figure]:
    network = _loaded(lambda: Inception(config.inception))
    if isinstance(network, str):
        return _all_absent(("fid", "inception_score"), network)
    generated, others = network.embed(keyframes), network.embed(real)
    return {
        "fid": pictures.frechet(generated["2048"], others["2048"], "2048", config.resamples),
        "inception_score": pictures.inception_score(generated["logits_unbiased"], config.splits, config.resamples),
    }


def _with_style(config: KeyframeMetricsConfig, keyframes: Sequence[Image], stories: Sequence[str]) -> dict[str, Figure]:
    tower = _loaded(lambda: StyleTower(config.style))
    if isinstance(tower, str):
        return _all_absent(("csd_self",), tower)
    return {"csd_self": pictures.style_self(tower.embed(keyframes), stories)}


def _loaded(build: Callable[[], Network]) -> Network | str:
    """A network, or why it can't be had."""
    try:
        return build()
    except CheckpointError as error:
        return str(error)


def _all_absent(names: Sequence[str], reason: str) -> dict[str, Figure]:
    return {name: absent(name, reason) for name in names}
