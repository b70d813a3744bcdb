"""The page of a training."""

import json

import numpy as np
import pytest

from storage import layout
from storage.decoding.pictures import encode
from storage.root import Storage
from tasks.movies.quality import of_curve, of_training

MODEL = "checkpoints/decoder/0123456789abcdef/final"
ROWS = [{"step": step, "loss": 2.0 - step / 20} for step in range(20)]


def test_a_training_has_a_page_with_losses_held_out_figures_and_samples(tmp_path):
    storage, grey = Storage(str(tmp_path)), encode(np.full((20, 40, 3), 90, np.uint8), 90)
    rows = [*ROWS[:-1], ROWS[-1] | {"held_out/loss": 1.5, "held_out/psnr": 21.5}]
    storage.write_bytes(f"{MODEL}/curve.jsonl", "".join(json.dumps(row) + "\n" for row in rows).encode())
    storage.write_bytes(f"{MODEL.rpartition('/')[0]}/samples/000020.webp", grey)
    rel = of_training(storage, "decoder", MODEL, grey)
    page = storage.read_bytes(rel).decode()
    assert layout.is_place(rel)
    for said in ("Training of decoder", "<b>21.5</b>", "held-out samples at step 20", "all figures over the steps"):
        assert said in page
    assert "No held" not in page
    storage.write_bytes(rel, b"kept")
    assert storage.read_bytes(of_training(storage, "decoder", MODEL, grey)) == b"kept"


def test_a_training_without_held_out_rows_says_so():
    found = of_curve(ROWS)
    assert found["loss"].value == pytest.approx(2 - 18.5 / 20)
    assert (found["loss"].n, found["held_out/loss"].value) == (2, None)
    assert "nothing was held out" in found["held_out/loss"].reason
