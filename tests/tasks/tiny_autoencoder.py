"""A tiny autoencoder of the real classes, as it would lie in a storage after some training."""

from pathlib import Path

import torch

from models.autoencoder.autoencoder import AutoencoderConfig, DiffusionAutoencoder
from models.autoencoder.compressor import TransformerConfig
from models.autoencoder.decoder import DecoderConfig
from models.autoencoder.unet import UNetConfig
from models.codec import PCACodec, PCACodecConfig

CODEC = PCACodecConfig(width=64, height=32, block=8, channels=6)


def save(folder: Path) -> None:
    """Takes what EfficientNet-Lite0 sees at 64x32."""
    unet = UNetConfig(channels=(32, 32), transformers=(0, 1), head_width=16, cross_width=16, pooled_width=16)
    config = AutoencoderConfig(
        compressor=TransformerConfig(channels=1392, positions=2, token_width=16, width=16, heads=2),
        decoder=DecoderConfig(unet=unet, coarse=None, image_size=(32, 64)),
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = DiffusionAutoencoder(config, PCACodec(CODEC).fit(torch.rand(6, 3, 32, 64)))
        torch.nn.init.normal_(model.decoder.unet.conv_out.weight, std=0.1)
    model.save_pretrained(folder)
