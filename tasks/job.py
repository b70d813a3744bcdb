"""A training run as the driver sends it to its workers."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from storage.root import Storage

if TYPE_CHECKING:
    from models.training import Trainable
    from tasks.fit import FitConfig

PROGRESS = "progress.json"  # how far a run is: for people, dropped at its end
EVENTS = "tensorboard"  # its event files, which stay
SAMPLES = "samples"  # a picture a look at it, which stay too


@dataclass(frozen=True)
class Job:
    """A training run, as it is sent to its workers.

    Args:
        model, fingerprint: where its checkpoints lie (storage.checkpoints).
        make: builds the Trainable inside the worker, always the same one; reads its data from storage.
    """

    storage: Storage
    model: str
    fingerprint: str
    make: "Callable[[], Trainable]"
    config: "FitConfig"

    @property
    def folder(self) -> str:
        return f"checkpoints/{self.model}/{self.fingerprint}"
