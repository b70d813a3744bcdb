"""The curves of a training run for TensorBoard: event files beside the run, in its folder in the storage."""

import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from storage.decoding.pictures import encode
from tasks.training.engine.job import EVENTS, SAMPLES, Job

_QUALITY = 90


class Board:
    """Writes events, which gather in a local folder until they are uploaded."""

    def __init__(self, job: Job, done: int, memory: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._storage, self._run, self._rel = job.storage, job.folder, f"{job.folder}/{EVENTS}"
        self._scratch = tempfile.TemporaryDirectory(prefix="moviedreamer-")
        # events of steps that a killed run did and this one does again don't count
        self._writer = SummaryWriter(self._scratch.name, purge_step=done)  # type: ignore[no-untyped-call]
        self._writer.add_text("memory of a worker", memory, done)  # type: ignore[no-untyped-call]

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

    def picture(self, step: int, picture_3HW: Tensor) -> None:
        """Also as a file, for who has no TensorBoard."""
        self._writer.add_image("samples", picture_3HW, step)  # type: ignore[no-untyped-call]
        pixels_HW3 = (picture_3HW.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        image = encode(pixels_HW3, _QUALITY)
        self._storage.write_bytes(f"{self._run}/{SAMPLES}/{step:06d}.webp", image)

    def upload(self) -> None:
        """Brings what was written so far into the storage."""
        self._writer.flush()  # type: ignore[no-untyped-call]
        self._storage.upload(Path(self._scratch.name), self._rel)

    def close(self) -> None:
        self._writer.close()  # type: ignore[no-untyped-call]
        self.upload()
