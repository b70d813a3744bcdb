"""Stage 3: the decoder learns to read descriptions and faces too (section 3.3, eq. 2, Appendix A).

Shapes: F keyframes of the training set, B of a batch, L tokens, D token width, S sentences of width E, P places for
faces of width G, K = L + S + P.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoencoder import DiffusionAutoencoder
from models.decoder import pad, random_keep
from models.diffusion import diffusion_loss, draw_noise
from models.training import Schedule, generator
from models.training.average import Averaged, learning_rate
from models.training.sheet import SHOWN, VALIDATED, even, sheet
from models.training.views import Drawn, Views


class DecoderTrainingConfig(BaseModel, frozen=True, extra="forbid"):
    """The defaults are the laptop's. The paper: 120k steps at a constant 2e-5."""

    steps: int = Field(200, gt=0)
    batch: int = Field(8, gt=0)
    learning_rate: float = Field(3e-4, gt=0)
    schedule: Schedule = "cosine"
    weight_decay: float = Field(0.01, ge=0)
    masked: float = Field(0.2, ge=0, le=1, description="chance of each context vector to become zero; the paper: 0.2")
    dropped: float = Field(0.05, ge=0, le=1, description="chance of a keyframe to lose everything, for guidance")
    other_face: float = Field(0.5, ge=0, le=1, description="chance of a face to come from another of its keyframes")
    token_noise: float = Field(0.4, ge=0, description="std of the noise on tokens, which have unit variance")
    flip: float = Field(0.0, ge=0, le=1, description="share of mirrored keyframes; their scripts are not mirrored")
    coarse_weight: float = Field(1.0, ge=0, description="of the coarse head's l2 loss")
    average: float = Field(0.95, ge=0, lt=1, description="decay of the weights' exported moving average; 0: none")
    seed: int = 0


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


class Scripts(NamedTuple):
    """What the multimodal scripts of F keyframes hold: for each keyframe sentences [n, E], faces [m, G] and which
    character of the film each face is (-1: unknown)."""

    sentences: Sequence[np.ndarray]
    faces: Sequence[np.ndarray]
    characters: Sequence[Sequence[int]]


class Told(NamedTuple):
    """F keyframes as tokens and as pictures, with what their scripts hold."""

    tokens_FLD: Tensor
    tokens_flipped_FLD: Tensor
    views: Views
    scripts: Scripts


class DecoderTraining:
    """Trains decoder and the two projections; the compressor is frozen, so its tokens come ready-made."""

    def __init__(self, config: DecoderTrainingConfig, init: Path, told: Told, held_out: Told | None = None) -> None:
        for some in (told, held_out or told):
            counts = [len(rows) for rows in (*some[:3], *some.scripts)]
            if len(set(counts)) > 1 or not counts[0]:
                raise ValueError(f"training needs as many tokens as pictures and scripts, and at least one: {counts}")
        self.config, self.steps, self.weight_decay = config, config.steps, config.weight_decay
        self.held_out, self._shown, scripts = held_out, held_out or told, told.scripts
        autoencoder = DiffusionAutoencoder.from_pretrained(init)
        if not autoencoder.config.decoder.identity:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(config.seed)
                autoencoder = autoencoder.with_identity()
        self.module = Averaged(autoencoder.train(), config.average)
        sizes = autoencoder.config.decoder
        self.tokens = torch.stack([told.tokens_FLD, told.tokens_flipped_FLD]).float()
        self.views = told.views
        self.sentences_FSE = pad(scripts.sentences, sizes.sentences)
        self.faces_FPG = pad(scripts.faces, sizes.faces)
        self.characters = [list(of_frame) for of_frame in scripts.characters]
        self.bank: dict[int, list[Tensor]] = {}
        for frame, characters in enumerate(self.characters):
            if len(characters) != len(scripts.faces[frame]):
                raise ValueError(f"keyframe {frame} has {len(scripts.faces[frame])} faces but {len(characters)} names")
            for place, character in enumerate(characters):
                self.bank.setdefault(character, []).append(self.faces_FPG[frame, place])

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
        rows_B = self.views.rows_of_step(size, config.seed, step, rank, world)
        mirrored_B = (torch.rand(size, generator=random) < config.flip).long()
        drawn = self.views.draw(rows_B, mirrored_B)
        tokens_BLD = self.tokens[mirrored_B, rows_B]
        tokens_BLD = tokens_BLD + config.token_noise * torch.randn(tokens_BLD.shape, generator=random)
        length = self.module.live.decoder.context_length
        noise_BCHW, timestep_B = draw_noise(self.module.live.config.diffusion, (size, *drawn.grid), random)
        return Batch(
            tokens_BLD,
            self.sentences_FSE[rows_B],
            torch.stack([self._faces(row, random) for row in rows_B.tolist()]),
            random_keep((size, length), config.masked, random),
            random_keep((size,), config.dropped, random),
            drawn,
            noise_BCHW,
            timestep_B,
        )

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 2, plus the coarse head's l2 loss where there is one."""
        return self._loss(self.module.live, self.views, batch)

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
        tokens_BLD = told.tokens_FLD[rows_B].float()
        tokens_BLD = tokens_BLD + config.token_noise * torch.randn(tokens_BLD.shape, generator=random)
        noise_BCHW, timestep_B = draw_noise(model.config.diffusion, (len(rows_B), *drawn.grid), random)
        return Batch(
            tokens_BLD,
            *self._padded(told.scripts, rows_B),
            torch.ones(len(rows_B), model.decoder.context_length),
            torch.ones(len(rows_B)),
            drawn,
            noise_BCHW,
            timestep_B,
        )

    def _padded(self, scripts: Scripts, rows_B: Tensor) -> tuple[Tensor, Tensor]:
        sizes, rows = self.module.live.config.decoder, rows_B.tolist()
        sentences_BSE = pad([scripts.sentences[row] for row in rows], sizes.sentences)
        return sentences_BSE, pad([scripts.faces[row] for row in rows], sizes.faces)

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
        model, told = self.module.average, self._shown
        rows_B = even(len(told.views), SHOWN)
        drawn = told.views.draw(rows_B, torch.zeros_like(rows_B))
        _, latents_BCHW, _ = told.views.see(drawn, model.token_mean_LD.device)
        scripts = self._padded(told.scripts, rows_B)
        drawn_BCHW = model.reconstruct(told.tokens_FLD[rows_B].float(), *scripts, seeds=range(len(rows_B)))
        return sheet(model.codec, latents_BCHW, drawn_BCHW)

    def stepped(self, step: int) -> None:
        self.module.update(step)

    def export(self, path: Path) -> None:
        """The averaged weights, a decoder that reads whole scripts."""
        self.module.average.eval().save_pretrained(path)

    def _faces(self, row: int, random: torch.Generator) -> Tensor:
        """A keyframe's faces, some of them taken from other keyframes of the same character (Appendix C)."""
        faces_PG = self.faces_FPG[row].clone()
        for place, character in enumerate(self.characters[row]):
            if character >= 0 and float(torch.rand((), generator=random)) < self.config.other_face:
                bank = self.bank[character]
                faces_PG[place] = bank[int(torch.randint(len(bank), (), generator=random))]
        return faces_PG
