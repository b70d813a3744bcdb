"""Stage 3: trains the decoder to read descriptions and faces too (section 3.3, eq. 2, Appendix A).

Shapes: B keyframes of a batch, L tokens, D token width, S sentences of width E, P places for F faces of width G,
K = L + S + P.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoencoder.coarse import coarse_loss
from models.autoencoder.decoder import pad, random_keep
from models.autoencoder.diffusion import diffusion_loss, draw_noise, draw_once
from models.autoregressive.script_tokens import FrameScript
from models.codec import Codec
from models.training import Schedule, generator
from models.training.critic import Critic, Windows, adversarial_loss, cut, windows_of
from models.training.ema import Averaged, learning_rate
from models.training.scripted import Scripted
from models.training.sheet import SHOWN, VALIDATED, even, sheet
from models.training.views import Drawn, Views


class DecoderTrainingConfig(BaseModel, frozen=True, extra="forbid"):
    """The defaults are those of the recipe `laptop`. The paper: 120k steps at a constant 2e-5."""

    steps: int = Field(200, gt=0, description="all steps; the paper: 120,000")
    warmup_steps: int = Field(0, ge=0, description="first steps, which train the coarse head without the U-Net")
    batch: int = Field(8, gt=0, description="keyframes a step")
    learning_rate: float = Field(3e-4, gt=0, description="highest learning rate; the paper: 2e-5")
    schedule: Schedule = Field("cosine", description="learning rate schedule after the warm-up")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay")
    masked: float = Field(0.2, ge=0, le=1, description="probability of masking each context vector; the paper: 0.2")
    dropped: float = Field(0.05, ge=0, le=1, description="probability of dropping the whole condition, for guidance")
    other_face: float = Field(0.5, ge=0, le=1, description="probability of taking a face from another keyframe")
    token_noise: float = Field(0.4, ge=0, description="highest std of the noise on tokens, which have unit variance")
    flip: float = Field(0.0, ge=0, le=1, description="share of mirrored keyframes, with mirrored scripts")
    coarse_weight: float = Field(1.0, ge=0, description="weight of the coarse head's loss")
    pixel_weight: float = Field(0.0, ge=0, description="weight of l1 in pixels in the coarse head's loss")
    face_weight: float = Field(0.0, ge=0, description="extra weight of faces in the coarse head's loss")
    adversarial_weight: float = Field(
        0.0, ge=0, description="weight of a critic's loss of pictures drawn in one step; 0: no critic, but eq. 2"
    )
    critic_steps: int = Field(0, ge=0, description="first steps, which train the critic alone")
    average: float = Field(0.95, ge=0, lt=1, description="decay of the exported EMA of the weights; 0: none")
    seed: int = Field(0, description="seed of all random draws")


class Batch(NamedTuple):
    """Data and noise of one step."""

    tokens_BLD: Tensor
    sentences_BSE: Tensor
    faces_BPG: Tensor
    keep_BK: Tensor
    keep_B: Tensor
    drawn: Drawn
    noise_BCHW: Tensor
    timestep_B: Tensor
    faces_BHW: Tensor
    boxes_N4: Tensor
    whose_NG: Tensor


class Keyframes(NamedTuple):
    """Keyframes as pictures, with their scripts and tokens under the same indices."""

    views: Views
    scripted: Scripted


class DecoderTraining:
    """Trains the decoder and the two projections; the compressor is frozen, so tokens are precomputed.

    `init` is the autoencoder of stage 2, or its folder.

    Raises:
        ValueError: there are no keyframes, or another number of scripts; or `warmup_steps` or `critic_steps` exceeds
            `steps`, or there is no coarse head or no critic for it.
    """

    def __init__(
        self,
        config: DecoderTrainingConfig,
        init: Path | DiffusionAutoencoder,
        keyframes: Keyframes,
        held_out: Keyframes | None = None,
    ) -> None:
        for views, scripted in (keyframes, held_out or keyframes):
            if len(views) != len(scripted) or not len(views):
                raise ValueError(
                    f"training needs as many scripts as pictures, and at least one: {len(scripted)} and {len(views)}"
                )
        if config.warmup_steps > config.steps:
            raise ValueError(f"warmup_steps={config.warmup_steps} are part of steps={config.steps}, not more")
        if config.critic_steps > (most := config.steps if config.adversarial_weight else 0):
            raise ValueError(
                f"critic_steps={config.critic_steps} are at most {most}, with steps={config.steps} and "
                f"adversarial_weight={config.adversarial_weight:g}"
            )
        self.config, self.steps, self.weight_decay = config, config.steps, config.weight_decay
        self.keyframes, self.held_out = keyframes, held_out
        autoencoder = DiffusionAutoencoder.from_pretrained(init) if isinstance(init, Path) else init
        if not autoencoder.config.decoder.identity:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                autoencoder = autoencoder.with_identity()
        if config.warmup_steps and autoencoder.decoder.coarse is None:
            raise ValueError(f"warmup_steps={config.warmup_steps} train a coarse head, and {init} has none: give 0")
        self.module = Averaged(autoencoder.train(), config.average)
        self.critic: Critic | None = None
        if config.adversarial_weight:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                self.critic = Critic(autoencoder.config.decoder.face_width)
            if isinstance(init, Path):
                self.critic.load(init)
            self.module.add_module("critic", self.critic)  # checkpoints include it

    def parameters(self, step: int) -> Iterable[nn.Parameter]:
        """The decoder with its projections, without the U-Net in the warm-up; the compressor is frozen."""
        critic = list(self.critic.parameters()) if self.critic else []
        if step < self.config.critic_steps:
            return critic
        decoder = self.module.live.decoder.named_parameters()
        unused = ("unet.", "pooled.", "widen.") if step < self.config.warmup_steps else ()
        return [*(parameter for name, parameter in decoder if not name.startswith(unused)), *critic]

    def lr(self, step: int) -> float:
        """The schedule, from its start where the decoder begins to learn."""
        config, alone = self.config, self.config.critic_steps
        done = step if step < alone else step - alone
        return config.learning_rate * learning_rate(config.schedule, done, config.steps - alone)

    def size(self, step: int) -> int:
        return self.config.batch

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        config, size = self.config, self.config.batch
        random = generator(config.seed, step, rank)
        rows_B = self.keyframes.views.rows_of_step(size, config.seed, step, rank, world)
        mirrored_B = (torch.rand(size, generator=random) < config.flip).long()
        return self._batch(self.keyframes, rows_B, mirrored_B, random, whole=False)

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 2, plus the coarse head's loss if there is one; in the warm-up only the latter.

        With a critic: the losses of what is drawn in one step, in the warm-up by the coarse head.
        """
        return self._loss(self.module.live, self.keyframes.views, batch, step, self.critic)

    @torch.no_grad()
    def validate(self) -> dict[str, Tensor]:
        """The EMA weights' losses on held-out keyframes with their whole scripts, with the same noise at each call;
        {} without such keyframes."""
        if self.held_out is None:
            return {}
        rows_F = even(len(self.held_out.views), VALIDATED)
        random = generator(self.config.seed, 0, 0xE7A1)
        losses = []
        for rows_B in self.held_out.views.batches(rows_F, self.config.batch):
            batch = self._batch(self.held_out, rows_B, torch.zeros_like(rows_B), random, whole=True)
            loss, terms = self._loss(self.module.average, self.held_out.views, batch, self.steps)
            losses.append(torch.stack([loss, *terms.values()]) * len(rows_B) / len(rows_F))
        return dict(zip(("loss", *terms), torch.stack(losses).sum(0), strict=True))

    def _batch(
        self, keyframes: Keyframes, rows_B: Tensor, mirrored_B: Tensor, random: torch.Generator, whole: bool
    ) -> Batch:
        """Keyframes and their scripts: whole ones, or partly masked ones with some faces of other keyframes."""
        config, model, size = self.config, self.module.live, len(rows_B)
        drawn = keyframes.views.draw(rows_B, mirrored_B)
        scripts, tokens_BLD = _read(keyframes.scripted, rows_B.tolist(), mirrored_B)
        # each keyframe has noise of its own std, because generated tokens differ in certainty
        std_B11 = config.token_noise * torch.rand(size, 1, 1, generator=random)
        tokens_BLD = tokens_BLD + std_B11 * torch.randn(tokens_BLD.shape, generator=random)
        grid = keyframes.views.grid(drawn)
        noise_BCHW, timestep_B = draw_noise(model.config.diffusion, (size, *grid), random)
        read, keep_BK, keep_B = scripts, torch.ones(size, model.decoder.context_length), torch.ones(size)
        if not whole:
            read = [self._with_other_faces(script, random) for script in scripts]
            keep_BK = random_keep(keep_BK.shape, config.masked, random)
            keep_B = random_keep(keep_B.shape, config.dropped, random)
        boxes = face_boxes(scripts, drawn.sizes_B6)
        factor = model.codec.config.height // model.codec.grid[1]
        shown = (grid[1] * factor, grid[2] * factor)
        return Batch(
            tokens_BLD,
            *self._padded(read),
            keep_BK,
            keep_B,
            drawn,
            noise_BCHW,
            timestep_B,
            face_map(boxes, grid[1:]),
            *windows_of(boxes, [script.faces for script in scripts], shown, random),
        )

    def _padded(self, scripts: Sequence[FrameScript]) -> tuple[Tensor, Tensor]:
        """Descriptions and faces, [B, S, E] and [B, P, G]."""
        sizes = self.module.live.config.decoder
        sentences_BSE = pad([script.sentences for script in scripts], sizes.sentences)
        return sentences_BSE, pad([script.faces for script in scripts], sizes.faces)

    def _loss(
        self, model: DiffusionAutoencoder, views: Views, batch: Batch, step: int, critic: Critic | None = None
    ) -> tuple[Tensor, dict[str, Tensor]]:
        device = model.token_mean_LD.device
        _, latents_BCHW, sizes_B6 = views.see(batch.drawn, device)
        tokens_BLD, sentences_BSE, faces_BPG, keep_BK, keep_B, noise_BCHW, timestep_B, faces_BHW, boxes_N4, whose_NG = (
            part.to(device, non_blocking=True) for part in batch if isinstance(part, Tensor)
        )
        decoder, config, diffusion = model.decoder, self.config, model.config.diffusion
        condition = decoder.condition(tokens_BLD, sentences_BSE, faces_BPG, keep_BK, keep_B, sizes_B6)
        weights_BHW = 1 + config.face_weight * faces_BHW
        if self.critic:
            drawn_BCHW = condition.coarse_BCHW
            if drawn_BCHW is None or step >= config.warmup_steps:
                drawn_BCHW = draw_once(decoder, diffusion, noise_BCHW, condition)
            windows = Windows(boxes_N4, whose_NG)
            return self._drawn_loss(model.codec, drawn_BCHW, latents_BCHW, weights_BHW, windows, critic)
        terms, total = dict[str, Tensor](), latents_BCHW.new_zeros(())
        if step >= config.warmup_steps:
            total = diffusion_loss(decoder, diffusion, latents_BCHW, noise_BCHW, timestep_B, condition)
            terms["diffusion"] = total.detach()
        if condition.coarse_BCHW is not None:
            weights_BHW = keep_B[:, None, None] * weights_BHW
            coarse = coarse_loss(model.codec, condition.coarse_BCHW, latents_BCHW, config.pixel_weight, weights_BHW)
            total = total + config.coarse_weight * coarse
            terms["coarse"] = coarse.detach()
        return total, terms

    def _drawn_loss(
        self,
        codec: Codec,
        drawn_BCHW: Tensor,
        latents_BCHW: Tensor,
        weights_BHW: Tensor,
        windows: Windows,
        critic: Critic | None,
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """How far drawn latents are from the originals, and what the critic says of their pictures, if there is one."""
        total = coarse_loss(codec, drawn_BCHW, latents_BCHW, self.config.pixel_weight, weights_BHW)
        terms = {"drawn": total.detach()}
        if critic is None:
            return total, terms
        originals, drawn = (cut(codec.pixels(some), windows.boxes_N4) for some in (latents_BCHW, drawn_BCHW))
        weight = self.config.adversarial_weight
        adversarial, more = adversarial_loss(critic, originals, drawn, windows.faces_NG, weight)
        return total + adversarial, terms | more

    @torch.no_grad()
    def pictures(self) -> Tensor:
        """A row of pictures, held-out ones where there are any, and below them what their tokens, descriptions and
        faces rebuild."""
        model, keyframes = self.module.average, self.held_out or self.keyframes
        rows_B = even(len(keyframes.views), SHOWN)
        drawn = keyframes.views.draw(rows_B, torch.zeros_like(rows_B))
        _, latents_BCHW, _ = keyframes.views.see(drawn, model.token_mean_LD.device)
        scripts, tokens_BLD = keyframes.scripted.read(rows_B.tolist())
        drawn_BCHW = model.reconstruct(tokens_BLD, *self._padded(scripts), seeds=range(len(rows_B)))
        return sheet(model.codec, latents_BCHW, drawn_BCHW)

    def stepped(self, step: int) -> None:
        self.module.update(step)

    def export(self, path: Path) -> None:
        """The averaged weights, a decoder that reads whole scripts; and the critic, for later trainings."""
        self.module.average.eval().save_pretrained(path)
        if self.critic:
            self.critic.save(path)

    def _with_other_faces(self, script: FrameScript, random: torch.Generator) -> FrameScript:
        """Some of its faces taken from other keyframes of the same character (Appendix C)."""
        faces_FG = script.faces.copy()
        for place, choices in enumerate(script.face_choices):
            if len(choices) and float(torch.rand((), generator=random)) < self.config.other_face:
                faces_FG[place] = choices[int(torch.randint(len(choices), (), generator=random))]
        return replace(script, faces=faces_FG)


def _read(scripted: Scripted, rows: Sequence[int], mirrored_B: Tensor) -> tuple[Sequence[FrameScript], Tensor]:
    """Scripts and tokens_BLD of keyframes; those in `mirrored_B` are mirrored."""
    scripts, tokens_BLD = scripted.read(rows)
    if not mirrored_B.any():
        return scripts, tokens_BLD
    flipped, flipped_BLD = scripted.read(rows, flipped=True)
    both = [pair[mirrored] for *pair, mirrored in zip(scripts, flipped, mirrored_B.tolist(), strict=True)]
    return both, torch.where(mirrored_B[:, None, None].bool(), flipped_BLD, tokens_BLD)


def face_boxes(scripts: Sequence[FrameScript], sizes_B6: Tensor | None = None) -> list[NDArray[np.floating]]:
    """x0, y0, x1, y1 of each keyframe's faces, [F, 4], in 0-1 of the part that `sizes_B6` cuts out (`Condition`)."""
    cuts_B6 = [None] * len(scripts) if sizes_B6 is None else sizes_B6.tolist()
    return [_within(script.face_boxes, cut_6) for script, cut_6 in zip(scripts, cuts_B6, strict=True)]


def face_map(boxes: Sequence[NDArray[np.floating]], grid: tuple[int, int]) -> Tensor:
    """The share of each cell of the latent grid that faces cover, [B, H, W]; 0 where a keyframe has no boxes [F, 4]."""
    height, width = grid
    covered_BHW = torch.zeros(len(boxes), height, width)
    for covered_HW, boxes_F4 in zip(covered_BHW, boxes, strict=True):
        for x0, y0, x1, y1 in boxes_F4 * [width, height, width, height]:
            across_W, down_H = _overlap(x0, x1, width), _overlap(y0, y1, height)
            torch.maximum(covered_HW, down_H[:, None] * across_W, out=covered_HW)
    return covered_BHW


def _within(boxes_F4: NDArray[np.float32], cut_6: Sequence[float] | None) -> NDArray[np.floating]:
    """Boxes in 0-1 of a picture, converted to 0-1 of the part that was cut out of it."""
    if cut_6 is None:
        return boxes_F4
    above, before, height, width = cut_6[2:]
    whole = np.array([width + 2 * before, height + 2 * above] * 2, np.float32)
    return (boxes_F4 * whole - [before, above, before, above]) / [width, height, width, height]


def _overlap(start: float, end: float, count: int) -> Tensor:
    """How much of each of `count` cells of length 1 lies between `start` and `end`."""
    cells = torch.arange(count)
    return (end - cells).clamp(0, 1) - (start - cells).clamp(0, 1)
