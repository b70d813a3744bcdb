"""Writes the README.md of a trained model: its data, steps and losses, and the licences of its parts."""

import csv
import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel

from models.weights.packaged import MODELS
from storage.printable import printable
from storage.root import Storage
from storage.snapshot import Snapshot
from storage.tables.tables import Tables
from tasks.training.frozen import FrozenConfig
from tasks.training.views import apart

_LAST = 100  # last values of a loss that are averaged
_FILMS = "films.csv"
_STAGES = {
    "first_stage": "stage 1 of the diffusion autoencoder",
    "autoencoder": "the diffusion autoencoder",
    "decoder": "the ID-preserving decoder (stage 3)",
    "autoregressive": "the autoregressive model",
}
_DIFFUSION = """\
```python
from models.autoencoder.autoencoder import DiffusionAutoencoder

DiffusionAutoencoder.from_pretrained(folder)
```

`unet/` opens in plain diffusers as a `UNet2DConditionModel`, `scheduler/` as a scheduler."""
_AUTOREGRESSIVE = """\
```python
from models.autoregressive.autoregressive import AutoregressiveModel

AutoregressiveModel.from_pretrained(folder)
```

`backbone/` opens in plain transformers as a `LlamaModel`."""


@dataclass(frozen=True)
class Card:
    """A trained model.

    Attributes:
        stage: its folder under checkpoints/.
        rel: its export in the storage.
        frozen: the frozen parts of an autoencoder; None for the autoregressive model.
        first: folder of the model from which training started, "" for none.
        images: the table of its training images, "" for keyframes of the snapshot.
    """

    stage: str
    rel: str
    frozen: FrozenConfig | None
    training: BaseModel
    first: str = ""
    images: str = ""


def write_card(card: Card, storage: Storage, snapshot: Snapshot) -> None:
    """Writes README.md into the model's folder, unless it exists, and films.csv if it learned from films."""
    rel = f"{card.rel}/README.md"
    if storage.exists(rel):
        return
    if not card.images:
        storage.write_bytes(f"{card.rel}/{_FILMS}", _films(storage, snapshot).encode())
    storage.write_bytes(rel, ("\n".join(_lines(card, storage, snapshot)) + "\n").encode())


def _films(storage: Storage, snapshot: Snapshot) -> str:
    """The training films: title and licence of each, and of drawn films their address, which has the seed."""
    tables, work = Tables(storage), snapshot.work["keyframes"]
    rows = {row["film_id"]: row for row in tables.read("films", work, ["film_id", "title", "licence"]).to_pylist()}
    sources, text = tables.sources(work), io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(["title", "licence", "drawn"])
    learnt = [film.film_id for film in snapshot.films if film.train is not None]
    told = [(rows[film_id]["title"], rows[film_id]["licence"] or "unknown", sources[film_id]) for film_id in learnt]
    for title, licence, source in sorted(told):
        lines.writerow([printable(title), printable(licence), source if source.startswith("drawn:") else ""])
    return text.getvalue()


def _lines(card: Card, storage: Storage, snapshot: Snapshot) -> Iterator[str]:
    config = json.loads(storage.read_bytes(f"{card.rel}/config.json"))
    if card.frozen is None:
        library, tag, sections, use = "transformers", "autoregressive", "section 3.4", _AUTOREGRESSIVE
    else:
        library, tag, sections, use = "diffusers", "diffusion-autoencoder", "sections 3.2 and 3.3", _DIFFUSION
    yield f"---\nlibrary_name: {library}\ntags: [moviedreamer, {tag}]\n---"
    yield f"# {card.rel}\n\nmoviedreamer, {_STAGES[card.stage]}: MovieDreamer (arXiv 2407.16655), {sections}."
    yield f"\n## Use\n\n{use}"
    yield "\n## Parts and their licences\n\n| part | from | licence |\n|---|---|---|"
    if card.frozen is None:
        yield "| backbone, before training | {name}, {revision} | {licence} |".format(**config["source"])
    else:
        yield from _parts(card.frozen, config["decoder"]["unet"])
    yield "\n## Data\n"
    yield from _image_data(card, storage) if card.images else _film_data(storage, snapshot)
    if before := card.first or (card.frozen.init if card.frozen else ""):
        yield f"\nTrained on from `{before}`."
    yield "\n## Training\n"
    yield from _training(storage.read_bytes(f"{card.rel}/curve.jsonl").decode().splitlines())
    yield f"\n```json\n{card.training.model_dump_json(indent=1)}\n```"


def _parts(frozen: FrozenConfig, unet: dict[str, object]) -> Iterator[str]:
    init = f"the weights in `{frozen.init}`" if frozen.init else ""
    for part, config in (("image encoder", frozen.vision), ("latent codec", frozen.codec)):
        origin = getattr(config, "origin", None)
        revision = getattr(config, "revision", f"of {init}" if init else "fitted in this run")
        packaged = MODELS.get(config.kind.replace("_", "-"))
        licence = origin.licence if origin else packaged.licence if packaged else "of this run"
        yield f"| {part} | {config.kind}, {revision} | {licence} |"
    if unet["kind"] == "sdxl":
        from models.autoencoder.unet import SdxlUNetConfig

        before = SdxlUNetConfig.model_validate(unet)
        yield f"| U-Net, before training | {before.revision} | {before.origin.licence} |"
    else:
        yield f"| U-Net, before training | {init or 'random weights'} | {'as its card says' if init else 'none'} |"


def _film_data(storage: Storage, snapshot: Snapshot) -> Iterator[str]:
    learnt = {film.film_id: film for film in snapshot.films if film.train is not None}
    shown = Tables(storage).read("keyframes", snapshot.work["keyframes"], ["film_id", "second"]).to_pylist()
    keyframes = sum(row["film_id"] in learnt and learnt[row["film_id"]].part(row["second"]) == "train" for row in shown)
    rows = Tables(storage).read("films", snapshot.work["keyframes"], ["film_id", "licence"]).to_pylist()
    licences = {row["film_id"]: row["licence"] or "unknown" for row in rows}
    yield f"Snapshot `{snapshot.id}`: {keyframes} keyframes of {len(learnt)} films (`{_FILMS}`).\n"
    yield from _counted([licences.get(film_id, "unknown") for film_id in learnt], "films")


def _image_data(card: Card, storage: Storage) -> Iterator[str]:
    table = pq.read_table(pa.BufferReader(storage.read_bytes(card.images)), columns=["licence"])
    learnt, held_out = apart(table)
    yield f"`{card.images}`: {learnt.num_rows} images, and {held_out.num_rows} held out.\n"
    yield from _counted([str(licence) for licence in learnt["licence"].to_pylist()], "images")


def _counted(licences: Sequence[str], what: str) -> Iterator[str]:
    yield f"| licence | {what} |\n|---|---|"
    for licence in sorted(set(licences)):
        yield f"| {licence} | {licences.count(licence)} |"


def _training(lines: Sequence[str]) -> Iterator[str]:
    curve = [json.loads(line) for line in lines]
    if not curve:
        return
    yield f"{curve[-1]['step'] + 1} steps; the loss is the sum of the terms that a step has, in a warm-up fewer.\n"
    yield f"| loss | first | mean of the last {_LAST} or fewer | n |\n|---|---|---|---|"
    for name in dict.fromkeys(name for row in curve for name in row if name != "step"):
        values = [row[name] for row in curve if name in row]
        last = values[-_LAST:]
        yield f"| {name} | {values[0]:.4f} | {sum(last) / len(last):.4f} | {len(values)} |"
