"""Batches ahead of the step that takes them."""

from dataclasses import dataclass
from typing import NamedTuple

import pytest
import torch
from torch.utils._pytree import register_dataclass

from tasks.training.engine import dataloader
from tests.tasks.toy_training import STEPS, Toy


class Pair(NamedTuple):
    pixels_B: torch.Tensor
    name: str


@dataclass(frozen=True)
class Batch:
    pair: Pair
    parts: list
    faces: dict
    size: tuple = (2, 3)
    nothing: None = None


register_dataclass(Batch)
BATCH = Batch(Pair(torch.ones(2), "film"), [torch.zeros(1), 7], {"faces_BP": torch.ones(3)})


def test_all_tensors_of_a_batch_are_moved_and_the_rest_stays():
    moved = dataloader.moved(BATCH, torch.device("meta"))
    assert [tensor.device.type for tensor in dataloader.tensors(moved).values()] == ["meta"] * 3
    assert (type(moved), type(moved.pair), moved.pair.name, moved.parts[1]) == (Batch, Pair, "film", 7)
    assert (moved.size, moved.nothing) == ((2, 3), None)
    assert dataloader.moved(BATCH, torch.device("cpu")).pair.pixels_B is BATCH.pair.pixels_B


def test_tensors_are_named_by_where_they_stand():
    assert list(dataloader.tensors(BATCH)) == ["pair.pixels_B", "parts.0", "faces.faces_BP"]
    assert list(dataloader.tensors(torch.ones(1))) == ["batch"]


@pytest.mark.parametrize(("batches", "world"), [(1, 1), (4, 2), (3, 2), (5, 4)])
def test_each_batch_counts_once_and_all_workers_have_as_many(batches, world):
    taken = [list(dataloader.steps(Toy(), 20, batches, rank, world, torch.device("cpu"))) for rank in range(world)]
    assert {len(steps) for steps in taken} == {STEPS - 20}
    for step, shares in enumerate(zip(*taken, strict=True), start=20):
        assert len({len(of_worker) for of_worker in shares}) == 1
        counted = [share for of_worker in shares for share in of_worker if share.weight]
        assert sorted(share.place for share in counted) == list(range(batches))
        for share in counted:
            expected = Toy().batch(step, share.place, batches)
            assert torch.equal(share.batch["rows"], expected["rows"])


def test_what_goes_wrong_in_a_batch_comes_where_it_would_have_come():
    batches = dataloader.steps(Toy(breaks_at=2), 0, 1, 0, 1, torch.device("cpu"))
    assert [len(next(batches)) for _ in range(2)] == [1, 1]
    with pytest.raises(RuntimeError, match="broken"):
        next(batches)
