"""Training of the autoregressive model (section 3.4): losses of eq. 4 and 9, the paper's guards against overfitting.

Data augmentation (horizontal flips, reversed time), face embedding randomisation and reference frames are drawn
here; dropout, token masking and teacher-forcing noise stand in the model. All of it is drawn from (seed, step,
rank), so that a resumed run is the run that was never stopped.

Shapes: T keyframes, R reference frames, L tokens a keyframe, D token width.
"""

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, Field
from torch import Tensor, nn

from models.autoregressive.autoregressive import AutoregressiveConfig, AutoregressiveModel
from models.autoregressive.likelihood import held_out_nll
from models.autoregressive.packing import Packed, Window, cut, slots
from models.autoregressive.script_tokens import FrameScript
from models.head import Prediction
from models.head.mixture import Mixture
from models.training.scripted import Episode
from models.training.sheet import even, windows

Loss = Literal["nll", "l1", "l2"]
_STANDARDISED = 8192  # keyframes by whose tokens and scripts all are standardised, at most
_VALIDATED = 64  # windows, at most


class AutoregressiveTrainingConfig(BaseModel, frozen=True, extra="forbid"):
    """The defaults are the laptop's: one film, a few minutes of one CPU core.

    `paper`: window 128, rows of 5,120 slots, learning_rate 2e-5, constant after 2,000 warm-up steps, references 10.
    Of a packed row's windows the last one is cut.
    """

    model: AutoregressiveConfig = Field(AutoregressiveConfig(), description="sizes and regularisation of the model")
    steps: int = Field(120, ge=1, description="all steps")
    batch: int = Field(1, ge=1, description="rows a step and worker")
    window: int = Field(16, ge=1, description="keyframes of a window")
    packing: int | None = Field(
        None, ge=1, description="slots of a row, filled with windows of several films; null: one window a row"
    )
    short_windows: float = Field(0.5, ge=0, le=1, description="share of windows cut to a random length")
    learning_rate: float = Field(3e-4, gt=0, description="highest learning rate")
    warmup: int = Field(10, ge=0, description="first steps, in which the learning rate rises")
    schedule: Literal["constant", "cosine"] = Field(
        "cosine", description="how the learning rate goes on after its warm-up"
    )
    weight_decay: float = Field(0.05, ge=0, description="AdamW's weight decay")
    losses: tuple[Loss, ...] = Field(("nll", "l1", "l2"), min_length=1, description="terms of eq. 4 that are on")
    flip: float = Field(0.5, ge=0, le=1, description="share of mirrored windows")
    reverse: float = Field(0.5, ge=0, le=1, description="share of windows in reverse order")
    random_faces: bool = Field(True, description="replace each face by one of the same character from another keyframe")
    faces: bool = Field(True, description="face embeddings in scripts; false: words only, the ablation of Fig. 5")
    untold: float = Field(0, ge=0, le=1, description="share of windows without scripts, for guidance")
    references: int = Field(10, ge=0, description="reference frames put before a window")
    reference_probability: float = Field(0.5, ge=0, le=1, description="share of windows with reference frames")
    init: str = Field(
        "",
        description='folder of a trained autoregressive model to go on from, relative to the package models; "": '
        "the backbone alone is pretrained",
    )
    seed: int = Field(0, description="seed of all random draws")


class Batch(NamedTuple):
    """Windows side by side, and the seed of everything random that the model does with them."""

    packed: Packed
    seed: int


class AutoregressiveTraining:
    """One training run over some episodes; with `init`, a folder that `export` wrote, it goes on from there."""

    def __init__(
        self,
        config: AutoregressiveTrainingConfig,
        episodes: Sequence[Episode],
        held_out: Sequence[Episode] = (),
        init: Path | None = None,
    ) -> None:
        if not episodes:
            raise ValueError("autoregressive training needs at least one episode, got none")
        self.config = config
        self.episodes, self.held_out = list(episodes), list(held_out)
        self.steps = config.steps
        self.weight_decay = config.weight_decay
        lengths = np.array([len(episode) for episode in self.episodes])
        self._share = lengths / lengths.sum()
        if init is None:
            self.module = AutoregressiveModel.create(config.model, config.seed)
            self._standardise(np.cumsum(lengths))
        else:
            self.module = AutoregressiveModel.from_pretrained(init, config.model)

    def parameters(self, step: int) -> Iterable[nn.Parameter]:
        """What is trained: everything but the identifiers' embeddings and `frozen_layers`, the same at each step."""
        return [p for p in self.module.parameters() if p.requires_grad]

    def lr(self, step: int) -> float:
        """Linear warm-up, then constant, or half a cosine down to a twentieth."""
        config = self.config
        if step < config.warmup:
            return config.learning_rate * (step + 1) / config.warmup
        if config.schedule == "constant":
            return config.learning_rate
        done = (step - config.warmup) / max(1, config.steps - config.warmup)
        return config.learning_rate * (0.05 + 0.95 * (1 + math.cos(math.pi * min(done, 1.0))) / 2)

    def size(self, step: int) -> int:
        return self.config.batch

    def batch(self, step: int, rank: int = 0, world: int = 1) -> Batch:
        """The windows of one step of one worker, a function of (seed, step, rank) alone."""
        rows = range(rank * self.config.batch, (rank + 1) * self.config.batch)
        randoms = [np.random.default_rng([self.config.seed, step, row]) for row in rows]
        windows = [window for random in randoms for window in self._row(random)]
        packed = self.module.pack(windows, self.config.packing)
        return Batch(packed, seed=int(randoms[0].integers(2**62)))

    def loss(self, batch: Batch, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """Eq. 4 averaged over tokens: nll / D (eq. 9; of another head its own cost) + l1 + l2, the last two between
        e_pred, the prediction's mean, and the true token, in standardised units and averaged over D."""
        self.module.train()
        packed = batch.packed.to(self.module.markers_2H.device)
        devices = [packed.kinds_PS.device] if packed.kinds_PS.is_cuda else []
        with torch.random.fork_rng(devices=devices):
            torch.manual_seed(batch.seed)
            made: Prediction = self.module(packed)
            cost_BTL = made.cost(packed.targets_BTLD)
        error_BTLD = (made.mean - packed.targets_BTLD) / self.module.token_std_LD
        valid_BT = packed.valid_BT
        terms: dict[Loss, Tensor] = {
            "nll": _mean(cost_BTL, valid_BT),
            "l1": _mean(error_BTLD.abs(), valid_BT),
            "l2": _mean(error_BTLD.square(), valid_BT),
        }
        total = torch.stack([terms[name] for name in self.config.losses]).sum()
        figures = {str(name): value.detach() for name, value in terms.items()}
        if isinstance(made, Mixture):
            figures["components_used"] = made.used(packed.targets_BTLD, valid_BT).detach()
        return total, figures

    def validate(self) -> dict[str, Tensor]:
        """Negative log-likelihood of held-out keyframes in nats per dimension, in at most 64 windows."""
        window = self.config.window
        windows = [(episode, start) for episode in self.held_out for start in range(0, len(episode), window)]
        nll = []
        for place in even(len(windows), _VALIDATED).tolist() if windows else []:
            episode, start = windows[place]
            scripts, tokens_TLD = episode.read(range(start, min(start + window, len(episode))))
            nll.append(held_out_nll(self.module, scripts, tokens_TLD, window=window, keep=0))
        return {"loss": torch.cat(nll).mean()} if nll else {}

    def stepped(self, step: int) -> None:
        """Nothing to do: no moving average is kept."""

    def export(self, path: Path) -> None:
        """A folder for `AutoregressiveModel.from_pretrained`; its `backbone/` opens in plain transformers."""
        self.module.save_pretrained(path)

    def _standardise(self, ends: NDArray[np.int64]) -> None:
        """By all keyframes and their mirror images, or of very many by windows that are evenly spread."""
        tokens, flipped, scripts = list[Tensor](), list[Tensor](), list[FrameScript]()
        places = windows(int(ends[-1]), _STANDARDISED).numpy()
        for number, episode in enumerate(self.episodes):
            here = places[np.searchsorted(ends, places, side="right") == number]
            if not len(here):
                continue
            frames = (here - (ends[number] - len(episode))).tolist()
            some, tokens_TLD = episode.read(frames)
            scripts += some
            tokens.append(tokens_TLD)
            if episode.mirrored:
                flipped.append(episode.read(frames, flipped=True)[1])
        self.module.standardise_by(torch.cat(tokens + flipped), scripts)

    def _row(self, random: np.random.Generator) -> list[Window]:
        windows, free = [self._window(random)], self.config.packing
        while free is not None:
            free -= slots(windows[-1], self.module.identifiers, self.config.model.layout)
            window = cut(self._window(random), free, self.module.identifiers, self.config.model.layout)
            if window is None:
                break
            windows.append(window)
        return windows

    def _window(self, random: np.random.Generator) -> Window:
        config = self.config
        episode = self.episodes[random.choice(len(self.episodes), p=self._share)]
        flipped = random.random() < config.flip and episode.mirrored
        longest = min(config.window, len(episode))
        length = int(random.integers(1, longest + 1)) if random.random() < config.short_windows else longest
        start = int(random.integers(len(episode) - length + 1))
        inside = np.arange(start, start + length)
        chosen = (inside[::-1] if random.random() < config.reverse else inside).tolist()
        scripts, tokens_TLD = episode.read(chosen, flipped)
        if not config.faces:
            scripts = [script.without_faces() for script in scripts]
        if config.random_faces:
            scripts = [script.with_random_faces(random) for script in scripts]
        if config.untold and random.random() < config.untold:
            scripts = [script.untold() for script in scripts]
        if not config.references or random.random() >= config.reference_probability:
            return Window(scripts, tokens_TLD)
        shown = self._reference_frames(random, len(episode), inside)
        asked = [place for place, t in enumerate(chosen) if t not in shown]  # or the model would learn to copy
        reference_scripts, references_RLD = episode.read(shown, flipped)
        return Window(
            [scripts[place] for place in asked],
            tokens_TLD[asked],
            references_RLD if shown else None,
            reference_scripts,
        )

    def _reference_frames(self, random: np.random.Generator, frames: int, inside: np.ndarray) -> list[int]:
        """Random keyframes of the episode in order of time: outside the window and, where the episode is too short
        for that, from a random half of it."""
        pool = np.setdiff1d(np.arange(frames), inside)
        if len(pool) < self.config.references:
            pool = np.union1d(pool, random.choice(inside, size=len(inside) // 2, replace=False))
        count = min(self.config.references, len(pool))
        return sorted(random.choice(pool, size=count, replace=False).tolist())


def _mean(values: Tensor, valid_BT: Tensor) -> Tensor:
    """Of the valid keyframes' values, [B, T, ...]; a GPU is not asked how many there are."""
    of_each_BT = values.flatten(2).mean(-1)
    return torch.where(valid_BT, of_each_BT, 0.0).sum() / valid_BT.sum()
