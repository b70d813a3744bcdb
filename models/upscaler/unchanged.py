"""No super-resolution: the movie has the size of its drawn pictures."""

from typing import Literal

from pydantic import BaseModel

from models.upscaler.upscaler import Image


class UnchangedConfig(BaseModel, frozen=True, extra="forbid"):
    """No settings."""

    kind: Literal["none"] = "none"

    @property
    def revision(self) -> str:
        return Unchanged.revision

    @property
    def licence(self) -> str:
        return Unchanged.licence


class Unchanged:
    """Leaves pictures alone."""

    name = "none"
    revision = "1"
    licence = "Apache-2.0"

    def upscale(self, image_HWC: Image, width: int, height: int) -> Image:
        """See `Upscaler.upscale`; ignores width and height."""
        return image_HWC
