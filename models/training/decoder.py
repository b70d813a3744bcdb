"""Stage 3: the decoder learns to read descriptions and faces too (section 3.3, eq. 2, Appendix A).

Shapes: B keyframes of a batch, L tokens, D token width, S sentences of width E, P places for F faces of width G,
K = L + S + P.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoencoder.decoder import pad, random_keep
from models.autoencoder.diffusion import diffusion_loss, draw_noise
from models.autoregressive.script_tokens import FrameScript
from models.training import Schedule, generator
from models.training.ema import Averaged, learning_rate
from models.training.scripted import Scripted
from models.training.sheet import SHOWN, VALIDATED, even, sheet
from models.training.views import Drawn, Views


class DecoderTrainingConfig(BaseModel, frozen=True, extra="forbid"):
    """The defaults are the laptop's. The paper: 120k steps at a constant 2e-5."""

    steps: int = Field(200, gt=0, description="all steps; the paper: 120,000")
    batch: int = Field(8, gt=0, description="keyframes a step")
    learning_rate: float = Field(3e-4, gt=0, description="highest learning rate; the paper: 2e-5")
    schedule: Schedule = Field("cosine", description="how the learning rate goes on after its warm-up")
    weight_decay: float = Field(0.01, ge=0, description="AdamW's weight decay")
    masked: float = Field(0.2, ge=0, le=1, description="chance of each context vector to become zero; the paper: 0.2")
    dropped: float = Field(0.05, ge=0, le=1, description="chance of a keyframe to lose everything, for guidance")
    other_face: float = Field(0.5, ge=0, le=1, description="chance of a face to come from another of its keyframes")
    token_noise: float = Field(0.4, ge=0, description="std of the noise on tokens, which have unit variance")
    flip: float = Field(0.0, ge=0, le=1, description="share of mirrored keyframes, with mirrored scripts")
    coarse_weight: float = Field(1.0, ge=0, description="weight of the coarse head's l2 loss")
    average: float = Field(0.95, ge=0, lt=1, description="decay of the weights' exported moving average; 0: none")
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


class Told(NamedTuple):
    """Keyframes as pictures, and with the same numbers their scripts and tokens."""

    views: Views
    scripted: Scripted


class DecoderTraining:
    """Trains decoder and the two projections; the compressor is frozen, so its tokens come ready-made.

    `init` is the autoencoder of stage 2, or its folder.
    """

    def __init__(
        self,
        config: DecoderTrainingConfig,
        init: Path | DiffusionAutoencoder,
        told: Told,
        held_out: Told | None = None,
    ) -> None:
        for views, scripted in (told, held_out or told):
            if len(views) != len(scripted) or not len(views):
                raise ValueError(
                    f"training needs as many scripts as pictures, and at least one: {len(scripted)} and {len(views)}"
                )
        self.config, self.steps, self.weight_decay = config, config.steps, config.weight_decay
        self.told, self.held_out = told, held_out
        autoencoder = DiffusionAutoencoder.from_pretrained(init) if isinstance(init, Path) else init
        if not autoencoder.config.decoder.identity:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                autoencoder = autoencoder.with_identity()
        self.module = Averaged(autoencoder.train(), config.average)

    def parameters(self, step: int) -> Iterable[nn.Parameter]:
        """The decoder with its projections; the compressor is frozen."""
        return list(self.module.live.decoder.parameters())

    def lr(self, step: int) -> float:
        return self.config.learning_rate * learning_rate(self.config.schedule, step, self.config.steps)

    def size(self, step: int) -> int:
        return self.config.batch

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        config, size = self.config, self.config.batch
        random = generator(config.seed, step, rank)
        rows_B = self.told.views.rows_of_step(size, config.seed, step, rank, world)
        mirrored_B = (torch.rand(size, generator=random) < config.flip).long()
        drawn = self.told.views.draw(rows_B, mirrored_B)
        scripts, tokens_BLD = self._read(rows_B, mirrored_B)
        tokens_BLD = tokens_BLD + config.token_noise * torch.randn(tokens_BLD.shape, generator=random)
        length, diffusion = self.module.live.decoder.context_length, self.module.live.config.diffusion
        noise_BCHW, timestep_B = draw_noise(diffusion, (size, *self.told.views.grid(drawn)), random)
        return Batch(
            tokens_BLD,
            *self._padded([self._with_other_faces(script, random) for script in scripts]),
            random_keep((size, length), config.masked, random),
            random_keep((size,), config.dropped, random),
            drawn,
            noise_BCHW,
            timestep_B,
        )

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 2, plus the coarse head's l2 loss where there is one."""
        return self._loss(self.module.live, self.told.views, batch)

    @torch.no_grad()
    def validate(self) -> dict[str, Tensor]:
        """The averaged weights' losses on held-out keyframes and their whole scripts, with the same noise at each call;
        none: no figures."""
        if self.held_out is None:
            return {}
        rows_F = even(len(self.held_out.views), VALIDATED)
        random = generator(self.config.seed, 0, 0xE7A1)
        losses = []
        for rows_B in self.held_out.views.batches(rows_F, self.config.batch):
            batch = self._whole(self.held_out, rows_B, random)
            loss, terms = self._loss(self.module.average, self.held_out.views, batch)
            losses.append(torch.stack([loss, *terms.values()]) * len(rows_B) / len(rows_F))
        return dict(zip(("loss", *terms), torch.stack(losses).sum(0), strict=True))

    def _whole(self, told: Told, rows_B: Tensor, random: torch.Generator) -> Batch:
        """Keyframes with all that their scripts hold, nothing masked."""
        config, model = self.config, self.module.live
        drawn = told.views.draw(rows_B, torch.zeros_like(rows_B))
        scripts, tokens_BLD = told.scripted.read(rows_B.tolist())
        tokens_BLD = tokens_BLD + config.token_noise * torch.randn(tokens_BLD.shape, generator=random)
        noise_BCHW, timestep_B = draw_noise(model.config.diffusion, (len(rows_B), *told.views.grid(drawn)), random)
        return Batch(
            tokens_BLD,
            *self._padded(scripts),
            torch.ones(len(rows_B), model.decoder.context_length),
            torch.ones(len(rows_B)),
            drawn,
            noise_BCHW,
            timestep_B,
        )

    def _read(self, rows_B: Tensor, mirrored_B: Tensor) -> tuple[list[FrameScript], Tensor]:
        """Scripts and tokens_BLD of keyframes, some of which are mirrored."""
        rows = rows_B.tolist()
        scripts, tokens_BLD = self.told.scripted.read(rows)
        if not mirrored_B.any():
            return list(scripts), tokens_BLD
        flipped, flipped_BLD = self.told.scripted.read(rows, flipped=True)
        both = [pair[mirrored] for *pair, mirrored in zip(scripts, flipped, mirrored_B.tolist(), strict=True)]
        return both, torch.where(mirrored_B[:, None, None].bool(), flipped_BLD, tokens_BLD)

    def _padded(self, scripts: Sequence[FrameScript]) -> tuple[Tensor, Tensor]:
        """Descriptions and faces, [B, S, E] and [B, P, G]."""
        sizes = self.module.live.config.decoder
        sentences_BSE = pad([script.sentences for script in scripts], sizes.sentences)
        return sentences_BSE, pad([script.faces for script in scripts], sizes.faces)

    def _loss(self, model: DiffusionAutoencoder, views: Views, batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
        device = model.token_mean_LD.device
        _, latents_BCHW, sizes_B6 = views.see(batch.drawn, device)
        tokens_BLD, sentences_BSE, faces_BPG, keep_BK, keep_B, noise_BCHW, timestep_B = (
            part.to(device, non_blocking=True) for part in batch if isinstance(part, Tensor)
        )
        decoder = model.decoder
        condition = decoder.condition(tokens_BLD, sentences_BSE, faces_BPG, keep_BK, keep_B, sizes_B6)
        total = diffusion_loss(decoder, model.config.diffusion, latents_BCHW, noise_BCHW, timestep_B, condition)
        terms = {"diffusion": total.detach()}
        if condition.coarse_BCHW is not None:
            kept = keep_B[:, None, None, None]
            coarse = ((condition.coarse_BCHW - latents_BCHW) * kept).square().mean()
            total = total + self.config.coarse_weight * coarse
            terms["coarse"] = coarse.detach()
        return total, terms

    @torch.no_grad()
    def pictures(self) -> Tensor:
        """A row of pictures, held-out ones where there are any, and below them what their tokens, descriptions and
        faces rebuild."""
        model, told = self.module.average, self.held_out or self.told
        rows_B = even(len(told.views), SHOWN)
        drawn = told.views.draw(rows_B, torch.zeros_like(rows_B))
        _, latents_BCHW, _ = told.views.see(drawn, model.token_mean_LD.device)
        scripts, tokens_BLD = told.scripted.read(rows_B.tolist())
        drawn_BCHW = model.reconstruct(tokens_BLD, *self._padded(scripts), seeds=range(len(rows_B)))
        return sheet(model.codec, latents_BCHW, drawn_BCHW)

    def stepped(self, step: int) -> None:
        self.module.update(step)

    def export(self, path: Path) -> None:
        """The averaged weights, a decoder that reads whole scripts."""
        self.module.average.eval().save_pretrained(path)

    def _with_other_faces(self, script: FrameScript, random: torch.Generator) -> FrameScript:
        """Some of its faces taken from other keyframes of the same character (Appendix C)."""
        faces_FG = script.faces.copy()
        for place, choices in enumerate(script.face_choices):
            if len(choices) and float(torch.rand((), generator=random)) < self.config.other_face:
                faces_FG[place] = choices[int(torch.randint(len(choices), (), generator=random))]
        return replace(script, faces=faces_FG)
