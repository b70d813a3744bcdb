"""Recipes: functions that return the settings of a run. A variant changes a copy.

Settings that follow from others (flows.settings.fit.DERIVED) are not repeated here: `resolve` fills them in.
"""

from collections.abc import Callable, Mapping, Sequence, Set

from flows import catalogue
from flows.settings.assignments import assign_all
from flows.settings.fit import check_fit, derived
from flows.settings.recipe import Recipe
from models.animator import CameraConfig, SvdConfig
from models.autoencoder.autoencoder import AutoencoderConfig
from models.autoencoder.coarse import CoarseConfig
from models.autoencoder.compressor import ConvolutionalConfig, TransformerConfig
from models.autoencoder.decoder import DecoderConfig
from models.autoencoder.diffusion import DiffusionConfig
from models.autoencoder.fast import FastConfig
from models.autoencoder.unet import SdxlUNetConfig, UNetConfig
from models.autoregressive.autoregressive import AutoregressiveConfig
from models.autoregressive.generate import GenerationConfig
from models.backbone import LlamaBackbone, LlamaTinyBackbone, SmolLM2Backbone
from models.captioner import DeepseekVlConfig
from models.codec import PCACodecConfig, SdxlVaeConfig
from models.detector import GroundingDinoConfig
from models.face import FarlConfig
from models.head import FlowConfig, GmmConfig
from models.sentence import LongClipConfig
from models.training.autoencoder import AutoencoderTrainingConfig, StageConfig
from models.training.autoregressive import AutoregressiveTrainingConfig
from models.training.decoder import DecoderTrainingConfig
from models.upscaler import LanczosConfig
from models.vision import ClipConfig, EfficientNetLite0Config, LatentsConfig
from models.writer import FilmWriterConfig, LlmConfig, TemplateConfig
from storage.decoding.decode import KeyframesConfig
from storage.decoding.trim import TrimAutomatic, TrimSeconds
from storage.images.images import JourneyDbConfig, Objects365Config, OpenImagesConfig
from tasks.cluster import ClusterConfig
from tasks.curation.ingest import DrawnConfig, IngestConfig
from tasks.curation.split import FilmsConfig
from tasks.figures.measure import EvaluateConfig
from tasks.movies.movie import MovieConfig
from tasks.movies.render import RenderConfig
from tasks.training.engine.job import FitConfig
from tasks.training.first_stage import FirstStageConfig
from tasks.training.frozen import FrozenConfig


def laptop() -> Recipe:
    """Two CPU cores and ten minutes: the embedded backends, and weights that know a world of drawn films."""
    return Recipe(
        name="laptop",
        frozen=_frozen(init="embedded/autoencoder", fine_tune_below=23.0),
        autoencoder=AutoencoderTrainingConfig(
            model=_autoencoder(),
            warmup_steps=250,
            warmup_learning_rate=3e-4,
            steps=250,
            token_noise=0.15,
            pixel_weight=4.0,
        ),
        decoder=DecoderTrainingConfig(
            steps=200, warmup_steps=200, learning_rate=1e-4, token_noise=0.4, pixel_weight=4.0, face_weight=8.0
        ),
        autoregressive=AutoregressiveTrainingConfig(
            model=_autoregressive(), init="embedded/autoregressive", steps=300, learning_rate=1e-4, untold=0.1
        ),
        render=_render(),
    )


def _frozen(init: str = "", fine_tune_below: float | None = None) -> FrozenConfig:
    """The drawn world's: latents of blocks of 8x8 pixels, which the compressor reads too.

    The embedded weights rebuild drawn films at 24 to 26 dB and real ones at 19 to 21.
    """
    codec = PCACodecConfig(width=224, height=128, block=8, channels=64)
    return FrozenConfig(vision=LatentsConfig(), codec=codec, init=init, fine_tune_below=fine_tune_below)


def _autoencoder() -> AutoencoderConfig:
    """The drawn world's: two tokens of 256 numbers each, 18 for each cell, and pictures in one step.

    At a time next to 1 everything is noise, so that the U-Net learns the picture to expect, given tokens and script.
    """
    return AutoencoderConfig(
        compressor=ConvolutionalConfig(token_width=256, code=18),
        decoder=DecoderConfig(
            unet=UNetConfig(channels=(96, 128, 128), transformers=(0, 1, 1), cross_width=256),
            coarse=CoarseConfig(code=18, channels=(256, 192, 128)),
        ),
        diffusion=DiffusionConfig(noise_offset=0.0, time_mean=6.0, time_std=0.5),
    )


def _autoregressive() -> AutoregressiveConfig:
    """The drawn world's: a flow, because one script fits keyframes that look in many ways."""
    return AutoregressiveConfig(backbone=SmolLM2Backbone(layers=3), head=FlowConfig(), dropout=0.1)


def _render() -> RenderConfig:
    """The drawn world's."""
    return RenderConfig(steps=1, generation=GenerationConfig(temperature=0.8, guidance=1.5))


def smoke() -> Recipe:
    """A minute on two cores: twelve seconds of drawn film, and tiny models of the real classes."""
    autoencoder = AutoencoderConfig(
        compressor=ConvolutionalConfig(channels=24, rows=8, columns=14, levels=(16, 32), hidden=32, token_width=16),
        decoder=DecoderConfig(
            unet=UNetConfig(
                channels=(32, 64), transformers=(0, 1), head_width=32, cross_width=32, pooled_width=32, size_width=8
            ),
            coarse=CoarseConfig(hidden=32, channels=(32, 16)),
            image_size=(128, 224),
        ),
    )
    return Recipe(
        name="smoke",
        ingest=IngestConfig(drawn=DrawnConfig(seconds=12, width=448, height=256)),
        keyframes=KeyframesConfig(trim=TrimSeconds(start=1, end=1), width=448, height=256),
        writer=TemplateConfig(),
        frozen=FrozenConfig(vision=LatentsConfig(), codec=PCACodecConfig(width=224, height=128, channels=24)),
        autoencoder=AutoencoderTrainingConfig(model=autoencoder, warmup_steps=20, warmup_batch=4, steps=24, batch=4),
        decoder=DecoderTrainingConfig(steps=4, batch=4),
        autoregressive=AutoregressiveTrainingConfig(
            model=AutoregressiveConfig(backbone=LlamaTinyBackbone()), steps=8, window=4, references=2
        ),
        render=RenderConfig(steps=2, references=2, generation=GenerationConfig(window=4, keep=2)),
        movie=MovieConfig(upscaler=LanczosConfig(), animator=CameraConfig(), width=448, height=256),
        evaluate=EvaluateConfig(shuffles=1),
        fit=FitConfig(checkpoint_every=10),
    )


def world() -> Recipe:
    """Hours of one CPU core: models that learn a world of drawn films, at 224x128, which the embedded ones are from."""
    return Recipe(
        name="world",
        ingest=IngestConfig(drawn=DrawnConfig(films=200)),
        keyframes=KeyframesConfig(trim=TrimSeconds(start=4, end=4), width=448, height=256),
        writer=FilmWriterConfig(share=0.7),
        snapshot=FilmsConfig(test=8),
        frozen=_frozen(),
        autoencoder=AutoencoderTrainingConfig(
            model=_autoencoder(),
            warmup_steps=3000,
            warmup_batch=32,
            warmup_learning_rate=1.5e-3,
            steps=3000,
            batch=32,
            token_noise=0.15,
            pixel_weight=4.0,
            average=0.995,
        ),
        decoder=DecoderTrainingConfig(
            steps=4500,
            warmup_steps=4000,
            batch=16,
            learning_rate=5e-4,
            token_noise=0.4,
            pixel_weight=4.0,
            face_weight=8.0,
            flip=0.5,
            average=0.995,
        ),
        autoregressive=AutoregressiveTrainingConfig(
            model=_autoregressive(), steps=5000, batch=4, learning_rate=5e-4, warmup=50, untold=0.1
        ),
        render=_render(),
        fit=FitConfig(precision="bf16", checkpoint_every=100, validate_every=1000),
    )


def gpu() -> Recipe:
    """One GPU and minutes: the embedded backends, and a decoder from scratch at 448x256, then at 896x512."""
    model = AutoencoderConfig(
        compressor=TransformerConfig(channels=1392, positions=8 * 14, token_width=256, width=384, heads=6),
        decoder=DecoderConfig(
            unet=UNetConfig(
                channels=(128, 256, 384),
                layers=2,
                transformers=(0, 1, 1),
                head_width=64,
                cross_width=384,
                pooled_width=512,
                size_width=32,
            ),
            coarse=None,
            image_size=(512, 896),
        ),
    )
    later = StageConfig(
        warmup_steps=0,
        steps=900,
        batch=12,
        learning_rate=1e-4,
        schedule="linear",
        token_noise=0.1,
        average=0.999,
    )
    return Recipe(
        name="gpu",
        frozen=FrozenConfig(
            vision=EfficientNetLite0Config(),
            width=448,
            height=256,
            codec=PCACodecConfig(width=896, height=512, block=8, channels=16, temper=0.5),
        ),
        first=FirstStageConfig(
            width=448,
            height=256,
            training=later.model_copy(update={"steps": 3500, "batch": 48, "learning_rate": 2e-4}),
        ),
        autoencoder=AutoencoderTrainingConfig(model=model, **later.model_dump()),
        decoder=DecoderTrainingConfig(steps=900, batch=12, learning_rate=1e-4, token_noise=0.1, average=0.99),
        autoregressive=AutoregressiveTrainingConfig(steps=1000),
        render=RenderConfig(
            steps=30,
            fast=FastConfig(precision="bf16", graph=True),
            generation=GenerationConfig(precision="bf16"),
        ),
        fit=FitConfig(gpus=1, threads=8, precision="bf16", validate_every=300),
        cluster=ClusterConfig(cpus=16, gpus_a_worker=1, decoders=4),
    )


def paper() -> Recipe:
    """The paper's checkpoints, sizes, schedules and data; what it leaves unsaid as docs/paper.md has it."""
    model = AutoencoderConfig(
        compressor=TransformerConfig(channels=1024, positions=16 * 16, tokens=2, token_width=256, width=1024, heads=16),
        decoder=DecoderConfig(unet=SdxlUNetConfig(), coarse=None, image_size=(512, 896)),
        diffusion=DiffusionConfig(prediction="epsilon", noise_offset=0.05),
    )
    later = StageConfig(
        warmup_steps=20_000,
        warmup_batch=8,
        warmup_learning_rate=None,
        steps=120_000,
        batch=8,
        learning_rate=2e-5,
        schedule="constant",
        token_noise=0.0,
        average=0.0,
    )
    fit = FitConfig(gpus=1, threads=8, precision="bf16", checkpoint_every=1000, validate_every=5000)
    return Recipe(
        name="paper",
        keyframes=KeyframesConfig(trim=TrimAutomatic()),
        detector=GroundingDinoConfig(),
        face=FarlConfig(),
        captioner=DeepseekVlConfig(),
        writer=LlmConfig(),
        sentence=LongClipConfig(),
        snapshot=FilmsConfig(test=100),
        frozen=FrozenConfig(vision=ClipConfig(), width=224, height=224, codec=SdxlVaeConfig(), kept=False),
        first=FirstStageConfig(
            images=(
                OpenImagesConfig(root="data/open_images"),
                JourneyDbConfig(root="data/journeydb"),
                Objects365Config(root="data/objects365"),
            ),
            width=768,
            height=768,
            training=later.model_copy(update={"learning_rate": 1e-4, "schedule": "cosine", "falls_to": 0.2}),
        ),
        autoencoder=AutoencoderTrainingConfig(model=model, **later.model_dump()),
        decoder=DecoderTrainingConfig(
            steps=120_000,
            batch=8,
            learning_rate=2e-5,
            schedule="constant",
            masked=0.2,
            dropped=0.0,
            other_face=1.0,
            token_noise=0.0,
            average=0.0,
        ),
        autoregressive=AutoregressiveTrainingConfig(
            model=AutoregressiveConfig(
                backbone=LlamaBackbone(source="meta-llama/Llama-2-7b-hf", licence="Llama 2 Community License"),
                layout="paper",
                head=GmmConfig(components=16),
                dropout=0.5,
                masking=0.15,
                noise=0.0,
                recall=False,
                attention="flex",
            ),
            steps=100_000,
            window=128,
            packing=5120,
            short_windows=0.0,
            learning_rate=2e-5,
            warmup=2000,
            schedule="constant",
            references=10,
        ),
        render=RenderConfig(
            sampler="dpm++",
            steps=25,
            learnt=1,
            fast=FastConfig(precision="bf16", compile=True, graph=True),
            generation=GenerationConfig(precision="bf16", window=128, keep=64, temperature=1.0),
        ),
        movie=MovieConfig(animator=SvdConfig()),
        evaluate=EvaluateConfig(vision=ClipConfig(), same_face=0.7),
        fit=fit,
        autoregressive_fit=fit.model_copy(update={"sharding": "fsdp", "optimizer": "adamw8bit", "recompute": True}),
        cluster=ClusterConfig(cpus=32, object_store_mb=4096, gpus_a_worker=1, decoders=16),
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {
    "smoke": smoke,
    "laptop": laptop,
    "world": world,
    "gpu": gpu,
    "paper": paper,
}


def resolve(recipe: str, overrides: Sequence[str] = (), uses: Set[str] | None = None) -> Recipe:
    """The complete settings of a recipe, some of them changed; see flows.settings.assignments.

    Args:
        uses: fields of the recipe that must fit together; all when None.

    Raises:
        ConfigError: unknown recipe or setting, a value that does not fit, or one that contradicts another.
    """
    catalogue.check("recipe", recipe, RECIPES)
    settings = derived(assign_all(RECIPES[recipe](), overrides), overrides)
    check_fit(settings, frozenset(Recipe.model_fields) if uses is None else uses)
    return settings
