"""Steps for shapes alone: they are the training loop's own, and count what it takes."""

import torch

from flows.recipes import resolve
from models.autoencoder.diffusion import alphas_cumprod
from tasks.plan import steps
from tasks.plan.ledger import Ledger
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


def test_recomputing_takes_less_memory_and_more_operations() -> None:
    plain, again = (
        steps.tokens(resolve("smoke", [f"fit.recompute={recompute}"]).train_autoregressive())
        for recompute in ("false", "true")
    )
    assert again.activations < plain.activations
    assert again.flops > plain.flops
    assert again.weights == plain.weights


def test_shards_share_weights_gradients_and_moments_out() -> None:
    change = ["autoregressive.model.backbone.layers=4", "fit.workers=4"]
    whole, shared = (
        steps.tokens(resolve("smoke", [*change, f"fit.sharding={sharding}"]).train_autoregressive())
        for sharding in ("ddp", "fsdp")
    )
    assert abs(shared.gradients - whole.gradients / 4) <= 1
    assert shared.moments < whole.moments / 3
    assert shared.gathered
    assert not whole.gathered


def test_what_a_step_holds_is_what_the_loop_counts_before_its_first_one_and_activations() -> None:
    config = resolve("smoke").train_autoencoder()
    told, real = steps.stage_two(config), steps.autoencoder(config.training, config.frozen)
    kept = memory.estimate(real.module, real.parameters(real.steps - 1), "adamw", "ddp", 1)
    assert told.bytes - told.activations == kept.total
    assert told.activations > 0


def test_a_step_for_shapes_leaves_nothing_without_numbers_behind() -> None:
    steps.stage_two(resolve("smoke", ["autoencoder.model.diffusion.prediction=epsilon"]).train_autoencoder())
    assert float(alphas_cumprod(torch.device("cpu"))[0]) > 0.9
