"""AdamW in 32 and in 8 bits: rates are set as each wants them, and moments of 8 bits are saved as plain ones."""

import pytest
import torch

from models.training.optimizer import MissingLibraryError, build, in_8_bits_again, in_32_bits, set_rate, step


@pytest.mark.parametrize("rate", [0.5, torch.tensor(0.5)])
def test_a_rate_stays_what_it_was_number_or_tensor(rate) -> None:
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.ones(1))], lr=rate)
    set_rate(optimizer, 0.25)
    (group,) = optimizer.param_groups
    assert type(group["lr"]) is type(rate)
    assert float(group["lr"]) == 0.25


def test_plain_optimizers_keep_their_moments() -> None:
    parameter = torch.nn.Parameter(torch.ones(4))
    optimizer = build("adamw", [parameter], (0.9, 0.95), 0.0)
    parameter.grad = torch.ones(4)
    optimizer.step()
    moment = optimizer.state[parameter]["exp_avg"]
    in_8_bits_again(optimizer)
    assert optimizer.state[parameter]["exp_avg"] is moment
    assert in_32_bits(moment) is moment


def trained(kind: str, gradients: list[float], sound: list[bool] | None = None) -> torch.Tensor:
    """Where a parameter stands after steps with these gradients; by plain steps when none is said to be sound."""
    parameter = torch.nn.Parameter(torch.ones(4))
    fused = build("adamw", [parameter], (0.9, 0.95), 0.1)
    optimizer = fused if kind == "fused" else torch.optim.AdamW([parameter], betas=(0.9, 0.95), weight_decay=0.1)
    for number, gradient in enumerate(gradients):
        set_rate(optimizer, 1e-2)
        parameter.grad = torch.full((4,), gradient)
        if sound is None:
            optimizer.step()
        else:
            step(optimizer, torch.tensor(sound[number]))
    return parameter.detach()


@pytest.mark.parametrize("kind", ["fused", "plain"])
def test_a_sound_step_is_the_optimizers_own_bit_for_bit(kind: str) -> None:
    assert torch.equal(trained(kind, [1.0, -0.3, 0.2], [True] * 3), trained(kind, [1.0, -0.3, 0.2]))


def test_a_step_that_is_not_sound_is_none() -> None:
    taken = trained("fused", [1.0, float("nan"), float("inf"), 0.2], [True, False, False, True])
    assert torch.equal(taken, trained("fused", [1.0, 0.2]))


def test_an_optimizer_without_a_flag_takes_a_step_that_is_not_sound_with_gradients_of_zero() -> None:
    taken = trained("plain", [1.0, float("nan"), 0.2], [True, False, True])
    assert torch.equal(taken, trained("plain", [1.0, 0.0, 0.2]))


def test_moments_of_8_bits_come_back_from_plain_ones() -> None:
    pytest.importorskip("torchao")
    parameter = torch.nn.Parameter(torch.ones(64, 64))
    optimizer = build("adamw8bit", [parameter], (0.9, 0.95), 0.0)
    for _ in range(2):
        set_rate(optimizer, 1e-3)
        parameter.grad = torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
        optimizer.step()
    before = dict(optimizer.state[parameter])
    for name in ("exp_avg", "exp_avg_sq"):
        optimizer.state[parameter][name] = in_32_bits(before[name])
        assert type(optimizer.state[parameter][name]) is torch.Tensor
    in_8_bits_again(optimizer)
    for name in ("exp_avg", "exp_avg_sq"):
        equal = optimizer.state[parameter][name].codes == before[name].codes
        assert equal.float().mean() > 0.99  # some lie between two codes


def test_a_missing_library_is_named(monkeypatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "torchao.optim", None)
    with pytest.raises(MissingLibraryError, match="pip install torchao"):
        build("adamw8bit", [torch.nn.Parameter(torch.ones(1))], (0.9, 0.95), 0.0)
