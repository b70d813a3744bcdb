"""A storage with tiny models of the real classes, and small stories to render with them."""

from pathlib import Path

import torch

from models.animator import CameraConfig
from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.generate import GenerationConfig
from models.backbone import LlamaTinyBackbone
from models.face import DlibConfig
from models.sentence import MiniLmConfig
from models.upscaler import LanczosConfig
from models.vision import EfficientNetLite0Config
from models.voice import SilentConfig
from storage.root import Storage
from storage.stories.story import Named, Scene, Shot, Story
from tasks.movies.movie import MovieConfig
from tasks.movies.render import RenderConfig
from tasks.movies.stories.gate import GateConfig
from tasks.movies.stories.plan import Models, Settings, StoriesConfig
from tasks.movies.stories.soundtrack import SoundConfig
from tasks.training.frozen import FrozenConfig
from tests.tasks import tiny_autoencoder

SETTINGS = Settings(
    Models("models/autoencoder", "models/autoencoder", "models/autoregressive"),
    MiniLmConfig(),
    DlibConfig(),
    FrozenConfig(vision=EfficientNetLite0Config(), codec=tiny_autoencoder.CODEC, width=64, height=32),
    RenderConfig(steps=1, generation=GenerationConfig(window=4, keep=2, temperature=0.5)),
    MovieConfig(upscaler=LanczosConfig(), animator=CameraConfig(), width=96, height=48, fps=4),
    SoundConfig(voice=SilentConfig(), music=False),
    StoriesConfig(gate=GateConfig(tries=1)),
)


def storage(folder: Path) -> Storage:
    """With an autoencoder and an autoregressive model that nobody trained."""
    torch.set_num_threads(1)  # as in Ray's actors: other numbers of threads give other bits
    place = Storage(str(folder))
    tiny_autoencoder.save(folder / "models" / "autoencoder")
    config = AutoregressiveConfig(
        backbone=LlamaTinyBackbone(hidden=32, layers=2), tokens=2, width=16, sentence_width=384, face_width=128
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = AutoregressiveModel.create(config)
        with torch.no_grad():
            model.head.linear.weight.mul_(20)  # so that what stands before matters
        model.save_pretrained(folder / "models" / "autoregressive")
    return place


def story(lines: int = 6, scenes: int = 2, title: str = "The door", **changes: object) -> Story:
    """`lines` plot lines in shots of one or two."""
    each = lines // scenes
    cast = (Named(name="Anna", description="A woman with red hair."), Named(name="Ben"))
    made = []
    for scene in range(scenes):
        texts = [f"Anna does thing {scene}.{line}." for line in range(each)]
        shots = [Shot(characters=("Anna",), plots=tuple(texts[start : start + 2])) for start in range(0, each, 2)]
        made.append(Scene(title=f"Scene {scene}", place="kitchen", shots=tuple(shots)))
    places = (Named(name="kitchen", description="A kitchen with a table."),)
    return Story(title=title, style="A drawn film.", cast=cast, places=places, scenes=tuple(made)).model_copy(
        update=changes
    )


def edited(one: Story, number: int, **changes: object) -> Story:
    """The same with another shot of that number."""
    scenes, before = [], 0
    for scene in one.scenes:
        shots = [
            shot.model_copy(update=changes) if before + place == number else shot
            for place, shot in enumerate(scene.shots, start=1)
        ]
        before += len(shots)
        scenes.append(scene.model_copy(update={"shots": tuple(shots)}))
    return one.model_copy(update={"scenes": tuple(scenes)})
