"""Recipes: functions that return the complete settings of a run. A variant changes a copy."""

from collections.abc import Callable, Mapping, Sequence

from pydantic import BaseModel

from flows import catalogue
from flows.assignments import assign_all, fields
from models.autoencoder import AutoencoderConfig
from models.autoregressive import AutoregressiveConfig
from models.backbone import LlamaTinyBackbone
from models.captioner import CaptionerConfig, DescriberConfig
from models.coarse import CoarseConfig
from models.codec import PCACodecConfig
from models.compressor import CompressorConfig
from models.decoder import DecoderConfig, UNetConfig
from models.detector import DetectorConfig, MtcnnConfig
from models.face import DlibConfig, FaceConfig
from models.generate import GenerationConfig
from models.sentence import MiniLmConfig, SentenceConfig
from models.training.autoencoder import AutoencoderTrainingConfig
from models.training.autoregressive import AutoregressiveTrainingConfig
from models.training.decoder import DecoderTrainingConfig
from models.writer import SmolLm2Config, TemplateConfig, WriterConfig
from storage.decode import KeyframesConfig
from storage.errors import ConfigError
from storage.trim import TrimSeconds
from tasks.cluster import ClusterConfig
from tasks.data_card import DataCardConfig
from tasks.evaluate import EvaluateConfig
from tasks.export import ExportConfig
from tasks.fit import FitConfig
from tasks.frozen import FrozenConfig
from tasks.ingest import DrawnConfig, IngestConfig
from tasks.movie import MovieConfig
from tasks.render import RenderConfig
from tasks.split import HalvesConfig, SnapshotConfig
from tasks.storyboard import StoryboardConfig
from tasks.train_autoencoder import TrainAutoencoderConfig
from tasks.train_autoregressive import TrainAutoregressiveConfig
from tasks.train_decoder import TrainDecoderConfig


class Recipe(BaseModel, frozen=True, extra="forbid"):
    """The settings of all stages, in the order of the run.

    The last three say how and where the work is done; `side_by_side`, that decoder and autoregressive model are trained
    at the same time. Of all they hold, only what `FitConfig.identity` lists changes what comes out.
    """

    name: str = "laptop"
    ingest: IngestConfig = IngestConfig()
    keyframes: KeyframesConfig = KeyframesConfig(trim=TrimSeconds(start=4, end=4))
    detector: DetectorConfig = MtcnnConfig()
    face: FaceConfig = DlibConfig()
    captioner: CaptionerConfig = DescriberConfig()
    writer: WriterConfig = SmolLm2Config()
    sentence: SentenceConfig = MiniLmConfig()
    snapshot: SnapshotConfig = HalvesConfig()
    frozen: FrozenConfig = FrozenConfig()
    autoencoder: AutoencoderTrainingConfig = AutoencoderTrainingConfig()
    decoder: DecoderTrainingConfig = DecoderTrainingConfig()
    autoregressive: AutoregressiveTrainingConfig = AutoregressiveTrainingConfig()
    render: RenderConfig = RenderConfig()
    movie: MovieConfig = MovieConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    storyboard: StoryboardConfig = StoryboardConfig()
    data_card: DataCardConfig = DataCardConfig()
    export: ExportConfig = ExportConfig()
    fit: FitConfig = FitConfig()
    cluster: ClusterConfig = ClusterConfig()
    side_by_side: bool = False

    def train_autoencoder(self) -> TrainAutoencoderConfig:
        return TrainAutoencoderConfig(frozen=self.frozen, training=self.autoencoder, fit=self.fit)

    def train_decoder(self) -> TrainDecoderConfig:
        return TrainDecoderConfig(frozen=self.frozen, training=self.decoder, fit=self.fit)

    def train_autoregressive(self) -> TrainAutoregressiveConfig:
        return TrainAutoregressiveConfig(training=self.autoregressive, fit=self.fit)


def laptop() -> Recipe:
    """Two CPU cores, a quarter of an hour, the embedded backends: the defaults of all settings."""
    return Recipe(name="laptop")


def smoke() -> Recipe:
    """A minute on two cores: twelve seconds of drawn film, and tiny models of the real classes."""
    autoencoder = AutoencoderConfig(
        compressor=CompressorConfig(width=64, token_width=16),
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
        frozen=FrozenConfig(codec=PCACodecConfig(width=224, height=128, channels=24)),
        autoencoder=AutoencoderTrainingConfig(model=autoencoder, warmup_steps=20, warmup_batch=4, steps=24, batch=4),
        decoder=DecoderTrainingConfig(steps=4, batch=4),
        autoregressive=AutoregressiveTrainingConfig(
            model=AutoregressiveConfig(backbone=LlamaTinyBackbone(), width=16), steps=8, window=4, references=2
        ),
        render=RenderConfig(
            width=448, height=256, steps=2, references=2, generation=GenerationConfig(window=4, keep=2)
        ),
        evaluate=EvaluateConfig(shuffles=1),
        fit=FitConfig(checkpoint_every=10),
    )


RECIPES: Mapping[str, Callable[[], Recipe]] = {"smoke": smoke, "laptop": laptop}


def resolve(recipe: str, overrides: Sequence[str] = ()) -> Recipe:
    """The recipe of that name with some settings changed; see flows.assignments.

    Raises:
        ConfigError: unknown recipe or setting, or a value that does not fit.
    """
    catalogue.check("recipe", recipe, RECIPES)
    settings = assign_all(RECIPES[recipe](), overrides)
    _check_fit(settings)
    return settings


def _check_fit(settings: Recipe) -> None:
    """Raises a ConfigError that names both settings where one model would not take what another makes."""
    compressor, decoder = "autoencoder.model.compressor", "autoencoder.model.decoder"
    values = fields(settings)
    for mine, other in (
        ("autoregressive.model.tokens", f"{compressor}.tokens"),
        ("autoregressive.model.width", f"{compressor}.token_width"),
        ("autoregressive.model.sentence_width", f"{decoder}.sentence_width"),
        ("autoregressive.model.face_width", f"{decoder}.face_width"),
    ):
        if values[mine] != values[other]:
            raise ConfigError(
                f"{mine}={values[mine]} does not go with {other}={values[other]}: set both to the same number"
            )
    for backend, given, wanted in (
        ("sentence", settings.sentence.width, f"{decoder}.sentence_width"),
        ("face", settings.face.width, f"{decoder}.face_width"),
    ):
        if given != values[wanted]:
            raise ConfigError(
                f"{backend}.kind={values[f'{backend}.kind']} gives {given} numbers, {wanted}={values[wanted]} does "
                f"not go with it: set it, and autoregressive.model.{wanted.rsplit('.', 1)[-1]}, to {given}"
            )
    compared, kept = _embedding(settings.evaluate.face), _embedding(settings.face)
    for name in ("kind", *(compared | kept)):
        if compared.get(name) != kept.get(name):
            raise ConfigError(
                f"evaluation compares its faces with those of the snapshot, by other vectors: "
                f"evaluate.face.{name}={compared.get(name)} and face.{name}={kept.get(name)}: set both to the same"
            )


def _embedding(face: FaceConfig) -> dict[str, object]:
    """What an embedder's vectors depend on: those of two checkpoints can't be compared, however wide they are."""
    return face.model_dump(exclude={"finder", "quality", "clustering", "batch"})
