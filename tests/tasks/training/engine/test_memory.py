"""What a training keeps on a device is told before it begins."""

import pytest
from torch import nn

from storage.errors import ConfigError
from tasks.training.engine.memory import check_fits, estimate


def module() -> nn.Module:
    """1,000 trained parameters of 4 bytes, and 500 that no step trains."""
    return nn.ModuleDict({"live": nn.Linear(10, 100, bias=False), "average": nn.Linear(5, 100, bias=False)})


@pytest.mark.parametrize(
    ("kind", "sharding", "expected"),
    [
        ("adamw", "ddp", (4000, 2000, 4000, 8000)),
        ("adamw8bit", "ddp", (4000, 2000, 4000, 2000)),
        ("adamw", "fsdp", (1000, 500, 1000, 2000)),
    ],
)
def test_bytes_of_each_part(kind, sharding, expected):
    both = module()
    found = estimate(both, both["live"].parameters(), kind, sharding, 4)
    assert (found.parameters, found.average, found.gradients, found.optimizer) == expected


def test_what_does_not_fit_says_what_to_change():
    both = module()
    needed = estimate(both, both["live"].parameters(), "adamw", "ddp", 4)
    check_fits(needed, 18_000, "ddp", "adamw")
    with pytest.raises(ConfigError, match=r"fit.sharding=fsdp with more fit.workers, fit.optimizer=adamw8bit or a"):
        check_fits(needed, 17_999, "ddp", "adamw")
    with pytest.raises(ConfigError, match=r"use more fit.workers or a smaller model"):
        check_fits(needed, 100, "fsdp", "adamw8bit")
