"""How many images a second does SDXL's decoder learn from on one GPU?

    python benchmarks/sdxl_training.py [--batch 16] [--tiny]

Full-size SDXL with random weights, forward and backward. Beside the project's own training step (compressor, condition,
U-Net and loss under bf16 autocast, with compiled blocks and as one CUDA graph) stands what one would write instead, in
the same run: diffusers' U-Net in bf16, eager, and in a plain CUDA graph. Then a whole step with AdamW, and its memory.

Last, on the CPU, what a step repeats: calls of the frozen image encoder and VAE, and waits for the device, beside a
step that encodes its pictures and reads its loss, as diffusers' example scripts do. Without a GPU all of it is tiny,
which shows that it runs and not how fast.
"""

import argparse
import json
import time
from collections.abc import Callable

import sdxl_size
import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from models.codec import PCACodec, PCACodecConfig, SdxlVaeConfig
from models.codec.sdxl_vae import SdxlVae
from models.training.autoencoder import AutoencoderTraining, AutoencoderTrainingConfig, Batch
from models.training.blocks import compile_blocks
from models.training.views import InMemory, Views

WAITS = ("aten::item", "aten::_local_scalar_dense", "aten::nonzero")
Step = Callable[[], Tensor]


def main() -> None:
    """Prints a line a variant and images a second as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--tiny", action="store_true")
    args = parser.parse_args()
    device = sdxl_size.place()
    gpu = device.type == "cuda"
    tiny = args.tiny or not gpu
    batch = 2 if tiny else args.batch
    print(f"{'tiny' if tiny else 'full'} size, batch {batch}, {torch.cuda.get_device_name() if gpu else 'CPU'}")
    found = {}
    for name, made in variants(tiny, batch, device).items():
        begun = time.perf_counter()
        step = made()
        step()
        ready = time.perf_counter() - begun
        sdxl_size.gibibytes()
        found[name] = batch / sdxl_size.seconds(step, args.repeats)
        print(f"{name:34s} {found[name]:8.2f} images/s  {sdxl_size.gibibytes():6.1f} GiB  ready after {ready:.0f} s")
        del step
        sdxl_size.forget()
    repeated(args.repeats)
    ours = max(value for name, value in found.items() if name.startswith("training step"))
    result = {"name": "sdxl_training", "value": ours, "unit": "images/s", "baseline": found["U-Net eager"]}
    print(json.dumps(result | {"ratio": ours / found["U-Net eager"], "n": args.repeats * batch}))


def variants(tiny: bool, batch: int, device: torch.device) -> dict[str, Callable[[], Step]]:
    """Name -> what builds the model and returns one forward and backward pass of it."""
    found: dict[str, Callable[[], Step]] = {
        "U-Net eager": lambda: bare(tiny, batch, device),
        "training step": lambda: own(tiny, batch, device),
    }
    if device.type == "cuda":
        found |= {
            "U-Net in a CUDA graph": lambda: graphed(bare(tiny, batch, device)),
            "training step in a CUDA graph": lambda: graphed(own(tiny, batch, device)),
            "training step compiled": lambda: own(tiny, batch, device, compiled=True),
            "training step compiled, in a graph": lambda: graphed(own(tiny, batch, device, compiled=True)),
        }
    return found | {"whole step with AdamW": lambda: whole(tiny, batch, device)}


def bare(tiny: bool, batch: int, device: torch.device) -> Step:
    """Diffusers' U-Net and a mean squared error."""
    from models.autoencoder.unet import build_unet, widths

    config, grid = sdxl_size.config(tiny)
    dtype = torch.bfloat16 if device.type == "cuda" else torch.float32
    with device:
        unet = nn.Module.to(build_unet(config.decoder.unet, grid, coarse=False), dtype)
    cross, pooled = widths(unet)
    noisy, target = (torch.randn(batch, *grid, device=device, dtype=dtype) for _ in range(2))
    context, vector = (torch.randn(batch, *shape, device=device, dtype=dtype) for shape in ((2, cross), (pooled,)))
    added = {"text_embeds": vector, "time_ids": torch.tensor([[512.0, 896, 0, 0, 512, 896]] * batch, device=device)}
    timesteps = torch.randint(1000, (batch,), device=device)

    def step() -> Tensor:
        unet.zero_grad(set_to_none=True)
        predicted = unet(noisy, timesteps, encoder_hidden_states=context, added_cond_kwargs=added).sample
        loss: Tensor = (predicted - target).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return step


def trainable(tiny: bool, batch: int, device: torch.device) -> tuple[AutoencoderTraining, Batch]:
    """The project's own training of stage 2 past its warm-up, on latents and features that are kept."""
    config, grid = sdxl_size.config(tiny)
    sizes = config.compressor
    pictures = 2 * batch
    latents = torch.randn(2, pictures, *grid, dtype=torch.float16)
    features = torch.randn(2, pictures, sizes.positions, sizes.channels, dtype=torch.float16)
    settings = AutoencoderTrainingConfig(
        model=config, warmup_steps=0, steps=10, batch=batch, average=0.0, token_noise=0.0
    )
    with device:
        training = AutoencoderTraining(settings, of_grid(*grid), Views(InMemory(*latents, *features)))
    drawn = training.batch(0)
    moved = drawn._replace(
        drawn=drawn.drawn._replace(
            features_BNC=_on(drawn.drawn.features_BNC, device), latents_BCHW=_on(drawn.drawn.latents_BCHW, device)
        ),
        token_noise_BLD=drawn.token_noise_BLD.to(device),
        noise_BCHW=drawn.noise_BCHW.to(device),
        timestep_B=drawn.timestep_B.to(device),
    )
    return training, moved


def own(tiny: bool, batch: int, device: torch.device, compiled: bool = False) -> Step:
    """Forward and backward of the project's training step."""
    training, data = trainable(tiny, batch, device)
    if compiled:
        compile_blocks(training.module)  # as fit.compile does

    def step() -> Tensor:
        training.module.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda", cache_enabled=False):
            loss, _ = training.loss(data, 1)
        loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    return step


def whole(tiny: bool, batch: int, device: torch.device) -> Step:
    """The same, and a step of AdamW with 32-bit moments over all that is trained."""
    training, data = trainable(tiny, batch, device)
    optimiser = torch.optim.AdamW(list(training.parameters(1)), lr=2e-5, fused=True)

    def step() -> Tensor:
        optimiser.zero_grad(set_to_none=True)
        with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
            loss, _ = training.loss(data, 1)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        return loss.detach()

    return step


def graphed(step: Step) -> Step:
    """One CUDA graph of a step, captured after some eager ones."""
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        loss = step()

    def replay() -> Tensor:
        graph.replay()
        return loss

    return replay


def repeated(steps: int) -> None:
    """What a step does again each time, on the CPU and in tiny: ours beside one that looks at its pictures itself."""
    cpu = torch.device("cpu")
    training, _ = trainable(True, 2, cpu)
    encoder, vae = small_encoder(), small_vae()
    calls = {"image encoder": 0, "VAE": 0}
    encoder.register_forward_hook(lambda *_: calls.update({"image encoder": calls["image encoder"] + 1}))
    vae.vae.encoder.register_forward_hook(lambda *_: calls.update({"VAE": calls["VAE"] + 1}))
    pixels = torch.rand(2, 3, 64, 64)

    drawn = training.batch(1)

    def ours() -> None:
        training.loss(drawn, 1)[0].backward()  # type: ignore[no-untyped-call]

    def theirs() -> None:
        encoder(pixels)
        vae.encode(pixels)
        loss, _ = training.loss(drawn, 1)
        loss.backward()  # type: ignore[no-untyped-call]
        loss.item()

    for name, step in (("kept", ours), ("encoded in the step", theirs)):
        step()
        calls.update(dict.fromkeys(calls, 0))
        with profile(activities=[ProfilerActivity.CPU]) as seen:
            for _ in range(steps):
                step()
        waits = sum(event.count for event in seen.key_averages() if event.key in WAITS)
        said = ", ".join(f"{count / steps:g} calls of the {part}" for part, count in calls.items())
        print(f"a step with features and latents {name}: {said}, {waits / steps:g} waits for the device")


def of_grid(channels: int, height: int, width: int) -> PCACodec:
    """A codec whose latents have that grid; here they are drawn, so it never sees a picture."""
    return PCACodec(PCACodecConfig(width=8 * width, height=8 * height, block=8, channels=channels))


def small_encoder() -> nn.Module:
    """CLIP's image tower in tiny."""
    from transformers import CLIPVisionConfig, CLIPVisionModel

    sizes = CLIPVisionConfig(
        hidden_size=24, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, image_size=64, patch_size=16
    )
    model: nn.Module = CLIPVisionModel(sizes).eval()
    return model


def small_vae() -> SdxlVae:
    """SDXL's VAE in tiny."""
    from diffusers import AutoencoderKL

    levels = ("DownEncoderBlock2D",) * 4, ("UpDecoderBlock2D",) * 4
    vae = AutoencoderKL(
        down_block_types=levels[0],
        up_block_types=levels[1],
        block_out_channels=(4, 4, 8, 8),
        norm_num_groups=4,
        latent_channels=4,
    )
    return SdxlVae(SdxlVaeConfig(width=64, height=64), vae)


def _on(part: Tensor | None, device: torch.device) -> Tensor | None:
    return None if part is None else part.to(device)


if __name__ == "__main__":
    main()
