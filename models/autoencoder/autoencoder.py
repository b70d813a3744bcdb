"""The diffusion autoencoder: features of a frozen image encoder -> tokens -> latents (section 3.2).

Shapes: B keyframes, N positions and C channels of the image encoder, L tokens, D token width, S sentences of
width E, F faces of width G; latents_BCHW are the codec's.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Self

import torch
from pydantic import BaseModel, Field
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.autoencoder.compressor import CompressorConfig, TransformerConfig, build_compressor
from models.autoencoder.decoder import DecoderConfig, DiffusionDecoder
from models.autoencoder.diffusion import Denoiser, DiffusionConfig, Sampler, sample, sampling_schedule
from models.autoencoder.unet import UNetConfig
from models.codec import Codec, load_codec


class AutoencoderConfig(BaseModel, frozen=True, extra="forbid"):
    """The parts of the diffusion autoencoder."""

    compressor: CompressorConfig = Field(TransformerConfig(), description="compressor: image features to tokens")
    decoder: DecoderConfig = Field(DecoderConfig(), description="diffusion decoder: tokens to latents")
    diffusion: DiffusionConfig = Field(DiffusionConfig(), description="diffusion process")


class DiffusionAutoencoder(nn.Module):
    """Compressor, decoder and latent codec, with the statistics of its tokens.

    The image encoder is not included: it is frozen, so its features are computed once and stored. If `unet` is given,
    the decoder uses it instead of the weights that its config names.
    """

    token_mean_LD: Tensor
    token_std_LD: Tensor

    def __init__(self, config: AutoencoderConfig, codec: Codec, unet: Any = None) -> None:
        super().__init__()
        self.config = config
        self.codec = codec.requires_grad_(False)
        tokens, width = config.compressor.tokens, config.compressor.token_width
        self.compressor = build_compressor(config.compressor)
        self.decoder = DiffusionDecoder(config.decoder, tokens, width, codec.grid, unet)
        self.register_buffer("token_mean_LD", torch.zeros(tokens, width))
        self.register_buffer("token_std_LD", torch.ones(tokens, width))

    def encode(self, features_BNC: Tensor) -> Tensor:
        """features_BNC of the image encoder to tokens_BLD, each of mean 0 and variance 1 over D."""
        tokens_BLD: Tensor = self.compressor(features_BNC)
        return tokens_BLD

    @torch.no_grad()
    def reconstruct(
        self,
        tokens_BLD: Tensor,
        sentences_BSE: Tensor | None = None,
        faces_BFG: Tensor | None = None,
        *,
        seeds: Sequence[int],
        steps: int = 10,
        guidance: float = 1.0,
        sampler: Sampler = "euler",
        batch: int = 16,
        denoiser: Denoiser | None = None,
    ) -> Tensor:
        """tokens_BLD (and scripts padded by `decoder.pad`, for a decoder of stage 3) to latents_BCHW.

        There is one seed per keyframe; the result doesn't depend on `batch`, the number of keyframes drawn together.
        `denoiser` replaces the decoder.
        """
        if len(seeds) != len(tokens_BLD):
            raise ValueError(f"{len(seeds)} seeds for {len(tokens_BLD)} keyframes: give one seed per keyframe")
        device = self.token_mean_LD.device
        latents = []
        for start in range(0, len(tokens_BLD), batch):
            part = slice(start, start + batch)
            condition = self.decoder.condition(
                tokens_BLD[part].to(device),
                None if sentences_BSE is None else sentences_BSE[part].to(device),
                None if faces_BFG is None else faces_BFG[part].to(device),
            )
            draws = denoiser or self.decoder
            latents.append(sample(draws, self.config.diffusion, condition, seeds[part], steps, guidance, sampler))
        return torch.cat(latents)

    @torch.no_grad()
    def measure_tokens(self, tokens_BLD: Tensor) -> None:
        """Stores mean and standard deviation of these tokens; the autoregressive model standardises tokens by them."""
        self.token_mean_LD.copy_(tokens_BLD.mean(0))
        self.token_std_LD.copy_(tokens_BLD.std(0, correction=0).clamp(min=1e-3))

    def with_identity(self) -> "DiffusionAutoencoder":
        """The same weights with new projections of descriptions and faces, ready for stage 3 (section 3.3)."""
        decoder = self.config.decoder.model_copy(update={"identity": True})
        unet = None if isinstance(decoder.unet, UNetConfig) else self.decoder.unet  # a large one is not built twice
        wider = DiffusionAutoencoder(self.config.model_copy(update={"decoder": decoder}), self.codec, unet)
        missing, unexpected = wider.load_state_dict(self.state_dict(), strict=False)
        assert not unexpected
        new = ("decoder.sentence_mlp.", "decoder.face_mlp.", "decoder.coarse.readers.")
        assert all(name.startswith(new) for name in missing)
        return wider

    def save_pretrained(self, folder: Path, dtype: torch.dtype = torch.float32) -> None:
        """Writes a folder: config.json, unet/ and scheduler/ (readable by diffusers), codec/, *.safetensors.

        `dtype=torch.float16` halves the size of the files; loading converts them to float32.
        """
        folder.mkdir(parents=True, exist_ok=True)
        for name, state in self._parts().items():
            _save(state, folder / f"{name}.safetensors", dtype)
        unet: Any = self.decoder.unet
        unet.save_config(folder / "unet")
        _save(unet.state_dict(), folder / "unet" / "diffusion_pytorch_model.safetensors", dtype)
        sampling_schedule(self.config.diffusion).save_pretrained(folder / "scheduler")
        self.codec.save_pretrained(folder / "codec")
        (folder / "config.json").write_text(self.config.model_dump_json(indent=2))  # last: marks it complete

    @classmethod
    def from_pretrained(cls, folder: Path) -> Self:
        """Reads a folder of `save_pretrained`, in float32 and eval mode.

        Raises:
            ValueError: the folder has no autoencoder, or weights that differ from its config; the message names them.
        """
        if not (folder / "config.json").is_file():
            raise ValueError(f"{folder} has no autoencoder: no config.json; train one or name the right folder")
        config = AutoencoderConfig(**json.loads((folder / "config.json").read_text()))
        autoencoder = cls(config, load_codec(folder / "codec"), _load_unet(folder / "unet"))
        state = {f"decoder.unet.{key}": value for key, value in autoencoder.decoder.unet.state_dict().items()}
        state |= {f"codec.{key}": value for key, value in autoencoder.codec.state_dict().items()}
        for name in autoencoder._parts():
            prefix = "" if name == "tokens" else f"{name}."
            state |= {f"{prefix}{key}": value for key, value in _read(folder / f"{name}.safetensors").items()}
        _fill(autoencoder, state, folder)
        return autoencoder.eval()

    def _parts(self) -> dict[str, dict[str, Tensor]]:
        """The weights outside unet/ and codec/, one file each."""
        decoder = {key: value for key, value in self.decoder.state_dict().items() if not key.startswith("unet.")}
        tokens = {"token_mean_LD": self.token_mean_LD, "token_std_LD": self.token_std_LD}
        return {"compressor": self.compressor.state_dict(), "decoder": decoder, "tokens": tokens}


def _load_unet(folder: Path) -> Any:
    """The U-Net of `save_pretrained`, in float32; no tensor may be missing."""
    from diffusers import UNet2DConditionModel

    with torch.device("meta"):
        unet = UNet2DConditionModel.from_config(UNet2DConditionModel.load_config(folder))
    weights = _read(folder / "diffusion_pytorch_model.safetensors")
    _fill(unet, {key: value.float() for key, value in weights.items()}, folder, assign=True)
    return unet


def _fill(module: nn.Module, state: dict[str, Tensor], folder: Path, assign: bool = False) -> None:
    try:
        module.load_state_dict(state, assign=assign)
    except RuntimeError as error:  # its first line names the class, the others name keys
        said = " ".join(str(error).split("\n\t", 1)[-1].split())
        raise ValueError(f"{str(folder)!r} has other weights than its config.json says: {said[:500]}") from error


def _read(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{str(path)!r} is missing or damaged ({error}): copy the whole folder again") from error


def _save(state: dict[str, Tensor], path: Path, dtype: torch.dtype) -> None:
    save_file({key: value.to(dtype).contiguous() for key, value in state.items()}, path, metadata={"format": "pt"})
