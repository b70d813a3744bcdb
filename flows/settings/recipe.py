"""The settings of a run: all stages in one frozen config."""

from pydantic import BaseModel, Field

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
from tasks.curation.dedup import DedupConfig
from tasks.curation.export import ExportConfig
from tasks.curation.ingest import IngestConfig
from tasks.curation.split import HalvesConfig, SnapshotConfig
from tasks.figures.measure import EvaluateConfig
from tasks.movies.movie import MovieConfig
from tasks.movies.render import RenderConfig
from tasks.movies.script_movie import ScriptConfig
from tasks.movies.stories.accept import AcceptConfig
from tasks.movies.stories.plan import StoriesConfig
from tasks.movies.stories.soundtrack import SoundConfig
from tasks.movies.storyboard import StoryboardConfig
from tasks.training.engine.job import FitConfig
from tasks.training.first_stage import FirstStageConfig
from tasks.training.frozen import FrozenConfig
from tasks.training.train_autoencoder import TrainAutoencoderConfig
from tasks.training.train_autoregressive import TrainAutoregressiveConfig
from tasks.training.train_decoder import TrainDecoderConfig


class Recipe(BaseModel, frozen=True, extra="forbid"):
    """The settings of all stages, in the order of the run.

    The settings from `fit` on say how and where work is done; of these only `FitConfig.identity` changes the results.
    """

    name: str = Field("laptop", description="name of the recipe")
    ingest: IngestConfig = Field(IngestConfig(), description="films to work on")
    keyframes: KeyframesConfig = Field(
        KeyframesConfig(trim=TrimSeconds(start=4, end=4)), description="how keyframes are taken from films"
    )
    dedup: DedupConfig = Field(DedupConfig(), description="films that show the same pictures")
    detector: DetectorConfig = Field(MtcnnConfig(), description="detector of people")
    face: FaceConfig = Field(DlibConfig(), description="face detector and face embedder")
    captioner: CaptionerConfig = Field(DescriberConfig(), description="captioner of keyframes and people")
    writer: WriterConfig = Field(SmolLm2Config(), description="script writer: scene elements and plots from captions")
    sentence: SentenceConfig = Field(MiniLmConfig(), description="sentence encoder of scripts")
    snapshot: SnapshotConfig = Field(HalvesConfig(), description="split into training and held-out keyframes")
    frozen: FrozenConfig = Field(
        FrozenConfig(), description="frozen parts of the autoencoder: image encoder and latent codec"
    )
    first: FirstStageConfig | None = Field(
        None, description="stage 1 of the autoencoder, on sets of images; null: it starts with stage 2"
    )
    autoencoder: AutoencoderTrainingConfig = Field(
        AutoencoderTrainingConfig(), description="stage 2 of the autoencoder, on keyframes"
    )
    decoder: DecoderTrainingConfig = Field(
        DecoderTrainingConfig(), description="stage 3: training of the identity-preserving decoder"
    )
    autoregressive: AutoregressiveTrainingConfig = Field(
        AutoregressiveTrainingConfig(), description="the autoregressive model and its training"
    )
    render: RenderConfig = Field(RenderConfig(), description="how keyframes are drawn")
    movie: MovieConfig = Field(MovieConfig(), description="how keyframes become a movie")
    script: ScriptConfig = Field(ScriptConfig(), description="a script of your own")
    sound: SoundConfig = Field(SoundConfig(), description="what is heard in a story's movie")
    stories: StoriesConfig = Field(StoriesConfig(), description="how stories become movies")
    accept: AcceptConfig = Field(AcceptConfig(), description="thresholds that fail a batch of the queue's movies")
    evaluate: EvaluateConfig = Field(EvaluateConfig(), description="what the figures are measured with")
    storyboard: StoryboardConfig = Field(StoryboardConfig(), description="what the storyboard shows")
    data_card: DataCardConfig = Field(DataCardConfig(), description="what the data card shows")
    export: ExportConfig = Field(ExportConfig(), description="export as WebDataset shards")
    fit: FitConfig = Field(FitConfig(), description="how models are trained: workers, precision, checkpoints")
    autoregressive_fit: FitConfig | None = Field(
        None, description="how the autoregressive model is trained; null: as in fit"
    )
    cluster: ClusterConfig = Field(ClusterConfig(), description="workers and resources of Ray")
    side_by_side: bool = Field(
        False,
        description="train decoder and autoregressive model at the same time, where the cluster has GPUs for both",
    )

    def train_autoencoder(self) -> TrainAutoencoderConfig:
        return TrainAutoencoderConfig(frozen=self.frozen, first=self.first, training=self.autoencoder, fit=self.fit)

    def train_decoder(self) -> TrainDecoderConfig:
        return TrainDecoderConfig(frozen=self.frozen, training=self.decoder, fit=self.fit)

    def train_autoregressive(self) -> TrainAutoregressiveConfig:
        return TrainAutoregressiveConfig(training=self.autoregressive, fit=self.autoregressive_fit or self.fit)
