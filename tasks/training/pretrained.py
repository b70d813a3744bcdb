"""Copies the weights that trainings start from into a storage, so that one can render without training."""

from typing import NamedTuple

from storage import checkpoints
from storage.errors import ConfigError
from storage.fingerprint import fingerprint
from storage.root import Storage
from tasks.training.frozen import FrozenConfig, init_folder, init_identity


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
    places = pretrained_places(frozen, autoregressive)
    for name, init in _inits(frozen, autoregressive).items():
        key, folder = _key(init), init_folder(init)
        assert folder
        if not checkpoints.finished(storage, name, key):
            checkpoints.save_final(storage, name, key, 0, folder)
    return places


def pretrained_places(frozen: FrozenConfig, autoregressive: str) -> Pretrained:
    """The folders to which `pretrained` copies the weights; writes nothing. Arguments and errors are the same."""
    inits = _inits(frozen, autoregressive)
    return Pretrained(**{name: checkpoints.final_place(name, _key(init)) for name, init in inits.items()})


def _inits(frozen: FrozenConfig, autoregressive: str) -> dict[str, str]:
    if not (frozen.init and autoregressive):
        raise ConfigError(
            f"frozen.init={frozen.init!r} and autoregressive.init={autoregressive!r}: there are no weights to start "
            "from; train models first"
        )
    return {"autoencoder": frozen.init, "decoder": frozen.init, "autoregressive": autoregressive}


def _key(init: str) -> str:
    return fingerprint("pretrained", init_identity(init))
