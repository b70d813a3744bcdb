"""Loads parts of SDXL base from a folder or hub id, of the whole model or of one part; no tensor may be missing."""

from typing import Any, ClassVar, Literal

from pydantic import Field

from models.weights.checkpoint import CheckpointConfig, find, identity, missing, pretrained

BASE = "stabilityai/stable-diffusion-xl-base-1.0"


class SdxlPartConfig(CheckpointConfig, frozen=True, extra="forbid"):
    """One part of an SDXL checkpoint in diffusers' layout."""

    part: ClassVar[str]
    not_identity: ClassVar[tuple[str, ...]] = ("source", "hub_revision")

    source: str = Field(
        BASE, description="folder or hub id with the part in its subfolder, or a folder that is the part"
    )
    variant: Literal["", "fp16"] = Field(
        "", description="fp16 for files that diffusers saved under that name; weights are float32 once loaded"
    )

    @property
    def revision(self) -> str:
        """Revision of only this part; raises CheckpointError if `source` is a folder that does not exist."""
        found = identity(self.origin, self._place(), self.hub_revision)
        return found if find(self.source) else f"{found} {self.part}"

    def load(self, kind: Any) -> Any:
        """The diffusers model of class `kind`, frozen, float32.

        Raises:
            CheckpointError: it can't be loaded, or a tensor is missing or has another shape; the message names one.
        """
        import torch

        options: dict[str, Any] = {"low_cpu_mem_usage": False, "dtype": torch.float32}
        options |= {} if find(self.source) else {"subfolder": self.part}
        options |= {"variant": self.variant} if self.variant else {}
        try:
            return pretrained(self.origin, kind, self._place(), self.hub_revision, **options)
        except RuntimeError as error:  # a tensor of another shape
            why = " ".join(str(error).split("\n\t")[1:2]) or str(error)
            raise missing(self.origin, self.source, f"it has other weights than its config says: {why}") from error

    def _place(self) -> str:
        path = find(self.source)
        if path is None:
            return self.source
        return str(path / self.part if (path / self.part).is_dir() else path)
