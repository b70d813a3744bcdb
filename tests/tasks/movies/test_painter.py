"""How a draft becomes pictures: batches of one size where each size costs anew."""

import io

import numpy as np
import torch
from PIL import Image

from models.fast import FastConfig, FastDecoder
from models.script_tokens import FrameScript
from storage.root import Storage
from tasks.movies.render import Draft, Painter, RenderConfig
from tests.tasks import tiny_autoencoder


def test_a_compiled_or_recorded_decoder_meets_batches_of_one_size(tmp_path, monkeypatch):
    sizes, drawn, call = [], {}, FastDecoder.__call__

    def counted(self, noisy_BCHW, timesteps_B, condition):
        sizes.append(len(noisy_BCHW))
        return call(self, noisy_BCHW, timesteps_B, condition)

    monkeypatch.setattr(FastDecoder, "__call__", counted)
    tiny_autoencoder.save(tmp_path / "model")
    nothing, kinds = np.zeros((0, 8), np.float32), np.zeros(0, np.int8)
    scripts = [FrameScript(f"film-{second:06d}", nothing, kinds, nothing) for second in range(18)]
    draft = Draft("rebuilt", scripts, torch.randn(18, 2, 16, generator=torch.Generator().manual_seed(0)))
    for name, fast in {"plain": FastConfig(), "graph": FastConfig(graph=True)}.items():  # on a CPU nothing is recorded
        painter = Painter(RenderConfig(steps=1, fast=fast), Storage(str(tmp_path)), "model")
        pictures = [np.asarray(Image.open(io.BytesIO(data)), np.float32) for data in painter.paint(draft)]
        drawn[name] = np.stack(pictures)
    assert sizes == [16, 16]
    assert drawn["plain"].shape == drawn["graph"].shape == (18, 32, 64, 3)
    assert np.abs(drawn["plain"] - drawn["graph"]).mean() < 1
    assert np.abs(drawn["plain"][-1] - drawn["plain"][-2]).mean() > 1
