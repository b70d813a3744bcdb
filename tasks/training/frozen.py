"""The frozen parts of the autoencoder: image encoder and latent codec, and fitting of the codec.

A fitted codec is stored as checkpoints/codec/<fingerprint>/final.
"""

import tempfile
from collections.abc import Container, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, Field, model_validator

from models.codec import CodecConfig, PCACodecConfig, build_codec, load_codec
from models.vision import EfficientNetLite0Config, FeaturesConfig
from models.weights.checkpoint import cut_off
from storage import checkpoints
from storage.decoding.pictures import Pixels, decode
from storage.errors import ConfigError
from storage.fingerprint import file_id, fingerprint
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from tasks.references import spread

if TYPE_CHECKING:
    from torch import Tensor

    from models.codec import Codec

Size = tuple[int, int]
"""Height and width in pixels."""

_MODEL = "codec"
_FITTED = 512  # maximum number of keyframes on which a codec is fitted


class FrozenConfig(BaseModel, frozen=True, extra="forbid"):
    """The frozen parts of the autoencoder."""

    vision: FeaturesConfig = Field(
        EfficientNetLite0Config(), description="image encoder whose features the compressor reads"
    )
    width: int = Field(224, ge=32, description="width in pixels of the image encoder's input")
    height: int = Field(128, ge=32, description="height in pixels of the image encoder's input")
    codec: CodecConfig = Field(PCACodecConfig(), description="latent codec")
    kept: bool = Field(
        True,
        description="compute features and latents once and store them in a table; false: compute them in each step, "
        "with a pretrained codec",
    )
    init: str = Field(
        "",
        description='folder of a trained autoencoder whose codec is used, relative to the package models; "": '
        "fit codec",
    )
    fine_tune_below: float | None = Field(
        None,
        description="PSNR in dB of rebuilt training keyframes from which on the weights of `init` are used as they "
        "are, without fine-tuning the autoencoder and the decoder; null: always fine-tune",
    )

    @model_validator(mode="after")
    def _needs_no_fitting(self) -> Self:
        if not self.kept and self.fits:
            raise ValueError("kept=false needs a pretrained codec (codec.kind=sdxl_vae); codec.kind=pca is fitted")
        return self

    @property
    def fits(self) -> bool:
        """Whether the codec has to be fitted."""
        return self.codec.kind == "pca" and not self.init

    @property
    def size(self) -> Size:
        """Height and width of the pictures that the codec encodes."""
        return self.codec.height, self.codec.width


def init_folder(init: str) -> Path | None:
    """The local folder of a config's `init`, None for "".

    Raises:
        ConfigError: it is not the folder of a trained model, or one of its files is damaged.
    """
    if not init:
        return None
    folder = Path(str(resources.files("models"))) / init  # an absolute `init` is used unchanged
    if not (folder / "config.json").is_file():
        raise ConfigError(f"init={init!r} is not a trained model: {str(folder / 'config.json')!r} is missing")
    if cut := cut_off(folder.rglob("*.safetensors")):
        raise ConfigError(f"init={init!r} is not a complete model: {str(cut)!r} is cut off or damaged")
    return folder


def init_identity(init: str) -> list[str]:
    """A weight folder's part of a fingerprint: hashes of its files, without their paths."""
    folder = init_folder(init)
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    return [file_id(path) for path in files]


def frozen_codec(config: FrozenConfig) -> "Codec":
    """The codec of a config that needs no fitting."""
    init = init_folder(config.init)
    return load_codec(init / "codec") if init else build_codec(config.codec)


def codec_of(config: FrozenConfig, storage: Storage, snapshot: Snapshot, size: Size | None = None) -> "Codec":
    """The codec for a snapshot's keyframes, at `size` or its own size; if it needs fitting, it is fitted once."""
    height, width = size or config.size
    if not config.fits:
        return frozen_codec(config).resized(width, height)
    key = fingerprint("codec", codec_identity(config, snapshot))
    rel = checkpoints.finished(storage, _MODEL, key)
    if rel is None:
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
            _fitted(config, storage, snapshot).save_pretrained(Path(scratch))
            rel = checkpoints.save_final(storage, _MODEL, key, 0, Path(scratch)).rel
    with storage.local(rel) as folder:
        return load_codec(folder).resized(width, height)


def codec_identity(config: FrozenConfig, snapshot: Snapshot) -> list[object]:
    """The inputs of the codec's latents: its weights or, if it is fitted, the keyframes on which it is fitted."""
    if not config.fits:
        return [config.codec, *init_identity(config.init)]
    return [config.codec, [(film.film_id, film.train) for film in snapshot.films], snapshot.work["keyframes"]]


def frozen_fingerprint(config: FrozenConfig, snapshot: Snapshot) -> str:
    """A fingerprint of the frozen models and of the keyframes that they read in training."""
    spans = [(film.film_id, film.train, film.test) for film in snapshot.films]
    parts = [config.vision, config.width, config.height, config.codec, config.kept, init_identity(config.init)]
    return fingerprint("frozen", parts, spans, snapshot.work["keyframes"])


def _fitted(config: FrozenConfig, storage: Storage, snapshot: Snapshot) -> "Codec":
    """The codec, fitted on a few hundred training keyframes."""
    import torch

    rows = FilmRows(storage, "keyframes", snapshot.work["keyframes"])
    train = [
        row_id
        for film in sorted(snapshot.of_part("train"), key=lambda film: film.film_id)
        for row_id in rows.row_ids(film.film_id)
        if film.part(int(row_id[-6:])) == "train"
    ]
    wanted = {train[place] for place in spread(len(train), _FITTED)}
    pictures = [picture for _, _, picture in keyframes(storage, snapshot, config.size, wanted)]
    return build_codec(config.codec).fit(torch.stack(pictures).float() / 255)


def keyframes(
    storage: Storage, snapshot: Snapshot, size: Size, wanted: Container[str] | None = None
) -> "Iterator[tuple[str, bool, Tensor]]":
    """(row id, whether it is in the training part, picture [3, height, width] uint8) of the snapshot, by row id.

    Args:
        size: height and width.
        wanted: row ids; None: all.
    """
    rows = FilmRows(storage, "keyframes", snapshot.work["keyframes"])
    for film in sorted(snapshot.films, key=lambda film: film.film_id):
        for batch in rows.batches(film.film_id, ["row_id", "second", "image"]):
            for row_id, second, image in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                part = film.part(second)
                if part is None or (wanted is not None and row_id not in wanted):
                    continue
                yield row_id, part == "train", sized(decode(image), size)


def sized(picture: Pixels, size: Size) -> "Tensor":
    """A picture resized for the frozen models: [3, height, width] uint8."""
    import numpy as np
    import torch
    from PIL import Image

    small = Image.fromarray(picture).resize((size[1], size[0]), Image.Resampling.BOX)
    return torch.from_numpy(np.array(small)).permute(2, 0, 1)
