"""The settings of a run: all stages in one frozen config."""

from pydantic import BaseModel

from models.captioner import CaptionerConfig, DescriberConfig
from models.detector import DetectorConfig, MtcnnConfig
from models.face import DlibConfig, FaceConfig
from models.sentence import MiniLmConfig, SentenceConfig
from models.training.autoencoder import AutoencoderTrainingConfig
from models.training.autoregressive import AutoregressiveTrainingConfig
from models.training.decoder import DecoderTrainingConfig
from models.writer import SmolLm2Config, WriterConfig
from storage.decoding.decode import KeyframesConfig
from storage.decoding.trim import TrimSeconds
from tasks.cluster import ClusterConfig
from tasks.curation.data_card import DataCardConfig
from tasks.curation.export import ExportConfig
from tasks.curation.ingest import IngestConfig
from tasks.curation.split import HalvesConfig, SnapshotConfig
from tasks.movies.evaluate import EvaluateConfig
from tasks.movies.movie import MovieConfig
from tasks.movies.render import RenderConfig
from tasks.movies.script_movie import ScriptConfig
from tasks.movies.storyboard import StoryboardConfig
from tasks.training.engine.job import FitConfig
from tasks.training.first_stage import FirstStageConfig
from tasks.training.frozen import FrozenConfig
from tasks.training.train_autoencoder import TrainAutoencoderConfig
from tasks.training.train_autoregressive import TrainAutoregressiveConfig
from tasks.training.train_decoder import TrainDecoderConfig


class Recipe(BaseModel, frozen=True, extra="forbid"):
    """The settings of all stages, in the order of the run.

    The last four say how and where the work is done: `autoregressive_fit` how the autoregressive model is trained,
    where that is not as `fit` has it; `side_by_side`, that decoder and autoregressive model are trained at the same
    time, where the cluster has GPUs for both. Of all they hold, only what `FitConfig.identity` lists changes what comes
    out.
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
    autoregressive_fit: FitConfig | None = None
    cluster: ClusterConfig = ClusterConfig()
    side_by_side: bool = False

    def train_autoencoder(self) -> TrainAutoencoderConfig:
        return TrainAutoencoderConfig(frozen=self.frozen, first=self.first, training=self.autoencoder, fit=self.fit)

    def train_decoder(self) -> TrainDecoderConfig:
        return TrainDecoderConfig(frozen=self.frozen, training=self.decoder, fit=self.fit)

    def train_autoregressive(self) -> TrainAutoregressiveConfig:
        return TrainAutoregressiveConfig(training=self.autoregressive, fit=self.autoregressive_fit or self.fit)
