"""A turn of generation and a batch of drawn keyframes for shapes alone, by the code that renders movies."""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass

import torch

from models import shapes
from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.diffusion import alphas_cumprod, predict
from models.autoencoder.fast import FastDecoder
from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.script_tokens import lay_out
from models.autoregressive.turns import Drawing, Turns
from models.device import on
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
    drawing = Drawing(generation.temperature, generation.weight_temperature, generation.guidance)

    def take() -> None:
        turns = Turns(made, 1, config.references, generation.stays, generation.window, [script], drawing, graphs=False)
        embeds_BPH = made.markers_2H.new_zeros(told, turns.script_slots, made.markers_2H.shape[1])
        turns.turn(embeds_BPH, counts, *noise)

    return _call(made, take)


def keyframes(model: AutoencoderConfig, frozen: FrozenConfig, config: RenderConfig) -> Call:
    """One denoising step of a batch of keyframes, and their way from latents to pixels."""
    with shapes.only():
        made = DiffusionAutoencoder(model, frozen_codec(frozen)).with_identity().eval()
    sizes = model.compressor
    tokens_BLD = torch.zeros(BATCH, sizes.tokens, sizes.token_width)
    timestep_B = torch.zeros(BATCH)
    fast = config.fast.model_copy(update={"compile": False, "graph": False})

    def take() -> None:
        decoder = made.decoder if fast.plain else FastDecoder(made.decoder, fast)
        condition = made.decoder.condition(tokens_BLD)
        noisy_BCHW = torch.zeros(BATCH, *made.decoder.grid)
        made.codec.decode(predict(decoder, model.diffusion, noisy_BCHW, timestep_B, condition))

    return _call(made, take)


def _call(module: torch.nn.Module, take: Callable[[], None]) -> Call:
    alphas_cumprod(torch.device("cpu"))
    ledger = Ledger()
    with ExitStack() as stack:
        for each in (ledger, on("cpu"), torch.no_grad()):
            stack.enter_context(each)
        module.to(torch.device("cpu"))
        weights = ledger.live
        take()
    parameters = sum(parameter.numel() for parameter in module.parameters())
    return Call(parameters, weights, ledger.peak - weights, ledger.flops)
