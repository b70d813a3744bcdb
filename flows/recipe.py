"""The settings of a run: all stages in one frozen config, and what must fit together in it."""

from pydantic import BaseModel

from flows.assignments import fields
from models.captioner import CaptionerConfig, DescriberConfig
from models.detector import DetectorConfig, MtcnnConfig
from models.face import DlibConfig, FaceConfig
from models.sentence import MiniLmConfig, SentenceConfig
from models.training.autoencoder import AutoencoderTrainingConfig
from models.training.autoregressive import AutoregressiveTrainingConfig
from models.training.decoder import DecoderTrainingConfig
from models.writer import SmolLm2Config, WriterConfig
from storage.decode import KeyframesConfig
from storage.errors import ConfigError
from storage.trim import TrimSeconds
from tasks.cluster import ClusterConfig
from tasks.data_card import DataCardConfig
from tasks.evaluate import EvaluateConfig
from tasks.export import ExportConfig
from tasks.first_stage import FirstStageConfig
from tasks.frozen import FrozenConfig
from tasks.ingest import IngestConfig
from tasks.job import FitConfig
from tasks.movie import MovieConfig
from tasks.render import RenderConfig
from tasks.script_movie import ScriptConfig
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
    first: FirstStageConfig | None = None
    autoencoder: AutoencoderTrainingConfig = AutoencoderTrainingConfig()
    decoder: DecoderTrainingConfig = DecoderTrainingConfig()
    autoregressive: AutoregressiveTrainingConfig = AutoregressiveTrainingConfig()
    render: RenderConfig = RenderConfig()
    movie: MovieConfig = MovieConfig()
    script: ScriptConfig = ScriptConfig()
    evaluate: EvaluateConfig = EvaluateConfig()
    storyboard: StoryboardConfig = StoryboardConfig()
    data_card: DataCardConfig = DataCardConfig()
    export: ExportConfig = ExportConfig()
    fit: FitConfig = FitConfig()
    cluster: ClusterConfig = ClusterConfig()
    side_by_side: bool = False

    def train_autoencoder(self) -> TrainAutoencoderConfig:
        return TrainAutoencoderConfig(frozen=self.frozen, first=self.first, training=self.autoencoder, fit=self.fit)

    def train_decoder(self) -> TrainDecoderConfig:
        return TrainDecoderConfig(frozen=self.frozen, training=self.decoder, fit=self.fit)

    def train_autoregressive(self) -> TrainAutoregressiveConfig:
        return TrainAutoregressiveConfig(training=self.autoregressive, fit=self.fit)


def check_fit(settings: Recipe) -> None:
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
    first = settings.first
    if first and settings.autoencoder.model.decoder.coarse and {*first.sizes} - {(first.height, first.width)}:
        raise ConfigError(
            f"first.sizes={[list(size) for size in first.sizes]} are several shapes, and a coarse head draws one: set "
            f"{decoder}.coarse=null, or first.sizes=[] for pictures of first.width and first.height"
        )
    if settings.movie.variant not in settings.render.variants:
        raise ConfigError(
            f"movie.variant={settings.movie.variant} is not among render.variants={list(settings.render.variants)}: "
            "add it there"
        )


def _embedding(face: FaceConfig) -> dict[str, object]:
    """What an embedder's vectors depend on: those of two checkpoints can't be compared, however wide they are."""
    return face.model_dump(exclude={"finder", "quality", "clustering", "batch"})
