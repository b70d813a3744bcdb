"""Streaming: a sink and a sliding window in a cache of fixed size, against one forward over everything."""

from dataclasses import replace

import pytest
import torch

from models.autoregressive import keyvalues
from models.autoregressive.autoregressive import AutoregressiveModel
from models.autoregressive.generate import GenerationConfig, Request, generate
from models.autoregressive.keyvalues import KeyValues
from models.autoregressive.masks import additive
from models.autoregressive.script_tokens import lay_out
from tests.models.autoregressive.test_generate import D, L, model, references, scripts

WINDOW = 3


def config(**changes) -> GenerationConfig:
    return GenerationConfig(mode="streaming", window=WINDOW, keep=1, temperature=0.8).model_copy(update=changes)


def by_one_forward(net: AutoregressiveModel, request: Request, tokens_TLD: torch.Tensor, sink: int) -> torch.Tensor:
    """What each token would be, given all before it, from one forward with the sink repeated at every place that it
    ever moves to: a query of turn t sees the sink at t's place and the last keyframes."""
    shown = 0 if request.references_RLD is None else len(request.references_RLD) * L
    lengths = [len(lay_out(script, net.identifiers, net.config.layout)) + L for script in request.scripts]
    turns_S = [0] * shown  # the turn in which a slot is run, and its keyframe
    frames_S = [-1] * shown
    for t, length in enumerate(lengths):
        turns_S += [t] * (length - 1) + [t + 1]  # the last token is run with the next script
        frames_S += [t] * length
    frames_S, turns_S = torch.tensor(frames_S), torch.tensor(turns_S)
    still_S = frames_S < sink
    gone = [sum(lengths[sink : max(sink, t - WINDOW + 1)]) for t in range(len(lengths) + 1)]
    tokens = tokens_TLD if request.references_RLD is None else torch.cat([request.references_RLD, tokens_TLD])
    embeds_SH = _embedded(net, request, tokens)
    places = torch.arange(len(frames_S))
    copies = sorted(set(gone))
    index = torch.cat([places[still_S]] * len(copies) + [places[~still_S]])
    moved = torch.tensor([by for by in copies for _ in range(int(still_S.sum()))] + [0] * int((~still_S).sum()))
    count = len(copies) * int(still_S.sum())
    sees = torch.zeros(len(index), len(index), dtype=torch.bool)
    for q, (here, by) in enumerate(zip(index.tolist(), moved.tolist(), strict=True)):
        turn = int(turns_S[here])
        for k, (there, other) in enumerate(zip(index.tolist(), moved.tolist(), strict=True)):
            if there > here:
                continue
            if k < count:  # of a sink
                sees[q, k] = other == (by if q < count else gone[turn])
            elif q >= count:
                sees[q, k] = int(frames_S[there]) > turn - WINDOW
    with torch.no_grad():
        hidden = net.run(embeds_SH[index][None], additive(sees[None]), (index + moved)[None])[0]
    ends = shown + torch.tensor(lengths).cumsum(0) - L - 1
    wanted = torch.zeros_like(tokens_TLD)
    for t, end in enumerate(ends.tolist()):
        for place in range(L):
            first = int((index == end + place).nonzero()[0])
            generator = torch.Generator().manual_seed((request.seed * 1_000_003 + t) * L + place)
            noise = torch.rand((), generator=generator), torch.randn(D, generator=generator)
            with torch.no_grad():
                wanted[t, place] = net.predict(hidden[first], place).draw(*noise, 0.8)
    return wanted


def _embedded(net: AutoregressiveModel, request: Request, tokens: torch.Tensor) -> torch.Tensor:
    from models.autoregressive.packing import Window

    shown = 0 if request.references_RLD is None else len(request.references_RLD)
    with torch.no_grad():
        return net.embed(net.pack([Window(request.scripts, tokens[shown:], request.references_RLD)]))[0]


@pytest.mark.parametrize("layout", ["paper", "compact"])
@pytest.mark.parametrize("sink", [0, 1, 2])
@pytest.mark.parametrize("shown", [False, True])
def test_streaming_is_one_forward_with_a_sink_that_moves(layout, sink, shown):
    net = model(layout=layout, recall=False)
    request = Request(scripts(9), seed=4, references_RLD=references() if shown else None)
    (got,) = generate(net, [request], config(sink=sink))
    torch.testing.assert_close(got, by_one_forward(net, request, got, sink), atol=1e-5, rtol=0)


@pytest.mark.parametrize("recall", [True, False])
def test_while_all_fits_it_is_the_windowed_movie(recall):
    net, request = model(recall=recall), Request(scripts(6), seed=1, references_RLD=references())
    (streamed,) = generate(net, [request], config(window=8))
    (windowed,) = generate(net, [request], config(window=8, mode="windowed"))
    torch.testing.assert_close(streamed, windowed, atol=1e-5, rtol=0)


def test_positions_that_come_too_far_are_moved_back(monkeypatch):
    net, request = model(recall=False), Request(scripts(12), seed=2, references_RLD=references())
    (far,) = generate(net, [request], config(sink=1))
    monkeypatch.setattr(keyvalues, "FAR", 40)
    (near,) = generate(net, [request], config(sink=1))
    torch.testing.assert_close(near, far, atol=1e-4, rtol=0)


def test_a_streamed_movie_is_the_same_alone_and_among_others():
    net = model()
    requests = [
        Request(scripts(9, 1), seed=1),
        Request(scripts(4, 2), seed=2, references_RLD=references()),
        Request(scripts(8, 3), seed=3, history_scripts=scripts(2), history_TLD=torch.ones(2, L, D)),
        Request(scripts(5, 3), seed=3, history_scripts=scripts(7), history_TLD=torch.ones(7, L, D)),
    ]
    together = generate(net, requests, config())
    for request, tokens in zip(requests, together, strict=True):
        torch.testing.assert_close(tokens, generate(net, [request], config())[0], atol=1e-5, rtol=0)


def test_memory_does_not_grow_with_the_movie(monkeypatch):
    sizes = []
    made = KeyValues.__init__

    def init(self, *args):
        made(self, *args)
        sizes.append((self.keys_NBGCE.numel(), self.positions_BC.numel()))

    monkeypatch.setattr(KeyValues, "__init__", init)
    net, told = model(), scripts(1)
    for count in (10, 60):
        generate(net, [Request([replace(told[0], row_id=f"x-{i:06d}") for i in range(count)])], config())
    assert len(sizes) == 2  # one cache a movie, however long
    assert sizes[0] == sizes[1]
