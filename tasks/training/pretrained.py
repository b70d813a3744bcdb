"""The weights that trainings start from, as models of a storage: for those who render without training first."""

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
    """Puts the weights into the storage, unless they are there; the autoencoder's decoder is that of stage 3.

    Args:
        frozen, autoregressive: whose `init`, and which `init` of the autoregressive model, name the weights.

    Raises:
        ConfigError: when there are none.
    """
    if not (frozen.init and autoregressive):
        raise ConfigError(
            f"frozen.init={frozen.init!r} and autoregressive.init={autoregressive!r}: there are no weights to start "
            "from; train models first"
        )
    inits = {"autoencoder": frozen.init, "decoder": frozen.init, "autoregressive": autoregressive}
    return Pretrained(**{name: _kept(name, init, storage) for name, init in inits.items()})


def _kept(name: str, init: str, storage: Storage) -> str:
    key, folder = fingerprint("pretrained", init_identity(init)), init_folder(init)
    assert folder
    return checkpoints.finished(storage, name, key) or checkpoints.save_final(storage, name, key, 0, folder).rel
