"""What the frozen models see in a snapshot's keyframes: image-encoder features and codec latents, computed once.

Training, tokens and rendering all start from them, so they are kept in the storage beside the codec that made them:
checkpoints/codec/<fingerprint>/final/{codec/, seen.safetensors, rows.json}.

Shapes: T keyframes of all films, N positions and C channels of the image encoder, K channels, H x W latent grid.
"""

import json
import tempfile
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, Field, model_validator

from models.checkpoint import cut_off
from models.codec import CodecConfig, PCACodecConfig, build_codec, load_codec
from models.vision import EfficientNetLite0Config, FeaturesConfig, LatentsConfig, build_features
from storage import checkpoints
from storage.decoding.pictures import decode
from storage.errors import ConfigError
from storage.fingerprint import file_id, fingerprint
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from tasks.references import spread

if TYPE_CHECKING:
    from torch import Tensor

    from models.codec import Codec
    from models.training.views import Kept

_MODEL = "codec"
_FITTED = 512  # keyframes on which a codec is fitted, at most
_BATCH = 8  # keyframes that go through the image encoder together


class FrozenConfig(BaseModel, frozen=True, extra="forbid"):
    """The frozen parts of the autoencoder."""

    vision: FeaturesConfig = Field(
        EfficientNetLite0Config(), description="image encoder whose features the compressor reads"
    )
    width: int = Field(224, ge=32, description="width in pixels at which the image encoder sees a keyframe")
    height: int = Field(128, ge=32, description="height in pixels at which the image encoder sees a keyframe")
    codec: CodecConfig = Field(PCACodecConfig(), description="latent codec")
    kept: bool = Field(
        True,
        description="compute features and latents once and keep them in memory; false: in each step, with a "
        "pretrained codec",
    )
    init: str = Field(
        "",
        description='folder of a trained autoencoder whose codec is used, relative to the package models; "": '
        "fit codec",
    )

    @model_validator(mode="after")
    def _needs_no_fitting(self) -> Self:
        if not self.kept and self.codec.kind == "pca" and not self.init:
            raise ValueError("kept=false goes with a pretrained codec (codec.kind=sdxl_vae); codec.kind=pca is fitted")
        return self


@dataclass(frozen=True)
class Seen:
    """All keyframes of the snapshot's spans, sorted by row id; `train` says which are learnt from.

    features [T, N, C] and latents [T, K, H, W], and those of the mirrored keyframes, all float16. With
    vision.kind=latents no features are kept: they are patches of the latents, of side `patch`.
    """

    row_ids: tuple[str, ...]
    train: "Tensor"
    latents: "Tensor"
    latents_flipped: "Tensor"
    codec: "Codec"
    features: "Tensor | None" = None
    features_flipped: "Tensor | None" = None
    patch: int | None = None

    def views(self, rows: "Tensor", latents: "tuple[Tensor, Tensor] | None" = None) -> "Kept":
        """Some keyframes to train on; with other latents of all, such as those of another size."""
        from models.training.views import Kept

        plain, flipped = latents or (self.latents, self.latents_flipped)
        if self.features is None or self.features_flipped is None:
            return Kept(plain[rows], flipped[rows], patch=self.patch)
        return Kept(plain[rows], flipped[rows], self.features[rows], self.features_flipped[rows])

    def rows(self, row_ids: Sequence[str]) -> "Tensor":
        """Where keyframes stand.

        Raises:
            KeyError: for a row that is not in the snapshot.
        """
        import torch

        place = {row_id: t for t, row_id in enumerate(self.row_ids)}
        return torch.tensor([place[row_id] for row_id in row_ids], dtype=torch.long)


def init_folder(init: str) -> Path | None:
    """The local folder that `init` of a config means, None for "".

    Raises:
        ConfigError: when it is no trained model's folder, or a file of it is damaged.
    """
    if not init:
        return None
    folder = Path(str(resources.files("models"))) / init  # an absolute `init` stands for itself
    if not (folder / "config.json").is_file():
        raise ConfigError(f"init={init!r} is no trained model: {str(folder / 'config.json')!r} is missing")
    if cut := cut_off(folder.rglob("*.safetensors")):
        raise ConfigError(f"init={init!r} is no whole model: {str(cut)!r} is cut off or damaged")
    return folder


def init_identity(init: str) -> list[str]:
    """What a folder of weights contributes to a fingerprint: its bytes, not its place."""
    folder = init_folder(init)
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder else []
    return [file_id(path) for path in files]


def frozen_codec(config: FrozenConfig) -> "Codec":
    """The codec of frozen parts that are not `kept`: nothing has to be fitted."""
    init = init_folder(config.init)
    return load_codec(init / "codec") if init else build_codec(config.codec)


def codec_of(config: FrozenConfig, storage: Storage, snapshot: Snapshot) -> "Codec":
    """The codec with which a snapshot's keyframes are looked at, whether it is fitted on them or not."""
    if not config.kept:
        return frozen_codec(config)
    with storage.local(look(config, storage, snapshot)) as folder:
        return load_codec(folder / "codec")


def frozen_fingerprint(config: FrozenConfig, snapshot: Snapshot) -> str:
    """Names what `seen` yields: which keyframes, which of them train, and the models."""
    spans = [(film.film_id, film.train, film.test) for film in snapshot.films]
    parts = [config.vision, config.width, config.height, config.codec, config.kept, init_identity(config.init)]
    return fingerprint("frozen", parts, spans, snapshot.work["keyframes"])


def look(config: FrozenConfig, storage: Storage, snapshot: Snapshot) -> str:
    """Looks at all keyframes, unless that was done; to be called before several workers ask for what was seen.

    Returns:
        the folder in the storage that keeps it.
    """
    key = frozen_fingerprint(config, snapshot)
    rel = checkpoints.finished(storage, _MODEL, key)
    if rel is None:
        with tempfile.TemporaryDirectory(prefix="moviedreamer-") as scratch:
            _look(config, storage, snapshot, Path(scratch))
            rel = checkpoints.save_final(storage, _MODEL, key, 0, Path(scratch)).rel
    return rel


@contextmanager
def seen(config: FrozenConfig, storage: Storage, snapshot: Snapshot) -> Iterator[Seen]:
    """What the frozen models see."""
    from safetensors.torch import load_file

    with storage.local(look(config, storage, snapshot)) as folder:
        rows = json.loads((folder / "rows.json").read_text())
        patch = config.vision.patch if isinstance(config.vision, LatentsConfig) else None
        tensors = load_file(folder / "seen.safetensors")
        yield Seen(tuple(rows), codec=load_codec(folder / "codec"), patch=patch, **tensors)


def _look(config: FrozenConfig, storage: Storage, snapshot: Snapshot, folder: Path) -> None:
    import torch
    from safetensors.torch import save_file

    from models.training.views import features

    size = (config.codec.height, config.codec.width)
    init = init_folder(config.init)
    codec = load_codec(init / "codec") if init else _fitted(config, storage, snapshot)
    encoder = None if isinstance(config.vision, LatentsConfig) else build_features(config.vision, codec)
    row_ids, train = list[str](), list[bool]()
    tensors: dict[str, list[torch.Tensor]] = {}
    frames = keyframes(storage, snapshot, size)
    with torch.inference_mode():
        while some := list(islice(frames, _BATCH)):
            row_ids += [row_id for row_id, _, _ in some]
            train += [learnt for _, learnt, _ in some]
            images_B3HW = torch.stack([picture for _, _, picture in some]).float() / 255
            for name, pictures in (("", images_B3HW), ("_flipped", images_B3HW.flip(-1))):
                tensors.setdefault(f"latents{name}", []).append(codec.encode(pictures).half())
                if encoder is not None:
                    seen_BNC = features(encoder, pictures, (config.height, config.width))
                    tensors.setdefault(f"features{name}", []).append(seen_BNC.half())
    save_file(
        {"train": torch.tensor(train)} | {name: torch.cat(parts) for name, parts in tensors.items()},
        folder / "seen.safetensors",
    )
    codec.save_pretrained(folder / "codec")
    (folder / "rows.json").write_text(json.dumps(row_ids))


def _fitted(config: FrozenConfig, storage: Storage, snapshot: Snapshot) -> "Codec":
    """The codec of the config; one that learns from pictures sees some hundreds of training keyframes."""
    import torch

    if config.codec.kind != "pca":
        return build_codec(config.codec)
    rows = FilmRows(storage, "keyframes", snapshot.work["keyframes"])
    train = [
        row_id
        for film in sorted(snapshot.of_part("train"), key=lambda film: film.film_id)
        for row_id in rows.row_ids(film.film_id)
        if film.part(int(row_id[-6:])) == "train"
    ]
    wanted = {train[place] for place in spread(len(train), _FITTED)}
    frames = keyframes(storage, snapshot, (config.codec.height, config.codec.width), wanted)
    return build_codec(config.codec).fit(torch.stack([picture for _, _, picture in frames]).float() / 255)


def keyframes(
    storage: Storage, snapshot: Snapshot, size: tuple[int, int], wanted: Container[str] | None = None
) -> "Iterator[tuple[str, bool, Tensor]]":
    """(row id, whether it is learnt from, picture [3, height, width] uint8) of the snapshot's spans, by row id.

    Args:
        size: height and width.
        wanted: row ids; all when None.
    """
    import numpy as np
    import torch
    from PIL import Image

    rows = FilmRows(storage, "keyframes", snapshot.work["keyframes"])
    for film in sorted(snapshot.films, key=lambda film: film.film_id):
        for batch in rows.batches(film.film_id, ["row_id", "second", "image"]):
            for row_id, second, image in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                part = film.part(second)
                if part is None or (wanted is not None and row_id not in wanted):
                    continue
                small = Image.fromarray(decode(image)).resize((size[1], size[0]), Image.Resampling.BOX)
                yield row_id, part == "train", torch.from_numpy(np.array(small)).permute(2, 0, 1)
