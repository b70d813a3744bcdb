"""SDXL's full size (or a tiny one) with random weights, for the benchmarks beside this file."""

import gc
import statistics
import time
from collections.abc import Callable

import torch

from models.autoencoder.autoencoder import AutoencoderConfig
from models.autoencoder.compressor import TransformerConfig
from models.autoencoder.decoder import DecoderConfig
from models.autoencoder.diffusion import DiffusionConfig
from models.autoencoder.unet import SDXL_UNET, UNetConfig

FULL = AutoencoderConfig(
    compressor=TransformerConfig(channels=1024, positions=256, token_width=256, width=1024, heads=16),
    decoder=DecoderConfig(unet=SDXL_UNET, coarse=None, sentence_width=768, face_width=512),
    diffusion=DiffusionConfig(prediction="epsilon"),
)
TINY = AutoencoderConfig(
    compressor=TransformerConfig(channels=24, positions=16, token_width=16, width=16, heads=2),
    decoder=DecoderConfig(
        unet=UNetConfig(
            channels=(32, 32),
            layers=1,
            transformers=(0, 1),
            head_width=16,
            cross_width=32,
            pooled_width=16,
            size_width=8,
        ),
        coarse=None,
        sentence_width=12,
        face_width=10,
        image_size=(64, 64),
    ),
    diffusion=DiffusionConfig(prediction="epsilon"),
)
GRIDS = {"full": (4, 64, 112), "tiny": (4, 8, 8)}


def place() -> torch.device:
    """The GPU, or a CPU that is not slowed down by a second thread."""
    if torch.cuda.is_available():
        return torch.device("cuda")
    torch.set_num_threads(1)
    return torch.device("cpu")


def config(tiny: bool) -> tuple[AutoencoderConfig, tuple[int, int, int]]:
    """The model and the grid of its latents."""
    return (TINY, GRIDS["tiny"]) if tiny else (FULL, GRIDS["full"])


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median time of a call; on a GPU by its own clock."""
    if not torch.cuda.is_available():
        times = []
        for _ in range(repeats):
            begun = time.perf_counter()
            work()
            times.append(time.perf_counter() - begun)
        return statistics.median(times)
    found = []
    for _ in range(repeats):
        begun_at, ended_at = (torch.cuda.Event(enable_timing=True) for _ in range(2))  # type: ignore[no-untyped-call]
        begun_at.record()  # type: ignore[no-untyped-call]
        work()
        ended_at.record()  # type: ignore[no-untyped-call]
        torch.cuda.synchronize()
        found.append(float(begun_at.elapsed_time(ended_at)) / 1000)  # type: ignore[no-untyped-call]
    return statistics.median(found)


def gibibytes() -> float:
    """The most that the GPU held since this was last asked; 0 without one."""
    if not torch.cuda.is_available():
        return 0.0
    most: float = torch.cuda.max_memory_allocated() / 2**30
    torch.cuda.reset_peak_memory_stats()
    return most


def forget() -> None:
    """Frees what the last variant held, and what was compiled for it."""
    torch._dynamo.reset()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
