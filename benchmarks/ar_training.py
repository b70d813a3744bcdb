"""How fast does the autoregressive model learn?

    python benchmarks/ar_training.py [--steps 5]              a tiny shape on a CPU, a window of 16 keyframes
    python benchmarks/ar_training.py --gpu [--steps 10]       LLaMA-2-7B's shape in bfloat16, 128 keyframes, 5,000 slots

Whole steps of one worker: the paper's loss, token masking, dropout of 50 %, backward and AdamW, whose two averages are
in the weights' precision; on a GPU without a dense mask, and with activations computed anew. Beside it what its users
run, in the same process: transformers' LlamaModel on the same slots with the same mask as a dense 4-D one, a linear
head and the same optimizer, without dropout.
"""

import argparse
import json
import time
from collections.abc import Callable
from functools import partial

import llamas
import torch
from torch import Tensor

from models.autoregressive.autoregressive import AutoregressiveModel
from models.autoregressive.packing import Packed, Window


def main() -> None:
    """Prints tokens a second of both, and their ratio as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5)
    parser.add_argument("--gpu", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(1)
    shape, device, keyframes = ("llama2-7b", "cuda", 128) if args.gpu else ("tiny", "cpu", 16)
    found = {}
    for name, attention in (("ours", "flex" if args.gpu else "dense"), ("transformers", "dense")):
        guards = {"dropout": 0.5, "masking": 0.15, "noise": 0.0} if name == "ours" else {"dropout": 0.0, "noise": 0.0}
        model = llamas.model(shape, device, attention=attention, **guards).train()
        if args.gpu:
            model.backbone.gradient_checkpointing_enable({"use_reentrant": False})
            torch.cuda.reset_peak_memory_stats()
        tokens_TLD = torch.randn(keyframes, 2, llamas.WIDTH)
        packed = model.pack([Window(llamas.scripts(keyframes), tokens_TLD)])
        loss = partial(ours, model, packed) if name == "ours" else plain(model, packed)
        seconds = stepped(model, loss, args.steps, args.gpu)
        found[name] = packed.kinds_PS.numel() / seconds
        peak = f", {torch.cuda.max_memory_allocated() / 2**30:.1f} GiB at most" if args.gpu else ""
        print(f"{name}, {shape}, {packed.kinds_PS.numel()} slots: {found[name]:.0f} token/s{peak}", flush=True)
        del model, packed, loss
        torch.cuda.empty_cache()
    result = {"name": f"ar_training_{shape}", "value": found["ours"], "unit": "token/s"}
    baseline = found["transformers"]
    print(json.dumps(result | {"baseline": baseline, "ratio": found["ours"] / baseline, "n": args.steps}))


def ours(model: AutoregressiveModel, packed: Packed) -> Tensor:
    """Equation 4."""
    made = model(packed)
    error = (made.mean - packed.targets_BTLD) / model.token_std_LD
    loss: Tensor = made.cost(packed.targets_BTLD).mean() + error.abs().mean() + error.square().mean()
    return loss


def plain(model: AutoregressiveModel, packed: Packed) -> Callable[[], Tensor]:
    """What a user writes: transformers' model under a dense mask, and a linear layer of as many outputs."""
    embeds_BSH = torch.randn(
        *packed.kinds_PS.shape, model.backbone.config.hidden_size, device=packed.kinds_PS.device
    ).to(model.markers_2H.dtype)

    def loss() -> Tensor:
        mask = model.mask(packed.windows_PS)
        assert isinstance(mask, Tensor)
        hidden = model.backbone(inputs_embeds=embeds_BSH, attention_mask=mask.to(embeds_BSH.dtype)).last_hidden_state
        outputs: Tensor = model.head.linear(hidden.float())  # type: ignore[operator]
        return outputs.square().mean()

    return loss


def stepped(model: AutoregressiveModel, loss: Callable[[], Tensor], steps: int, gpu: bool) -> float:
    """Seconds a step, after two that don't count."""
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=1e-5, fused=True)
    start = 0.0
    for step in range(steps + 2):
        if step == 2:
            if gpu:
                torch.cuda.synchronize()
            start = time.perf_counter()
        optimizer.zero_grad()
        loss().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    if gpu:
        torch.cuda.synchronize()
    return (time.perf_counter() - start) / steps


if __name__ == "__main__":
    main()
