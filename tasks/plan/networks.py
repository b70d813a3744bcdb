"""The pretrained networks that stages load, at their true size and without weights."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from models.animator import SvdConfig
from models.captioner import DeepseekVlConfig
from models.detector import GroundingDinoConfig
from models.face import FarlConfig
from models.sentence import LongClipConfig
from models.vision import ClipConfig
from models.weights import shapes
from models.writer import LlmConfig


def parameters(backend: BaseModel) -> int | None:
    """Numbers of a backend's network, None of one whose weights come inside a package or stay on a server.

    Raises:
        CheckpointError: when the sizes of the checkpoint are neither here nor published.
    """
    with shapes.only():
        found = _networks(backend)
    return sum(one.numel() for network in found.values() for one in network.parameters()) if found else None


def _networks(backend: BaseModel) -> Mapping[str, Any]:
    match backend:
        case GroundingDinoConfig():
            from models.detector.grounding_dino import network as detector

            return {"": detector(backend)}
        case FarlConfig():
            from models.face.farl import network as face

            return {"": face(backend)}
        case DeepseekVlConfig():
            from models.captioner.deepseek_vl import network as captioner

            return {"": captioner(backend)}
        case LlmConfig():
            from models.writer.llm import network as writer

            return {"": writer(backend)}
        case LongClipConfig():
            from models.sentence.longclip import network as sentence

            return {"": sentence(backend)}
        case ClipConfig():
            from models.vision import build

            return {"": build(backend)}
        case SvdConfig():
            from models.animator.svd import networks

            return networks(backend)
    return {}
