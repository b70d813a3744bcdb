"""Steps for shapes alone: they are the training loop's own, and count what it takes."""

import torch
from torch import nn

from flows.settings.recipes import resolve
from models.autoencoder.diffusion import alphas_cumprod
from tasks.plan import steps
from tasks.plan.ledger import GpuAutocast, Ledger
from tasks.training.engine import memory


def test_a_ledger_counts_what_lives_and_what_is_multiplied() -> None:
    ledger = Ledger()
    with ledger:
        left, right = torch.zeros(100, 200), torch.zeros(200, 50)
        assert ledger.live == 4 * (100 * 200 + 200 * 50)
        made = left @ right
        del left, right
    assert (ledger.live, ledger.flops) == (4 * made.numel(), 2 * 100 * 200 * 50)
    assert ledger.peak == 4 * (100 * 200 + 200 * 50 + 100 * 50)


def test_norms_read_32_bits_under_the_autocast_of_gpus() -> None:
    ledger, norm = Ledger(), nn.LayerNorm(8)
    with ledger, torch.autocast("cpu", torch.bfloat16):
        hidden = torch.zeros(2, 8, dtype=torch.bfloat16)
        norm.to(torch.device("cpu"))
        assert norm(hidden).dtype == torch.bfloat16
        with GpuAutocast():
            assert norm(hidden).dtype == torch.float32


def test_recomputing_and_shards_take_less_memory() -> None:
    deep = "autoregressive.model.backbone.layers=4"
    plain, again, shared = (
        steps.tokens(resolve("smoke", [deep, *changed]).train_autoregressive())
        for changed in ([], ["fit.recompute=true"], ["fit.workers=4", "fit.sharding=fsdp"])
    )
    assert again.activations < plain.activations
    assert again.flops > plain.flops
    assert again.weights == plain.weights
    assert abs(shared.gradients - plain.gradients / 4) <= 1
    assert shared.moments < plain.moments / 3
    assert shared.gathered
    assert not plain.gathered


def test_a_step_holds_what_the_loop_counts_before_its_first_one_and_activations() -> None:
    config = resolve("smoke", ["autoencoder.model.diffusion.prediction=epsilon"]).train_autoencoder()
    told, real = steps.stage_two(config), steps.autoencoder(config.training, config.frozen)
    kept = memory.estimate(real.module, real.parameters(real.steps - 1), "adamw", "ddp", 1)
    assert told.bytes - told.activations == kept.total
    assert told.activations > 0
    assert float(alphas_cumprod(torch.device("cpu"))[0]) > 0.9  # what all later calls get has numbers
