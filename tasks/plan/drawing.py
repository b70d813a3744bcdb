"""A turn of generation and a batch of drawn keyframes for shapes alone, by the code that renders movies."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.diffusion import alphas_cumprod, predict
from models.autoencoder.fast import FastDecoder
from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.script_tokens import lay_out
from models.autoregressive.turns import Turns
from models.device import on
from models.weights import shapes
from tasks.movies.render import BATCH, RenderConfig
from tasks.plan.ledger import Ledger
from tasks.plan.steps import film
from tasks.training.frozen import FrozenConfig, frozen_codec


@dataclass(frozen=True)
class Call:
    """Of one call: numbers of the model, bytes of its weights and of what comes on top at its peak, operations."""

    parameters: int
    weights: int
    activations: int
    flops: int

    @property
    def bytes(self) -> int:
        """All that the device holds at the peak, without the driver's own."""
        return self.weights + self.activations


def turn(model: AutoregressiveConfig, config: RenderConfig) -> Call:
    """The two tokens of one keyframe of one movie, with a cache for a whole window and its references."""
    generation, script = config.generation, film(model, 1).scripts[0]
    with shapes.only():
        made = AutoregressiveModel.create(model).eval()
        made = made.in_bfloat16() if generation.precision == "bf16" else made
    length, width, told = model.tokens, model.width, 1 if generation.guidance == 1 else 2
    noise = torch.zeros(told, length), torch.zeros(told, length, width)
    counts = torch.full((told,), len(lay_out(script, made.identifiers, model.layout)))

    def take(ledger: Ledger) -> int:
        turns = Turns(made, 1, config.references, [script], generation, graphs=False)
        embeds_BPH = made.markers_2H.new_zeros(told, turns.script_slots, made.markers_2H.shape[1])
        turns.turn(embeds_BPH, counts, *noise)
        return ledger.flops

    return _call(made, take)


def keyframes(model: AutoencoderConfig, frozen: FrozenConfig, config: RenderConfig) -> Call:
    """One denoising step of a batch of keyframes, and the way to pixels, whose operations are not counted."""
    fast = config.fast.model_copy(update={"compile": False, "graph": False})
    with shapes.only():
        made = DiffusionAutoencoder(model, frozen_codec(frozen)).with_identity().eval()
        copied = None if fast.plain else FastDecoder(made.decoder, fast)
    tokens_BLD = torch.zeros(BATCH, model.compressor.tokens, model.compressor.token_width)
    noisy_BCHW, timestep_B, sizes_B6 = torch.zeros(BATCH, *made.decoder.grid), torch.zeros(BATCH), torch.zeros(BATCH, 6)

    def take(ledger: Ledger) -> int:
        condition = made.decoder.condition(tokens_BLD, sizes_B6=sizes_B6)
        predicted_BCHW = predict(copied or made.decoder, model.diffusion, noisy_BCHW, timestep_B, condition)
        flops = ledger.flops
        made.codec.decode(predicted_BCHW)
        return flops

    return _call(made, take, *([copied.unet] if copied else []))


def _call(module: torch.nn.Module, take: Callable[[Ledger], int], *beside: torch.nn.Module) -> Call:
    alphas_cumprod(torch.device("cpu"))
    ledger = Ledger()
    with ExitStack() as stack:
        for context in (ledger, on("cpu"), torch.no_grad()):
            stack.enter_context(context)
        for each in (module, *beside):
            torch.nn.Module.to(each, torch.device("cpu"))
        weights = ledger.live
        flops = take(ledger)
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Call(parameters, weights, ledger.peak - weights, flops)
