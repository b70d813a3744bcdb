"""No super-resolution: the movie has the size of its drawn pictures."""

from typing import ClassVar, Literal

from pydantic import BaseModel

from models.upscaler.upscaler import Image


class UnchangedConfig(BaseModel, frozen=True, extra="forbid"):
    """No settings."""

    kind: Literal["none"] = "none"

    revision: ClassVar[str] = "1"
    licence: ClassVar[str] = "Apache-2.0"


class Unchanged:
    """Leaves pictures alone."""

    name = "none"
    revision = UnchangedConfig.revision
    licence = UnchangedConfig.licence

    def upscale(self, image_HWC: Image, width: int, height: int) -> Image:
        """See `Upscaler.upscale`; ignores width and height."""
        return image_HWC
