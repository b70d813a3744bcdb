"""Keyframe by keyframe, tokens from scripts: "similar to a multi-turn dialogue model" (Appendix D).

With a key-value cache each keyframe costs L forwards: one over the previous keyframe's last token and the new
script, which predicts e_1, and one for each further token. When the window is full, the cache is rebuilt from the
references and the last `keep` keyframes, so that positions stay within those seen in training.

Several movies go through the model side by side; each row's result is the same as alone.

Shapes: B movies, S slots of the cache, Q new slots, T keyframes, L tokens a keyframe, D token width, H hidden width.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from pydantic import BaseModel, Field, model_validator
from torch import Tensor

from models.autoregressive import AutoregressiveModel, additive
from models.packing import Window
from models.script_tokens import FrameScript, Slot


class GenerationConfig(BaseModel, frozen=True, extra="forbid"):
    """`window` and `keep` in keyframes; `temperature` scales sigma, 0 gives the drawn component's mean."""

    window: int = Field(default=16, ge=2)
    keep: int = Field(default=8, ge=1)
    temperature: float = Field(default=0.0, ge=0)

    @model_validator(mode="after")
    def _keep_fits(self) -> "GenerationConfig":
        if self.keep >= self.window:
            raise ValueError(f"keep must be smaller than window, got {self.keep} and {self.window}")
        return self


@dataclass(frozen=True)
class Request:
    """One movie to dream: its scripts, and for few-shot the references_RLD (with the scripts of what they show, where
    known), for a continuation what went before."""

    scripts: Sequence[FrameScript]
    seed: int = 0
    references_RLD: Tensor | None = None
    reference_scripts: Sequence[FrameScript] = ()
    history_scripts: Sequence[FrameScript] = ()
    history_TLD: Tensor | None = None


def generate(model: AutoregressiveModel, requests: Sequence[Request], config: GenerationConfig) -> list[Tensor]:
    """tokens_TLD of each request, on the CPU. Keyframe t of a request depends on its seed and t, not on the batch."""
    was_training = model.training
    model.eval()
    with torch.inference_mode():
        movies = [_Movie(model, request) for request in requests]
        # rows that are full or over at different times would need a cache each; equal runs go side by side
        while running := [movie for movie in movies if not movie.done]:
            lockstep = [movie for movie in running if movie.room(config) == running[0].room(config)]
            _fill_window(model, lockstep, config)
    model.train(was_training)
    return [movie.tokens_TLD[movie.start :].cpu() for movie in movies]


class _Movie:
    """What one request has so far: history and generated keyframes in one run."""

    def __init__(self, model: AutoregressiveModel, request: Request) -> None:
        length, width = model.config.tokens, model.config.width
        device = model.markers_2H.device
        history = torch.zeros(0, length, width) if request.history_TLD is None else request.history_TLD
        if len(history) != len(request.history_scripts):
            raise ValueError(f"{len(request.history_scripts)} history scripts but tokens of {len(history)} keyframes")
        if history.shape[1:] != (length, width):
            raise ValueError(f"history tokens are {tuple(history.shape[1:])}, the model's are {(length, width)}")
        self.scripts = [*request.history_scripts, *request.scripts]
        self.tokens_TLD = history.to(device)
        self.start = len(history)
        self.seed = request.seed
        self.references_RLD, self.reference_scripts = request.references_RLD, request.reference_scripts

    @property
    def done(self) -> bool:
        return len(self.tokens_TLD) == len(self.scripts)

    def kept(self, config: GenerationConfig) -> int:
        """How many known keyframes the next cache starts from: all while they fit, else the last `keep`."""
        known = len(self.tokens_TLD)
        return known if known < config.window else config.keep

    def room(self, config: GenerationConfig) -> int:
        """How many keyframes the next cache can take."""
        return min(config.window - self.kept(config), len(self.scripts) - len(self.tokens_TLD))

    def window(self, kept: int) -> Window:
        """The last `kept` keyframes and the script of the one in work."""
        known = len(self.tokens_TLD)
        run_TLD = self.tokens_TLD[known - kept :].cpu()
        scripts = self.scripts[known - kept : known + 1]
        return Window(scripts, run_TLD, self.references_RLD, self.reference_scripts)

    def noise(self, place: int) -> tuple[Tensor, Tensor]:
        """The randomness of token `place` of the keyframe in work: (uniform, normal_D)."""
        t, (length, width) = len(self.tokens_TLD) - self.start, self.tokens_TLD.shape[1:]
        generator = torch.Generator().manual_seed((self.seed * 1_000_003 + t) * length + place)
        return torch.rand((), generator=generator), torch.randn(width, generator=generator)


def _fill_window(model: AutoregressiveModel, movies: Sequence[_Movie], config: GenerationConfig) -> None:
    """Fills one window of each movie; all of them take the same number of keyframes."""
    room = movies[0].room(config)
    kept = [movie.kept(config) for movie in movies]
    cached = _Cached(model, len(movies))
    packed = model.pack([movie.window(count) for movie, count in zip(movies, kept, strict=True)])
    hidden_BH = cached.extend(model.embed(packed), packed.kinds_PS != Slot.PADDING)
    for step in range(room):
        recalled = _recalled(model, movies, [count + step for count in kept])
        tokens_BLD = _next_keyframe(model, cached, movies, hidden_BH, recalled, config.temperature)
        for movie, tokens_LD in zip(movies, tokens_BLD, strict=True):
            movie.tokens_TLD = torch.cat([movie.tokens_TLD, tokens_LD[None]])
        if step < room - 1:
            packed = model.pack(
                [replace(movie.window(0), references_RLD=None, reference_scripts=()) for movie in movies]
            )
            last_B1H = _embed_token(model, tokens_BLD[:, -1], model.config.tokens - 1)
            real_B1 = torch.ones(len(movies), 1, dtype=torch.bool, device=last_B1H.device)
            hidden_BH = cached.extend(
                torch.cat([last_B1H, model.embed(packed)], 1),
                torch.cat([real_B1, packed.kinds_PS != Slot.PADDING], 1),
            )


def _next_keyframe(
    model: AutoregressiveModel,
    cached: "_Cached",
    movies: Sequence[_Movie],
    hidden_BH: Tensor,
    recalled: tuple[Tensor, Tensor] | None,
    temperature: float,
) -> Tensor:
    """tokens_BLD of the keyframe whose [END_OF_FRAME] gave hidden_BH; its last token is not in the cache yet."""
    tokens: list[Tensor] = []
    for place in range(model.config.tokens):
        if place:
            embeds_B1H = _embed_token(model, tokens[-1], place - 1)
            hidden_BH = cached.extend(embeds_B1H, torch.ones_like(embeds_B1H[..., 0], dtype=torch.bool))
        uniform_B, normal_BD = map(torch.stack, zip(*(movie.noise(place) for movie in movies), strict=True))
        here = None if recalled is None else (recalled[0][:, place], recalled[1])
        mixture = model.predict(hidden_BH, place, here)
        tokens.append(mixture.draw(uniform_B.to(hidden_BH.device), normal_BD.to(hidden_BH.device), temperature))
    return torch.stack(tokens, 1)


def _recalled(
    model: AutoregressiveModel, movies: Sequence[_Movie], kept: Sequence[int]
) -> tuple[Tensor, Tensor] | None:
    """(means_BLKD, logits_BK) for the keyframe in work of each movie, whose window holds `kept` keyframes before it."""
    packed = model.pack([movie.window(count) for movie, count in zip(movies, kept, strict=True)])
    recalled = model.recalled(packed)
    if recalled is None:
        return None
    rows, last = torch.arange(len(kept)), torch.tensor(kept)
    return recalled[0][rows, last], recalled[1][rows, last, 0]


def _embed_token(model: AutoregressiveModel, tokens_BD: Tensor, place: int) -> Tensor:
    places_B = torch.full((len(tokens_BD),), place, device=tokens_BD.device)
    return model.embed_tokens(tokens_BD, places_B).unsqueeze(1)


class _Cached:
    """The key-value cache of B rows of unequal length: padding takes slots, but neither positions nor attention."""

    def __init__(self, model: AutoregressiveModel, rows: int) -> None:
        from transformers import DynamicCache

        self.model = model
        self.cache = DynamicCache(config=model.backbone.config)
        self.real_BS = torch.zeros(rows, 0, dtype=torch.bool, device=model.markers_2H.device)

    def extend(self, embeds_BQH: Tensor, real_BQ: Tensor) -> Tensor:
        """Runs the new slots and returns the output_BH at each row's last real one."""
        before = self.real_BS.shape[1]
        positions_BQ = self.real_BS.sum(1, keepdim=True) + real_BQ.cumsum(1) - 1
        self.real_BS = torch.cat([self.real_BS, real_BQ], 1)
        slots = torch.arange(self.real_BS.shape[1], device=embeds_BQH.device)
        new = slots[before:]
        seen_BQS = self.real_BS[:, None, :] & (slots[None, :] <= new[:, None])
        seen_BQS = seen_BQS | (slots[None, :] == new[:, None])  # padding sees itself: no empty rows in the softmax
        hidden_BQH = self.model.run(embeds_BQH, additive(seen_BQS), positions_BQ.clamp_min(0), self.cache)
        last_B = (real_BQ * torch.arange(1, real_BQ.shape[1] + 1, device=new.device)).argmax(1)
        return hidden_BQH[torch.arange(len(last_B), device=new.device), last_B]
