"""Encodes all keyframes of a snapshot, and their mirror images, as tokens of a trained autoencoder (section 3.2)."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.device import device
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import film_of, second_of
from storage.tables.tables import Tables
from tasks import rows
from tasks.cluster import ClusterConfig
from tasks.made import Made, Step
from tasks.prefetch import ahead
from tasks.progress import Progress
from tasks.rows import Row
from tasks.stage import Stage, Work, run_stage
from tasks.training import latents
from tasks.training.frozen import FrozenConfig, frozen_fingerprint
from tasks.training.views import keyframe_views

if TYPE_CHECKING:
    from torch import Tensor

    from models.autoencoder.autoencoder import DiffusionAutoencoder
    from models.training.views import Drawn, Views

_BATCH = 64  # keyframes that are encoded together


def run(
    config: FrozenConfig,
    storage: Storage,
    snapshot: Snapshot,
    autoencoder: str,
    cluster: ClusterConfig,
    progress: Progress,
) -> Work:
    """Writes one row per keyframe of the snapshot.

    Args:
        config: the frozen parts with which the autoencoder was trained.
        autoencoder: its folder in the storage, the result of tasks.training.train_autoencoder.

    Returns:
        the snapshot's work and, under "tokens", that of this stage.
    """
    latents.run(config, storage, snapshot, cluster, progress)
    return run_stage(STAGE, [config, snapshot, autoencoder], storage, snapshot.work, cluster, progress)


def read(storage: Storage, work: Work, row_ids: Sequence[str]) -> "tuple[Tensor, Tensor]":
    """tokens_TLD of keyframes, and of their mirror images.

    Raises:
        ValueError: a keyframe has no tokens.
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
) -> Callable[[str], Iterator[Step | Made]]:
    from models.autoencoder.autoencoder import DiffusionAutoencoder

    with storage.local(autoencoder) as folder:
        model = DiffusionAutoencoder.from_pretrained(folder).to(device())
    films = {film.film_id: film for film in snapshot.films}
    keyframes = FilmRows(storage, "keyframes", work["keyframes"])

    def encode(film_id: str) -> Iterator[Step | Made]:
        row_ids = [row_id for row_id in keyframes.row_ids(film_id) if films[film_id].part(second_of(row_id))]
        if not row_ids:
            return
        views, done = keyframe_views(config, storage, snapshot, row_ids, model.codec), 0
        for pair in encoded(model, views):
            some = row_ids[done : done + len(pair[0])]
            done += len(some)
            yield Made({"tokens": rows.table("tokens", film_id, list(map(_row, some, *pair)))})
            yield Step(done, len(row_ids))

    return encode


def encoded(model: "DiffusionAutoencoder", views: "Views") -> "Iterator[tuple[Tensor, Tensor]]":
    """Yields tokens_BLD of all pictures and of their mirror images in batches, with prefetch."""
    import torch

    def drawn() -> "Iterator[Drawn]":
        for rows_B in views.batches(torch.arange(len(views)), _BATCH):
            yield views.draw(rows_B.repeat(2), torch.arange(2).repeat_interleave(len(rows_B)))

    for both in ahead(drawn()):
        with torch.inference_mode():
            features = views.features_of(both, device()).chunk(2)
            plain_BLD, flipped_BLD = (model.encode(features_BNC).cpu() for features_BNC in features)
        yield plain_BLD, flipped_BLD


def _row(row_id: str, tokens_LD: "Tensor", flipped_LD: "Tensor") -> Row:
    return {
        "row_id": row_id,
        "second": second_of(row_id),
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
