"""The data card of a snapshot: one page about its content, its sources, and its gaps."""

import io
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, Field

from storage import snapshot as snapshots
from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.evolve import add_columns
from storage.tables.filmrows import FilmRows
from storage.tables.schemas import film_of
from storage.tables.tables import Tables
from tasks.curation.census import Census, census
from tasks.progress import Progress
from tasks.references import spread
from tasks.shown import Picture, clock, listed, number, picture, template

_DARK, _GREY = 40.0, 8.0  # luma below which a picture is dark, and colour distance below which it is grey
_SIDES: dict[Part, str] = {"train": "To learn from", "test": "Held out"}


class DataCardConfig(BaseModel, frozen=True, extra="forbid"):
    """The snapshot, and how it is shown."""

    snapshot: str = Field("", description='id of the snapshot; "": the newest')
    pictures: int = Field(24, ge=1, description="keyframes on each of the two contact sheets")
    width: int = Field(240, ge=16, description="width of a picture in pixels")


@dataclass(frozen=True)
class Sheet:
    """A contact sheet of one part's keyframes; label and title are for people."""

    title: str
    pictures: tuple[Picture, ...]


@dataclass(frozen=True)
class Looks:
    """Shares of dark and of grey pictures on the contact sheets."""

    count: int
    dark: float | None
    grey: float | None


def run(config: DataCardConfig, storage: Storage, progress: Progress) -> str:
    """Writes cards/<snapshot>/data_card.html and .json.

    Returns:
        the page's path in the storage.

    Raises:
        StorageError: there is no such snapshot, or the storage cannot be read or written.
        LeakError: something is in both the training and the held-out part.
    """
    snapshot = snapshots.load(storage, config.snapshot or snapshots.newest(storage))
    for table in ("films", "keyframes"):
        add_columns(storage, table)
    found = census(storage, snapshot, progress)
    sheets, looks = _sheets(config, storage, snapshot)
    known = biases(found, looks)
    folder = f"cards/{snapshot.id}"
    data = json.dumps(found.model_dump(mode="json") | {"known_biases": known}, indent=1, ensure_ascii=False) + "\n"
    _write(storage, f"{folder}/data_card.json", data)
    _write(storage, f"{folder}/data_card.html", render(found, known, sheets))
    return f"{folder}/data_card.html"


def render(found: Census, known: Sequence[str], sheets: Sequence[Sheet]) -> str:
    """The page as HTML, self-contained; every text in it is escaped."""
    from markupsafe import Markup

    page = template("tasks.curation", "data_card.html", number=number, percent=percent, grouped=grouped)
    drawn = {name: Markup(one.svg()) for name, one in found.histograms.items() if one.n}
    return page.render(card=found, biases=known, sheets=sheets, drawn=drawn, sides=_SIDES)


def biases(found: Census, looks: Looks) -> list[str]:
    """Biases that affect training, each with its measurement."""
    return [*_of_pictures(found, looks), *_of_texts(found), *_of_films(found)]


def percent(share: float | None) -> str:
    """A share in 0-1 as a percentage; "none" for None."""
    if share is None:
        return "none"
    return f"{100 * share:.0f} %" if share == 0 or share >= 0.1 else f"{100 * share:.1f} %"


def grouped(count: int) -> str:
    """1234567 -> 1 234 567, with thin spaces."""
    return f"{count:,}".replace(",", "\u202f")


def _of_pictures(found: Census, looks: Looks) -> Iterator[str]:
    shares, faces = found.shares, found.histograms["face_height"]
    yield f"In {percent(shares['nobody'])} of the keyframes the detector finds nobody."
    if shares["faceless"]:
        yield f"{percent(shares['faceless'])} of the keyframes with a person have no detected face."
    if faces.n:
        least, few = number(faces.edges[1]), faces.counts[0] or "none"
        yield (
            f"Half of the faces are at least {number(faces.median)} % of the picture's height, and {few} of {faces.n} "
            f"smaller than {least} %: small faces are rare or not detected, so models hardly learn them."
        )
    if found.faces_rejected:
        reasons = listed([f"{count} {reason.replace('_', ' ')}" for reason, count in found.faces_rejected.items()])
        share = percent(sum(found.faces_rejected.values()) / found.faces)
        yield f"{share} of the {found.faces} faces are not in the face bank: {reasons}."
    if shares["still"]:
        yield f"{percent(shares['still'])} of the keyframes hardly differ from the previous one."
    if looks.dark or looks.grey:
        yield (
            f"Of {looks.count} sampled keyframes {percent(looks.dark)} are dark and {percent(looks.grey)} "
            "are without colour."
        )


def _of_texts(found: Census) -> Iterator[str]:
    shares = found.shares
    if shares["template"]:
        yield f"{percent(shares['template'])} of the scripts are written by the template, in the same few phrases."
    if shares["same_script"]:
        yield f"{percent(shares['same_script'])} of the scripts are the same, word for word, as the previous one."
    yield "Captions and scripts are written by models, in the models' language; nobody has proofread them."
    yield "The languages spoken in the films are not known, because sound is not analysed."


def _of_films(found: Census) -> Iterator[str]:
    shares = found.shares
    if found.films == 1:
        yield f"All keyframes are from one film, {found.largest}: models learn this film, not films in general."
    else:
        share = percent(shares["largest_film"])
        yield f"{share} of the keyframes are from one of {found.films} films: {found.largest}."
    if found.split == "halves":
        yield "The held-out keyframes are from the training films: their figures say nothing about unseen films."
    if shares["year_unknown"]:
        yield f"The year of {percent(shares['year_unknown'])} of the films is not known."
    if shares["licence_unknown"]:
        yield f"The licence of {percent(shares['licence_unknown'])} of the films is not known: clear it before use."
    if found.audit.shared:
        yield f"Pairs of films that share a passage, which counts twice: {found.audit.shared}."
    if found.audit.unseen:
        unseen = f"The pictures of {found.audit.unseen} films could not be compared with others"
        yield f"{unseen} for near duplicates or shared passages."


def _sheets(config: DataCardConfig, storage: Storage, snapshot: Snapshot) -> tuple[list[Sheet], Looks]:
    films = {film.film_id: film for film in snapshot.films}
    keyframes = FilmRows(storage, "keyframes", snapshot.work["keyframes"])
    rows = Tables(storage).read("keyframes", snapshot.work["keyframes"], ["row_id", "film_id", "second"])
    sheets, seen = [], []
    for part, title in _SIDES.items():
        mine = snapshot.rows_of(part, rows)["row_id"]
        chosen = mine.take(pa.array(spread(len(mine), config.pictures), pa.int64())).to_pylist()
        pictures = []
        for row_id in map(str, chosen):  # one at a time: each is in another place of the table
            columns = ["film_id", "second", "image"]
            (row,) = keyframes.between(film_of(row_id), row_id, row_id, columns).to_pylist()
            pictures.append(
                picture(f"{films[row['film_id']].name}, {clock(row['second'])}", row["image"], config.width)
            )
            seen.append(_look(row["image"]))
        sheets.append(Sheet(title, tuple(pictures)))
    dark, grey = (round(float(np.mean(one)), 4) for one in zip(*seen, strict=True))
    return sheets, Looks(len(seen), dark, grey)


def _look(image: bytes) -> tuple[bool, bool]:
    """Whether a picture is dark, and whether it is without colour."""
    from PIL import Image

    with Image.open(io.BytesIO(image)) as opened:
        pixels = np.asarray(opened.convert("RGB").resize((32, 18)), np.float32)
    colour = (pixels.max(axis=-1) - pixels.min(axis=-1)).mean()
    return bool(pixels.mean() < _DARK), bool(colour < _GREY)


def _write(storage: Storage, rel: str, text: str) -> None:
    data = text.encode()
    if not storage.exists(rel) or storage.read_bytes(rel) != data:
        storage.write_bytes(rel, data)
