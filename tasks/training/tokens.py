"""All keyframes of a snapshot as tokens of a trained autoencoder, each also mirrored (section 3.2)."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.device import device
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import film_of
from storage.tables.tables import Tables
from tasks import rows
from tasks.cluster import ClusterConfig
from tasks.made import Made, ReadsAhead, Step
from tasks.progress import Progress
from tasks.rows import Row
from tasks.stage import Stage, Work, run_stage
from tasks.training.frozen import FrozenConfig, Seen, frozen_fingerprint, look, seen

if TYPE_CHECKING:
    from torch import Tensor

    from models.autoencoder.autoencoder import DiffusionAutoencoder


def run(
    config: FrozenConfig,
    storage: Storage,
    snapshot: Snapshot,
    autoencoder: str,
    cluster: ClusterConfig,
    progress: Progress,
) -> Work:
    """One row for each keyframe of the snapshot's spans.

    Args:
        config: the frozen parts that the autoencoder was trained with.
        autoencoder: its folder in the storage, as tasks.training.train_autoencoder returns it.

    Returns:
        the snapshot's work, and under "tokens" this stage's.
    """
    if config.kept:
        look(config, storage, snapshot)
    return run_stage(STAGE, [config, snapshot, autoencoder], storage, snapshot.work, cluster, progress)


def read(storage: Storage, work: Work, row_ids: Sequence[str]) -> "tuple[Tensor, Tensor]":
    """tokens_TLD of some keyframes, and of their mirror images.

    Raises:
        ValueError: when a keyframe has none.
    """
    import torch

    films = {film_of(row_id) for row_id in row_ids}
    table = Tables(storage).read("tokens", {film: key for film, key in work["tokens"].items() if film in films})
    found = {row["row_id"]: row for row in table.to_pylist()}
    if missing := [row_id for row_id in row_ids if row_id not in found]:
        raise ValueError(f"{len(missing)} keyframes have no tokens, {missing[0]!r} for one: encode the snapshot first")
    plain, flipped = ([of_row(found[row_id], mirrored) for row_id in row_ids] for mirrored in (False, True))
    return torch.stack(plain), torch.stack(flipped)


def of_row(row: Row, flipped: bool = False) -> "Tensor":
    """tokens_LD of a row of the table `tokens`, or of the mirror image."""
    import torch

    vectors = np.frombuffer(row["tokens_flipped" if flipped else "tokens"], np.float32)
    return torch.from_numpy(vectors.reshape(row["count"], row["width"]).copy())


def _make(
    config: FrozenConfig, snapshot: Snapshot, autoencoder: str, storage: Storage, work: Work
) -> Callable[[str], Made | Iterator[Step | Made]]:
    from models.autoencoder.autoencoder import DiffusionAutoencoder

    with storage.local(autoencoder) as folder:
        model = DiffusionAutoencoder.from_pretrained(folder).to(device())
    keyframes = FilmRows(storage, "keyframes", work["keyframes"])
    if config.kept:
        return _kept(config, storage, snapshot, model, keyframes)
    return _watched(config, snapshot, model, rows.Pictures(keyframes))


def _kept(
    config: FrozenConfig, storage: Storage, snapshot: Snapshot, model: "DiffusionAutoencoder", keyframes: FilmRows
) -> Callable[[str], Made]:
    """Tokens of what the image encoder saw of all keyframes before."""
    import torch

    with seen(config, storage, snapshot) as see, torch.inference_mode():
        tokens_TLD, flipped_TLD = (encoded(model, see, mirrored) for mirrored in (0, 1))
    of_row = {row_id: t for t, row_id in enumerate(see.row_ids)}

    def encode(film_id: str) -> Made:
        made = [
            _row(keyframe, tokens_TLD[t], flipped_TLD[t])
            for batch in keyframes.batches(film_id, ["row_id", "second"])
            for keyframe in batch.to_pylist()
            if (t := of_row.get(keyframe["row_id"])) is not None
        ]
        return Made({"tokens": rows.table("tokens", film_id, made)})

    return encode


def encoded(model: "DiffusionAutoencoder", see: Seen, mirrored: int = 0) -> "Tensor":
    """tokens_TLD of all keyframes that were seen, or of their mirror images where `mirrored` is 1."""
    import torch

    views = see.views(torch.arange(len(see.row_ids)))
    batches = views.batches(torch.arange(len(views)), 64)
    drawn = (views.draw(rows_B, torch.full_like(rows_B, mirrored)) for rows_B in batches)
    return torch.cat([model.encode(views.features_of(some, device())).cpu() for some in drawn])


def _watched(
    config: FrozenConfig, snapshot: Snapshot, model: "DiffusionAutoencoder", keyframes: rows.Pictures
) -> ReadsAhead:
    """Tokens of a film's pictures, a few at a time."""
    import torch

    from models.training.views import features
    from models.vision import build_features

    encoder, films = (
        build_features(config.vision, model.codec).to(device()),
        {film.film_id: film for film in snapshot.films},
    )

    def encode(film_id: str) -> Iterator[Step | Made]:
        for step, some, pictures in keyframes.of(film_id):
            images_B3HW = torch.stack([torch.from_numpy(picture.copy()).permute(2, 0, 1) for picture in pictures])
            images_B3HW = images_B3HW.to(device()).float() / 255
            with torch.inference_mode():
                tokens_BLD, flipped_BLD = (
                    model.encode(features(encoder, seen_B3HW, (config.height, config.width)).to(device())).cpu()
                    for seen_B3HW in (images_B3HW, images_B3HW.flip(-1))
                )
            made = [
                _row(keyframe, tokens_LD, flipped_LD)
                for keyframe, tokens_LD, flipped_LD in zip(some, tokens_BLD, flipped_BLD, strict=True)
                if films[film_id].part(keyframe["second"]) is not None
            ]
            yield Made({"tokens": rows.table("tokens", film_id, made)})
            yield step

    return ReadsAhead(encode, keyframes.expect)


def _row(keyframe: Row, tokens_LD: "Tensor", flipped_LD: "Tensor") -> Row:
    return {
        "row_id": keyframe["row_id"],
        "second": keyframe["second"],
        "tokens": _bytes(tokens_LD),
        "tokens_flipped": _bytes(flipped_LD),
        "count": tokens_LD.shape[0],
        "width": tokens_LD.shape[1],
    }


def _bytes(tokens_LD: "Tensor") -> bytes:
    return tokens_LD.contiguous().numpy().astype("float32").tobytes()


def _identity(config: FrozenConfig, snapshot: Snapshot, autoencoder: str) -> object:
    return [autoencoder, frozen_fingerprint(config, snapshot)]


STAGE = Stage("tokens", inputs=("keyframes",), tables=("tokens",), make=_make, identity=_identity)
