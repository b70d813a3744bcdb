"""The benchmarks of SDXL run to their end in tiny, and a training step repeats no work of a frozen model."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["sdxl_training", "sdxl_inference"])
def test_each_ends_with_its_figure(name: str) -> None:
    command = [sys.executable, f"benchmarks/{name}.py", "--tiny", "--repeats", "1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT), "CUDA_VISIBLE_DEVICES": ""}
    ran = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, check=True)
    *lines, last = ran.stdout.splitlines()
    result = json.loads(last)
    assert set(result) == {"name", "value", "unit", "baseline", "ratio", "n"}
    assert result["name"] == name
    assert result["ratio"] == pytest.approx(result["value"] / result["baseline"])
    if name == "sdxl_training":
        (kept,) = (line for line in lines if "latents kept" in line)
        assert "0 calls of the image encoder, 0 calls of the VAE, 0 waits for the device" in kept
        (peer,) = (line for line in lines if "encoded in the step" in line)
        assert "1 calls of the image encoder" in peer
