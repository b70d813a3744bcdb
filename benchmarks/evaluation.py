"""Is the evaluation stage as fast as torchmetrics and torch-fidelity, and does its memory grow with the pictures?

    python benchmarks/evaluation.py --frames 256 --many 10000

All look at the same PNG files with the same network for FID and Inception Score (FID's Inception, random weights), in
one process with one thread for the network and one that reads ahead: we as an actor does it, looking at each picture
once; torchmetrics as its documentation shows, one metric after the other; torch-fidelity by its own loop for both
metrics, which looks once too. torch-fidelity is no dependency of ours (`pip install --no-deps --target FOLDER
torch-fidelity`, and FOLDER in PYTHONPATH): without it, it is left out, and torchmetrics runs our network. Times are CPU
seconds of the process, since other programs may be running, and medians of rounds in which all take their turn; a round
before them is not counted, as whoever comes first pays for what a process does once. They include loading the weights,
and leave out the last formula. First `--many` small pictures, and a tenth of them, go through the stage with a tiny
CLIP, each in a process of its own that does the work of an actor and of the driver.
"""

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import nn

from models.metrics.clip import ClipMetricConfig
from models.metrics.inception import Inception, InceptionConfig, graph
from models.metrics.keyframes import figures
from models.metrics.networks import KeyframeMetricsConfig, Module
from storage.results import results
from storage.root import Storage
from tasks.evaluation.shards import Files, of_results
from tasks.evaluation.stage import Looks, looking

Peer = Callable[[Path, Path], dict[str, float]]
"""Folder and weights -> what was done -> CPU seconds."""


def main() -> None:
    """Prints frames a second, the memory, and the ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=256)
    parser.add_argument("--many", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, metavar=("FOLDER", "WEIGHTS"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    if args.child:
        memory(*map(Path, args.child))
        return
    torch.manual_seed(0)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for count in (args.many // 10, args.many) if args.many else ():
            drawn(folder / f"many-{count}", count, (64, 36))
            command = [sys.executable, __file__, "--child", str(folder / f"many-{count}"), str(clip(folder))]
            print(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip(), flush=True)
        drawn(folder / "frames", args.frames, (448, 256))
        network = folder / "inception.pth"
        torch.save(random_weights().state_dict(), network)
        peers: list[Peer] = [torchmetrics, *([torch_fidelity] if find_spec("torch_fidelity") else [])]
        rounds = [
            {"ours": stage(folder, network)}
            | {name: took for peer in peers for name, took in peer(folder, network).items()}
            for _ in range(1 + args.rounds)
        ][1:]
    took = {name: [one[name] for one in rounds] for name in rounds[0]}
    print(f"CPU seconds: {took}", flush=True)
    speeds = {name: args.frames / median(seconds) for name, seconds in took.items()}
    mine = speeds.pop("ours")
    for name, peer in speeds.items():
        result = {"name": name, "value": round(mine, 2), "unit": "frames a CPU second", "baseline": round(peer, 2)}
        print(json.dumps(result | {"ratio": round(mine / peer, 2), "n": args.frames}), flush=True)


def stage(folder: Path, network: Path) -> float:
    """Seconds in which we have looked at all pictures."""
    config = KeyframeMetricsConfig(inception=InceptionConfig(source=str(network)))
    with tempfile.TemporaryDirectory() as scratch:
        began = time.process_time()
        looked(config, of_results(results.read(folder / "frames"), 1.0), Storage(scratch), "inception")
        return time.process_time() - began


def looked(config: KeyframeMetricsConfig, shards: list[Files], storage: Storage, module: Module) -> Looks:
    """What an actor does, here."""
    looks = Looks(config, storage, (module,))
    work = looking(config, {shard.id: shard for shard in shards}, looks.missing(shards), storage)
    for shard in shards:
        list(work(shard.id))  # type: ignore[arg-type]
    return looks


def torchmetrics(folder: Path, network: Path) -> dict[str, float]:
    """The same by the loop of their documentation: of FID alone, and of both metrics."""
    from torchmetrics.image.fid import FrechetInceptionDistance
    from torchmetrics.image.inception import InceptionScore

    began = time.process_time()
    fid = FrechetInceptionDistance(features(network, "2048"))
    for story, real in (("a", False), ("b", True)):
        for batch in batches(folder / "frames" / story):
            fid.update(batch, real=real)
    alone = time.process_time() - began
    score = InceptionScore(features(network, "logits_unbiased"))
    for story in "ab":
        for batch in batches(folder / "frames" / story):
            score.update(batch)
    return {"evaluation_throughput_fid_alone": alone, "evaluation_throughput": time.process_time() - began}


def torch_fidelity(folder: Path, network: Path) -> dict[str, float]:
    """The same by its loop over a folder's files, in this process."""
    from torch_fidelity import utils

    began = time.process_time()
    layers = ["2048", "logits_unbiased"]
    weights = {"cuda": False, "feature_extractor_weights_path": str(network)}
    extractor = utils.create_feature_extractor("inception-v3-compat", layers, **weights)
    for story in "ab":
        pictures = utils.prepare_input_from_id(1, input1=str(folder / "frames" / story), verbose=False)
        utils.get_featuresdict_from_dataset(pictures, extractor, 16, cuda=False, save_cpu_ram=True, verbose=False)
    return {"evaluation_throughput_torch_fidelity": time.process_time() - began}


def features(network: Path, layer: Any) -> nn.Module:
    """torchmetrics' own network, which is torch-fidelity's; ours where that isn't installed."""
    if not find_spec("torch_fidelity"):
        return Features(network, layer)
    from torchmetrics.image.fid import NoTrainInceptionV3

    own = NoTrainInceptionV3("inception-v3-compat", [layer], feature_extractor_weights_path=str(network))
    own.num_features = Features.num_features
    return own


class Features(nn.Module):
    """The same network and preprocessing, as torchmetrics takes one."""

    num_features = 2048

    def __init__(self, network: Path, layer: Any) -> None:
        super().__init__()
        self.layer, self.network = layer, Inception(InceptionConfig(source=str(network)), [layer])

    def forward(self, pixels_N3HW: torch.Tensor) -> torch.Tensor:
        images = list(pixels_N3HW.permute(0, 2, 3, 1).contiguous().numpy())
        return torch.from_numpy(self.network.embed(images)[self.layer])


def batches(folder: Path) -> Iterator[torch.Tensor]:
    """Pictures in batches of 16, read ahead."""
    from tasks.prefetch import ahead

    files = sorted(folder.iterdir())
    return ahead(
        torch.from_numpy(np.stack([np.asarray(Image.open(file)) for file in files[start : start + 16]])).permute(
            0, 3, 1, 2
        )
        for start in range(0, len(files), 16)
    )


def memory(folder: Path, weights: Path) -> None:
    """Prints the most that a process holds which looks at all pictures of a folder and computes the metrics."""
    with tempfile.TemporaryDirectory() as scratch:
        config = KeyframeMetricsConfig(clip=ClipMetricConfig(source=str(weights)))
        shards, storage = of_results(results.read(folder), 1.0), Storage(scratch)
        began = time.process_time()
        looks = looked(config, shards, storage, "clip")
        gone = dict.fromkeys(("inception", "style", "vision", "sound"), "")
        found = figures(config, looks.keyframes(shards), [], gone).figures["clip_sim"]
        seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"{found.n + 2} pictures in {seconds:.0f} CPU seconds: at most {peak / 1024:.0f} MiB in memory")


def drawn(folder: Path, count: int, size: tuple[int, int]) -> None:
    """Two stories of smooth noise."""
    random = np.random.default_rng(0)
    for story in "ab":
        (folder / story).mkdir(parents=True)
        for number in range(count // 2):
            coarse = random.integers(0, 256, (9, 16, 3)).astype(np.uint8)
            Image.fromarray(coarse).resize(size).save(folder / story / f"{number:05d}.png")


def random_weights() -> nn.Module:
    """FID's Inception with random weights that keep the size of activations."""
    network: nn.Module = graph()
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, std=(2 / module.weight[0].numel()) ** 0.5)
    return network


def clip(folder: Path) -> Path:
    """A tiny CLIP in open_clip's layout."""
    from open_clip.model import CLIP

    model = CLIP(
        embed_dim=16,
        vision_cfg={"image_size": 28, "layers": 1, "width": 64, "patch_size": 14, "head_width": 64},  # type: ignore[arg-type]
        text_cfg={"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 1, "layers": 1},  # type: ignore[arg-type]
        quick_gelu=True,
    )
    torch.save(model.state_dict(), folder / "clip.bin")
    return folder / "clip.bin"


if __name__ == "__main__":
    main()
