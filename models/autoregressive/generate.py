"""Generates tokens from scripts, keyframe by keyframe, "similar to a multi-turn dialogue model" (Appendix D).

A movie may have more keyframes than a window. There are two modes. `windowed`: when the window is full, the cache is
rebuilt from the references and the last `keep` keyframes, so the model always reads a sequence as in training.
`streaming`: the references and the first `sink` keyframes stay in the cache, and the last `window` keyframes slide, so
memory, and time per keyframe, are constant for movies of any length.

Several movies are generated in one batch; the result of each is the same as if it were alone.

Shapes: B movies, T keyframes, R reference frames, L tokens per keyframe, D token width, K components.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from models.autoregressive.autoregressive import AutoregressiveModel
from models.autoregressive.packing import Window
from models.autoregressive.script_tokens import FrameScript
from models.autoregressive.turns import GenerationConfig, Turns

AHEAD = 32  # scripts of a movie that are embedded together


@dataclass(frozen=True)
class Request:
    """One movie to generate.

    Attributes:
        references_RLD: reference frames, for few-shot generation.
        reference_scripts: their scripts, or none if they are unknown.
        history_scripts, history_TLD: the keyframes that the movie continues.
    """

    scripts: Sequence[FrameScript]
    seed: int = 0
    references_RLD: Tensor | None = None
    reference_scripts: Sequence[FrameScript] = ()
    history_scripts: Sequence[FrameScript] = ()
    history_TLD: Tensor | None = None


def generate(
    model: AutoregressiveModel, requests: Sequence[Request], config: GenerationConfig, graphs: bool | None = None
) -> list[Tensor]:
    """tokens_TLD of each request, on the CPU. Keyframe t of a request depends on its seed and t, not on the batch.

    Args:
        graphs: record the work of a turn as a CUDA graph; None: on GPUs.

    Raises:
        ValueError: tokens, sentences or faces don't have the model's sizes, or are not finite.
    """
    made: list[list[Tensor]] = [[] for _ in requests]
    for number, tokens_LD in stream(model, requests, config, graphs):
        made[number].append(tokens_LD)
    nothing = torch.zeros(0, model.config.tokens, model.config.width)
    return [torch.stack(tokens).cpu() if tokens else nothing for tokens in made]


def stream(
    model: AutoregressiveModel, requests: Sequence[Request], config: GenerationConfig, graphs: bool | None = None
) -> Iterator[tuple[int, Tensor]]:
    """Yields (index of the request, tokens_LD on the model's device) for each keyframe, as soon as it is generated."""
    movies = [_Movie(model, request) for request in requests]
    was_training = model.training
    model.eval()
    running = [movie for movie in movies if not movie.done]
    try:
        if running:
            play = _Play(model, running, config, model.markers_2H.is_cuda if graphs is None else graphs)
        while running := [movie for movie in movies if not movie.done]:
            play.turn()
            yield from [(movies.index(movie), movie.tokens[-1]) for movie in running]
    finally:
        model.train(was_training)


def _fits(model: AutoregressiveModel, request: Request, history_TLD: Tensor) -> None:
    """Raises ValueError for tokens and scripts that the model can't read."""
    if len(history_TLD) != len(request.history_scripts):
        raise ValueError(f"{len(request.history_scripts)} history scripts but tokens of {len(history_TLD)} keyframes")
    tokens, width = model.config.tokens, model.config.width
    shown_RLD = history_TLD[:0] if request.references_RLD is None else request.references_RLD
    for what, given in (("history", history_TLD), ("reference", shown_RLD)):
        if given.ndim != 3 or given.shape[1:] != (tokens, width):
            raise ValueError(f"{what} tokens are {list(given.shape)}, the model's are [any, {tokens}, {width}]")
        if not given.isfinite().all():
            raise ValueError(f"{what} tokens of shape {list(given.shape)} hold numbers that are not finite")
    if request.reference_scripts and len(request.reference_scripts) != len(shown_RLD):
        raise ValueError(
            f"{len(request.reference_scripts)} reference scripts but {len(shown_RLD)} references: one for each, or none"
        )
    for script in (*request.history_scripts, *request.reference_scripts, *request.scripts):
        for what, vectors, read in (
            ("sentences", script.sentences, model.config.sentence_width),
            ("faces", script.faces, model.config.face_width),
        ):
            if vectors.shape[1] != read:
                raise ValueError(f"script {script.row_id!r}: {what} are {list(vectors.shape)}, wanted [any, {read}]")
            if not np.isfinite(vectors).all():
                raise ValueError(f"script {script.row_id!r}: {what} hold numbers that are not finite")


class _Movie:
    """The state of a request: its history, followed by the keyframes generated so far."""

    def __init__(self, model: AutoregressiveModel, request: Request) -> None:
        length, width = model.config.tokens, model.config.width
        history = torch.zeros(0, length, width) if request.history_TLD is None else request.history_TLD
        _fits(model, request, history)
        self.scripts = [*request.history_scripts, *request.scripts]
        self.tokens = list(history.to(model.markers_2H.device))
        self.start, self.width, self.length = len(history), width, length
        self.seed = request.seed
        self.references_RLD, self.reference_scripts = request.references_RLD, request.reference_scripts
        self._embedded: list[tuple[Tensor, Tensor]] = []

    @property
    def done(self) -> bool:
        return len(self.tokens) == len(self.scripts)

    def script(self, turns: Turns, told: bool = True) -> tuple[Tensor, Tensor]:
        """(embeds_PH, number of slots) of the next keyframe's script; of the empty script if `told` is false."""
        t = len(self.tokens)
        if not told:
            embeds_1PH, count_1 = turns.embed([self.scripts[t].untold()])
            return embeds_1PH[0], count_1[0]
        if not self._embedded:
            self._embedded = list(zip(*turns.embed(self.scripts[t : t + AHEAD]), strict=True))
        return self._embedded.pop(0)

    def window(self, kept: int) -> Window:
        """The last `kept` keyframes and the next script; for a finished movie, the last script alone."""
        known = len(self.tokens)
        if self.done:
            return Window(self.scripts[-1:], torch.zeros(0, self.length, self.width))
        run = self.tokens[known - kept :] if kept else []
        run_TLD = torch.stack(run).cpu() if run else torch.zeros(0, self.length, self.width)
        return Window(self.scripts[known - kept : known + 1], run_TLD, self.references_RLD, self.reference_scripts)

    def noise(self) -> tuple[Tensor, Tensor]:
        """(uniform_L, normal_LD): the random numbers of the next keyframe."""
        t, uniform, normal = len(self.tokens) - self.start, [], []
        for place in range(self.length):
            generator = torch.Generator().manual_seed((self.seed * 1_000_003 + t) * self.length + place)
            uniform.append(torch.rand((), generator=generator))
            normal.append(torch.randn(self.width, generator=generator))
        return torch.stack(uniform), torch.stack(normal)


class _Play:
    """All turns of all movies; finished movies are skipped.

    With guidance each movie has a copy with empty scripts; the copies follow after all movies.
    """

    @torch.inference_mode()
    def __init__(
        self, model: AutoregressiveModel, movies: Sequence[_Movie], config: GenerationConfig, graphs: bool
    ) -> None:
        self.model, self.movies, self.config = model, movies, config
        shown = max((len(movie.references_RLD) for movie in movies if movie.references_RLD is not None), default=0)
        scripts = [script for movie in movies for script in movie.scripts]
        self.turns = Turns(model, len(movies), shown, scripts, config, graphs)
        self.tellings = (True,) if config.guidance == 1 else (True, False)
        for i in range(len(movies)):
            self._fill(i)

    @torch.inference_mode()
    def turn(self) -> None:
        """Generates the next keyframe of each movie that is not finished."""
        for i, movie in enumerate(self.movies):
            full = self.turns.rows[i].frames == self.config.window
            if self.config.mode == "windowed" and full and not movie.done:
                self._fill(i)
        tokens_BLD = self.turns.turn(*self._inputs(), self._recalled())
        for movie, tokens_LD in zip(self.movies, tokens_BLD, strict=False):
            if not movie.done:
                movie.tokens.append(tokens_LD)

    def _fill(self, row: int) -> None:
        """Fills the cache of a movie with its keyframes: all if they fit, otherwise the last ones and the sink."""
        movie, config = self.movies[row], self.config
        known = len(movie.tokens)
        if known < config.stays + config.window:
            places = list(range(known))
        elif config.mode == "windowed":
            places = list(range(known - config.keep, known))
        else:
            places = [*range(config.sink), *range(known - config.window + 1, known)]
        scripts = [movie.scripts[place] for place in places]
        tokens_TLD = torch.stack([movie.tokens[place] for place in places]) if places else torch.zeros(0)
        for twin, told in enumerate(self.tellings):
            said = scripts if told else [script.untold() for script in scripts]
            self.turns.start(row + twin * len(self.movies), said, tokens_TLD, movie.references_RLD)

    def _inputs(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """(embeds_BPH, counts_B, uniform_BL, normal_BLD) for a turn."""
        turns, movies = self.turns, self.movies
        nothing = turns.last_BH.new_zeros(turns.script_slots, turns.last_BH.shape[1]), turns.position_B.new_zeros(())
        still = torch.zeros(turns.length), torch.zeros(turns.length, movies[0].width)
        scripts = [nothing if movie.done else movie.script(turns, told) for told in self.tellings for movie in movies]
        noise = [still if movie.done else movie.noise() for movie in movies] * len(self.tellings)
        embeds_BPH, counts_B = (torch.stack(parts) for parts in zip(*scripts, strict=True))
        uniform_BL, normal_BLD = (torch.stack(parts) for parts in zip(*noise, strict=True))
        return embeds_BPH, counts_B, uniform_BL, normal_BLD

    def _recalled(self) -> tuple[Tensor, Tensor] | None:
        """(means_BLKD, logits_BK) for the next keyframe of each movie, recalled from the keyframes of its window."""
        if self.model.recall is None:
            return None
        most, rows = self.config.window - 1, self.turns.rows
        windows = [movie.window(min(row.frames, most)) for movie, row in zip(self.movies, rows, strict=False)]
        if len(self.tellings) > 1:
            windows += [replace(one, scripts=[script.untold() for script in one.scripts]) for one in windows]
        recalled = self.model.recalled(self.model.pack(windows))
        assert recalled is not None
        places, last = torch.arange(len(windows)), torch.tensor([len(window.tokens_TLD) for window in windows])
        return recalled[0][places, last], recalled[1][places, last, 0]


__all__ = ["GenerationConfig", "Request", "generate", "stream"]
