"""Person detectors. The paper keeps at most five people per frame (Appendix C).

To add one, write a file with a class and a config, and add it to the union and to `build`.
"""

from typing import Annotated

from pydantic import Field

from models.detector.detector import Person, PersonDetector
from models.detector.grounding_dino import GroundingDino, GroundingDinoConfig
from models.detector.groundingdino_py import GroundingDinoPy, GroundingDinoPyConfig
from models.detector.mtcnn import MtcnnConfig, MtcnnDetector

DetectorConfig = Annotated[MtcnnConfig | GroundingDinoConfig | GroundingDinoPyConfig, Field(discriminator="kind")]


def build(config: DetectorConfig) -> PersonDetector:
    """The person detector that `config` describes."""
    match config:
        case MtcnnConfig():
            return MtcnnDetector(config)
        case GroundingDinoConfig():
            return GroundingDino(config)
        case GroundingDinoPyConfig():
            return GroundingDinoPy(config)


__all__ = [
    "DetectorConfig",
    "GroundingDinoConfig",
    "GroundingDinoPyConfig",
    "MtcnnConfig",
    "Person",
    "PersonDetector",
    "build",
]
