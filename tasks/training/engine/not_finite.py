"""A loss that is not finite stops the run; the batches of its step are stored, so that one can find the cause."""

import math
import tempfile
from collections.abc import Mapping
from pathlib import Path

import torch

from storage.errors import MovieDreamerError
from tasks.training.engine.dataloader import tensors
from tasks.training.engine.figures import Taken
from tasks.training.engine.job import Job


class DivergedError(MovieDreamerError):
    """The loss is not finite; the message names the step and the file with its batches."""


def stop_unless_finite(
    job: Job, rank: int, world: int, taken: Taken, figures: Mapping[str, float], norm: float
) -> None:
    """Raises DivergedError on all workers if a figure or the gradient is not finite; each stores its batches."""
    if all(map(math.isfinite, (norm, *figures.values()))):
        return
    rel = f"{job.folder}/not_finite/{taken.step:06d}-{rank}.safetensors"
    found = {name: tensor for share in taken.shares for name, tensor in _named(share.place, share.batch).items()}
    _keep(job, rel, found)
    bad = [name for name, tensor in found.items() if not bool(torch.isfinite(tensor).all())]
    said = [f"{', '.join(bad)} in {job.storage.url(rel)!r}"] if bad else []
    if world > 1:
        everyone: list[list[str]] = [[] for _ in range(world)]
        torch.distributed.all_gather_object(everyone, said)
        said = [one for each in everyone for one in each]
    cause = (
        f"its data is not finite: {'; '.join(said)}. Check the pictures and features that it was made from"
        if said
        else "the data of its batches is finite; lower the learning rate"
    )
    raise DivergedError(
        f"the loss is not finite at step {taken.step}: {dict(figures)}, gradient norm {norm}; {cause}. The step's "
        f"batches are kept in {job.storage.url(rel)!r}"
    )


def _named(place: int, batch: object) -> dict[str, torch.Tensor]:
    return {f"{place}.{name}": tensor.detach().cpu().contiguous().clone() for name, tensor in tensors(batch).items()}


def _keep(job: Job, rel: str, found: dict[str, torch.Tensor]) -> None:
    from safetensors.torch import save_file

    with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
        file = Path(scratch) / "batches"
        save_file(found, file)
        job.storage.upload(file, rel)
