"""Draws keyframes: rebuilt from their own tokens, and dreamt from their scripts (sections 3.3 and 3.4).

    rebuilt   keyframes from their own tokens, scripts and faces: the held-out ones, and of those learnt from some
    dreamt    what is held out from its scripts alone (zero-shot)
    few_shot  the same with tokens of reference frames put before (few-shot; tasks.references says which)
    no_faces  as dreamt, without face embeddings anywhere (the ablation of Fig. 5)

Shapes: T keyframes, R reference frames, L tokens, D token width.
"""

import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import BaseModel, Field

from models.autoencoder.diffusion import Sampler
from models.autoencoder.fast import FastConfig, FastDecoder
from models.autoregressive.generate import GenerationConfig
from models.autoregressive.script_tokens import FrameScript
from models.device import device
from storage.decoding.pictures import Pixels
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks import dataset, rows
from tasks.cluster import ClusterConfig
from tasks.dataset import FilmData
from tasks.made import Made, Step
from tasks.progress import Progress
from tasks.references import References, references, spread
from tasks.stage import Stage, Work, run_stage
from tasks.training import tokens
from tasks.training.frozen import FrozenConfig

if TYPE_CHECKING:
    from torch import Tensor

    from models.autoregressive.autoregressive import AutoregressiveModel

BATCH = 16  # keyframes that are drawn together
Variant = Literal["rebuilt", "dreamt", "few_shot", "no_faces"]


class RenderConfig(BaseModel, frozen=True, extra="forbid"):
    """How keyframes are drawn, at the size of the decoder's codec.

    Only a movie brings them to another size (`movie.width`).
    """

    quality: int = Field(90, ge=1, le=100, description="WebP quality, 1 to 100")
    sampler: Sampler = Field("euler", description="sampler of the diffusion")
    steps: int = Field(4, ge=1, description="sampling steps a keyframe")
    guidance: float = Field(1.0, ge=0, description="classifier-free guidance; 1: none")
    fast: FastConfig = Field(FastConfig(), description="how the decoder's U-Net runs")
    generation: GenerationConfig = Field(GenerationConfig(), description="how tokens are generated")
    references: int = Field(10, ge=1, description="reference frames of few-shot generation, evenly spread")
    variants: tuple[Variant, ...] = Field(
        ("rebuilt", "dreamt", "few_shot", "no_faces"), description="what is drawn of each keyframe"
    )
    learnt: int = Field(
        500, ge=0, description="training keyframes of each film that are rebuilt, evenly spread, to compare"
    )
    seed: int = Field(0, description="seed of all random draws")


def run(
    config: RenderConfig,
    storage: Storage,
    snapshot: Snapshot,
    work: Work,
    decoder: str,
    autoregressive: str,
    cluster: ClusterConfig,
    progress: Progress,
) -> Work:
    """Draws one picture for each keyframe and variant, film by film.

    Args:
        work: as tasks.training.tokens returns it.
        decoder, autoregressive: the models' folders in the storage.

    Returns:
        `work`, and under "renders" this stage's.
    """
    return run_stage(STAGE, [config, snapshot, decoder, autoregressive], storage, work, cluster, progress)


@dataclass(frozen=True)
class Draft:
    """Keyframes that are about to be drawn, with tokens [T, L, D]."""

    variant: Variant
    scripts: Sequence[FrameScript]
    tokens: "Tensor"


@dataclass(frozen=True)
class _Part:
    """Scripts and tokens_TLD of what of a film is learnt from, or held out; T may be 0."""

    scripts: Sequence[FrameScript]
    tokens_TLD: "Tensor"

    def some(self, count: int) -> "_Part":
        """At most this many keyframes, evenly spread."""
        places = spread(len(self.scripts), count) if count else []
        return _Part([self.scripts[place] for place in places], self.tokens_TLD[places])


def _make(
    config: RenderConfig, snapshot: Snapshot, decoder: str, autoregressive: str, storage: Storage, work: Work
) -> Callable[[str], Iterator[Step | Made]]:
    painter, model = Painter(config, storage, decoder), dreamer(config.generation, storage, autoregressive)
    table, films = dataset.feature_rows(storage, snapshot), {film.film_id: film for film in snapshot.films}

    def draw(film_id: str) -> Iterator[Step | Made]:
        parts = (dataset.of_film(table, films[film_id], part) for part in ("train", "test"))
        train, test = (_part(storage, work, part) for part in parts)
        shown = min(len(train.scripts), config.learnt)
        counts = {variant: len(test.scripts) + shown * (variant == "rebuilt") for variant in config.variants}
        total, done = sum(counts.values()), 0
        for draft in _drafts(config, model, train, test):
            for script, image in zip(draft.scripts, painter.paint(draft), strict=True):
                drawn = {"row_id": script.row_id, "variant": draft.variant, "image": image}
                yield Made({"renders": rows.table("renders", film_id, [drawn])})
                done += 1
                yield Step(done, total)

    return draw


def dreamer(config: GenerationConfig, storage: Storage, autoregressive: str) -> "AutoregressiveModel":
    """The autoregressive model of a storage, in the precision in which it generates."""
    from models.autoregressive.autoregressive import AutoregressiveModel

    with storage.local(autoregressive) as folder:
        model = AutoregressiveModel.from_pretrained(folder)
    return (model.in_bfloat16() if config.precision == "bf16" else model).to(device())


def watcher(config: FrozenConfig, storage: Storage, autoencoder: str) -> Callable[[Sequence[Pixels]], "Tensor"]:
    """Pictures -> tokens_RLD, made as those of keyframes are, of the pictures' largest centred part."""
    import torch

    from models.autoencoder.autoencoder import DiffusionAutoencoder
    from models.training.views import cut, features
    from models.vision import build_features

    with storage.local(autoencoder) as folder:
        model = DiffusionAutoencoder.from_pretrained(folder).to(device())
    encoder, size = build_features(config.vision, model.codec).to(device()), (config.codec.height, config.codec.width)

    @torch.inference_mode()
    def watch(pictures: Sequence[Pixels]) -> "Tensor":
        parts = np.stack([cut(picture, size)[0] for picture in pictures])
        images_R3HW = torch.from_numpy(parts).permute(0, 3, 1, 2).to(device()).float() / 255
        seen = features(encoder, images_R3HW, (config.height, config.width)).to(device())
        return model.encode(seen).cpu()

    return watch


def _part(storage: Storage, work: Work, film: FilmData) -> _Part:
    import torch

    if not film.row_ids:
        return _Part((), torch.zeros(0))
    return _Part(film.scripts, tokens.read(storage, work, film.row_ids)[0])


def _drafts(config: RenderConfig, model: "AutoregressiveModel", train: _Part, test: _Part) -> Iterator[Draft]:
    """The variants of a film, each as scripts with tokens: their own, or generated."""
    import torch

    for variant in config.variants:
        if variant == "rebuilt":
            shown = train.some(config.learnt)
            known = [part for part in (shown, test) if part.scripts]
            if known:
                yield Draft(variant, [*shown.scripts, *test.scripts], torch.cat([part.tokens_TLD for part in known]))
        elif test.scripts:
            yield _dreamt(config, model, variant, train, test)


def _dreamt(config: RenderConfig, model: "AutoregressiveModel", variant: Variant, train: _Part, test: _Part) -> Draft:
    import torch

    from models.autoregressive.generate import Request, generate

    scripts, given = test.scripts, [References((), None, list(range(len(test.scripts))))]
    if variant == "few_shot":
        given = references(train.scripts, train.tokens_TLD, test.scripts, test.tokens_TLD, config.references)
    if variant == "no_faces":
        scripts = [script.without_faces() for script in scripts]
    seed = config.seed + zlib.crc32(scripts[0].row_id.encode())  # two films share no random numbers
    requests = [Request(scripts, seed, one.tokens_RLD, one.scripts) for one in given]
    made = generate(model, requests, config.generation)
    tokens_TLD = torch.empty_like(made[0])
    for one, mine_TLD in zip(given, made, strict=True):
        tokens_TLD[one.places] = mine_TLD[one.places]
    return Draft(variant, scripts, tokens_TLD)


class Painter:
    """The ID-preserving decoder of a storage, and how it draws.

    Args:
        filled: whether a picture is never drawn beside fewer others than usual, so that the number of others does not
            change its last bits.
    """

    def __init__(self, config: RenderConfig, storage: Storage, decoder: str, filled: bool = False) -> None:
        from models.autoencoder.autoencoder import DiffusionAutoencoder

        with storage.local(decoder) as folder:
            self._model = DiffusionAutoencoder.from_pretrained(folder).to(device())
        self._config, self._filled = config, filled or config.fast.by_size
        self._denoiser = None if config.fast.plain else FastDecoder(self._model.decoder, config.fast)

    def paint(self, draft: Draft) -> Iterator[bytes]:
        """The encoded pictures of a draft; the noise of a keyframe depends on its id, the same in all variants.

        Where each size of a batch is compiled or recorded for itself, or `filled` says so, the last keyframe fills up
        the last batch.
        """
        from models.autoencoder.decoder import pad
        from storage.decoding.pictures import encode

        config, model = self._config, self._model
        decoder = model.config.decoder
        sentences, faces = None, None
        if decoder.identity:
            sentences = pad([script.sentences for script in draft.scripts], decoder.sentences)
            faces = pad([script.faces for script in draft.scripts], decoder.faces)
        seeds = [config.seed + zlib.crc32(script.row_id.encode()) for script in draft.scripts]
        for start in range(0, len(seeds), BATCH):
            count = min(BATCH, len(seeds) - start)
            filled = BATCH if self._filled else count
            part = [start + min(place, count - 1) for place in range(filled)]
            latents_BCHW = model.reconstruct(
                draft.tokens[part],
                None if sentences is None else sentences[part],
                None if faces is None else faces[part],
                seeds=[seeds[place] for place in part],
                steps=config.steps,
                guidance=config.guidance,
                sampler=config.sampler,
                denoiser=self._denoiser,
            )
            images_B3HW = model.codec.decode(latents_BCHW[:count])
            for image_3HW in images_B3HW:
                pixels = (image_3HW.permute(1, 2, 0).cpu().numpy() * 255).round().astype(np.uint8)
                yield encode(pixels, config.quality)


def _identity(config: RenderConfig, _: Snapshot, decoder: str, autoregressive: str) -> object:
    return [config, decoder, autoregressive]


STAGE = Stage("renders", inputs=("features", "tokens"), tables=("renders",), make=_make, identity=_identity)
