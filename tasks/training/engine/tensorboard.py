"""The curves of a training run as event files for TensorBoard, in the run's folder in the storage."""

import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch import Tensor

from storage.decoding.pictures import encode
from tasks.training.engine.job import EVENTS, SAMPLES, Job

_QUALITY = 90


class Board:
    """Writes events to a local folder, and uploads them."""

    def __init__(self, job: Job, done: int, memory: str) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._storage, self._run, self._rel = job.storage, job.folder, f"{job.folder}/{EVENTS}"
        self._scratch = tempfile.TemporaryDirectory(prefix="moviedreamer-")
        # TensorBoard ignores events of steps that a killed run did and this run repeats
        self._writer = SummaryWriter(self._scratch.name, purge_step=done)  # type: ignore[no-untyped-call]
        self._writer.add_text("memory of a worker", memory, done)  # type: ignore[no-untyped-call]

    def figures(self, step: int, figures: Mapping[str, float]) -> None:
        for name, value in figures.items():
            self._writer.add_scalar(name, value, step)  # type: ignore[no-untyped-call]

    def picture(self, step: int, picture_3HW: Tensor) -> None:
        """Writes a picture, also as a file for people without TensorBoard."""
        self._writer.add_image("samples", picture_3HW, step)  # type: ignore[no-untyped-call]
        pixels_HW3 = (picture_3HW.clamp(0, 1) * 255).round().byte().permute(1, 2, 0).numpy()
        image = encode(pixels_HW3, _QUALITY)
        self._storage.write_bytes(f"{self._run}/{SAMPLES}/{step:06d}.webp", image)

    def upload(self) -> None:
        """Uploads all events so far to the storage: a copy, because the training goes on and writes more."""
        self._writer.flush()  # type: ignore[no-untyped-call]
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as copy:
            shutil.copytree(self._scratch.name, copy, dirs_exist_ok=True)
            self._storage.upload(Path(copy), self._rel)

    def close(self) -> None:
        self._writer.close()  # type: ignore[no-untyped-call]
        self.upload()
