"""Copies a trained model's folder in half precision, with its card and its list of films: small enough to ship.

    python -m models.weights.shipped many/checkpoints/decoder/<fingerprint>/final models/embedded/autoencoder
    python -m models.weights.shipped many/checkpoints/autoregressive/<fingerprint>/final models/embedded/autoregressive

`frozen.init=embedded/autoencoder` and `autoregressive.init=embedded/autoregressive` start trainings from them.
"""

import argparse
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from models.autoencoder.autoencoder import DiffusionAutoencoder
from models.autoregressive.autoregressive import AutoregressiveModel
from models.training.critic import FILE as CRITIC

LARGEST = 40 * 10**6  # bytes of all weights


def ship(trained: Path, folder: Path, largest: int = LARGEST) -> int:
    """Writes the folder, and returns the size of its weights in bytes.

    Raises:
        ValueError: `trained` has no model or no card, the size is larger than `largest`, or `folder` holds something
            else than a model; nothing is written.
    """
    if folder.exists() and not (folder / "config.json").is_file() and (folder.is_file() or any(folder.iterdir())):
        raise ValueError(f"{str(folder)!r} holds no model and is not empty: name another folder")
    kind = AutoregressiveModel if (trained / "backbone").is_dir() else DiffusionAutoencoder
    model = kind.from_pretrained(trained)
    card = trained / "README.md"
    if not card.is_file():
        raise ValueError(f"{str(trained)!r} has no README.md: weights are shipped with the card that their run wrote")
    size = 2 * sum(tensor.numel() for tensor in model.state_dict().values())
    if size > largest:
        raise ValueError(f"{size / 1e6:.1f} MB in half precision, more than {largest / 1e6:.0f}: train a smaller model")
    model.save_pretrained(folder, torch.float16)
    (folder / CRITIC).unlink(missing_ok=True)
    if (trained / CRITIC).is_file():
        save_file({name: weights.half() for name, weights in load_file(trained / CRITIC).items()}, folder / CRITIC)
    said = f"\nHere in half precision, {size / 1e6:.1f} MB; loading converts them to 32 bits.\n"
    (folder / "README.md").write_text(card.read_text() + said)
    if (films := trained / "films.csv").is_file():
        shutil.copyfile(films, folder / films.name)
    return sum(file.stat().st_size for file in folder.rglob("*.safetensors"))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("trained", type=Path)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    try:
        print(f"{ship(given.trained, given.folder) / 1e6:.1f} MB in {given.folder}")
    except ValueError as error:
        parser.error(str(error))
