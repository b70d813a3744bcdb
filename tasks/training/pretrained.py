"""Copies the weights that trainings start from into a storage, so that one can render without training.

A film that they rebuild well needs no fine-tuning of the autoencoder and the decoder: a few steps on it would only make
its pictures softer.
"""

from typing import Literal, NamedTuple

from storage import checkpoints
from storage.errors import ConfigError
from storage.fingerprint import fingerprint
from storage.root import Storage
from storage.snapshot import Snapshot
from tasks.references import spread
from tasks.training.frozen import FrozenConfig, codec_of, init_folder, init_identity
from tasks.training.views import keyframe_ids, keyframe_views

_REBUILT = 64  # training keyframes, at most, that say whether a film is known


class Pretrained(NamedTuple):
    """The models' folders in the storage."""

    autoencoder: str
    decoder: str
    autoregressive: str


def pretrained(frozen: FrozenConfig, autoregressive: str, storage: Storage) -> Pretrained:
    """Copies the weights into the storage, unless they are there; the autoencoder has the decoder of stage 3.

    Args:
        frozen: its `init` names the weights of the autoencoder.
        autoregressive: `init` of the autoregressive model.

    Raises:
        ConfigError: there are none.
    """
    return Pretrained(**{name: _kept(name, init, storage) for name, init in _inits(frozen, autoregressive).items()})


def pretrained_places(frozen: FrozenConfig, autoregressive: str) -> Pretrained:
    """The folders to which `pretrained` copies the weights; writes nothing. Arguments and errors are the same."""
    inits = _inits(frozen, autoregressive)
    return Pretrained(**{name: _place(name, init) for name, init in inits.items()})


def known(
    model: Literal["autoencoder", "decoder"],
    frozen: FrozenConfig,
    storage: Storage,
    snapshot: Snapshot,
    autoencoder: str = "",
) -> str | None:
    """The folder in the storage of the weights of `frozen.init`, if they rebuild the training keyframes well enough.

    The latents must be in the storage. A decoder belongs to its `autoencoder`: for another one the answer is None.
    """
    if frozen.fine_tune_below is None or not frozen.init:
        return None
    if autoencoder not in ("", _place("autoencoder", frozen.init)):
        return None
    if rebuilt(frozen, storage, snapshot) < frozen.fine_tune_below:
        return None
    return _kept(model, frozen.init, storage)


def rebuilt(frozen: FrozenConfig, storage: Storage, snapshot: Snapshot) -> float:
    """PSNR in dB of training keyframes that the weights of `frozen.init` rebuild from tokens alone, in one step."""
    import torch

    from models.autoencoder.autoencoder import DiffusionAutoencoder
    from models.device import device

    folder = init_folder(frozen.init)
    assert folder
    model, row_ids = DiffusionAutoencoder.from_pretrained(folder).to(device()), keyframe_ids(storage, snapshot, "train")
    some = [row_ids[place] for place in spread(len(row_ids), _REBUILT)]
    views = keyframe_views(frozen, storage, snapshot, some, codec_of(frozen, storage, snapshot))
    found = list[torch.Tensor]()
    with torch.inference_mode():
        for rows_B in views.batches(torch.arange(len(some)), 16):
            features_BNC, latents_BCHW, _ = views.see(views.draw(rows_B, torch.zeros_like(rows_B)), device())
            assert features_BNC is not None
            drawn_BCHW = model.reconstruct(model.encode(features_BNC), seeds=rows_B.tolist(), steps=1)
            errors_B3YX = model.codec.decode(drawn_BCHW) - model.codec.decode(latents_BCHW)
            found.append(-10 * errors_B3YX.square().mean((1, 2, 3)).clamp(min=1e-6).log10())
    return float(torch.cat(found).mean())


def _kept(model: str, init: str, storage: Storage) -> str:
    """Copies the weights into the storage, unless they are there."""
    key, folder = _key(init), init_folder(init)
    assert folder
    if not checkpoints.finished(storage, model, key):
        checkpoints.save_final(storage, model, key, 0, folder)
    return _place(model, init)


def _place(model: str, init: str) -> str:
    return checkpoints.final_place(model, _key(init))


def _inits(frozen: FrozenConfig, autoregressive: str) -> dict[str, str]:
    if not (frozen.init and autoregressive):
        raise ConfigError(
            f"frozen.init={frozen.init!r} and autoregressive.init={autoregressive!r}: there are no weights to start "
            "from; train models first"
        )
    return {"autoencoder": frozen.init, "decoder": frozen.init, "autoregressive": autoregressive}


def _key(init: str) -> str:
    return fingerprint("pretrained", init_identity(init))
