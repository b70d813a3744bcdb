"""Statistics of a snapshot: counts, distributions, models, licences, rejects, and the biases that they show.

Films are read a few at a time, without pictures.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence

from pydantic import BaseModel

from storage.root import Storage
from storage.snapshot import Part, Snapshot
from storage.tables.rejects import REASONS
from storage.tables.tables import Tables
from tasks.curation.histogram import Histogram
from tasks.curation.pipeline import BACKENDS
from tasks.curation.snapshot import film_rows
from tasks.curation.split import Audit, audit
from tasks.progress import Progress
from tasks.rows import Row

_TOGETHER = 128  # films per read
_STILL = 1.0  # motion, of 255, below which a keyframe is nearly the same as the previous one
_EXAMPLES = 3
_NOT_CURATION = ("movie",)  # stages whose rejects don't exclude a film


class Made(BaseModel, frozen=True, extra="forbid"):
    """A backend and its number of rows."""

    stage: str
    backend: str
    revision: str
    licence: str
    rows: int


class Rejected(BaseModel, frozen=True, extra="forbid"):
    """A reason why films were rejected or used only in part, with examples."""

    reason: str
    meaning: str
    count: int
    examples: tuple[str, ...]


class Side(BaseModel, frozen=True, extra="forbid"):
    """The training or the held-out part."""

    films: int
    movies: int
    keyframes: int


class Census(BaseModel, frozen=True, extra="forbid"):
    """The content of data_card.json; counts are of keyframes in the snapshot."""

    snapshot: str
    split: str
    films: int
    movies: int
    hours: float
    keyframes: int
    shots: int
    characters: int
    faces: int
    faces_rejected: dict[str, int]
    people: int
    sides: dict[str, Side]
    audit: Audit
    licences: dict[str, int]
    availability: dict[str, int]
    origins: int
    decades: dict[str, int]
    histograms: dict[str, Histogram]
    written_by: dict[str, int]
    made: tuple[Made, ...]
    rejected: tuple[Rejected, ...]
    shares: dict[str, float | None]
    largest: str


def census(storage: Storage, snapshot: Snapshot, progress: Progress) -> Census:
    """Computes the statistics of a snapshot.

    Raises:
        LeakError: something is in both the training and the held-out part.
        StorageError: the storage cannot be read.
    """
    tables, tally = Tables(storage), _Tally(snapshot)
    films = [film.film_id for film in snapshot.films]
    for start in range(0, len(films), _TOGETHER):
        progress("films counted", start, len(films))
        tally.count(tables, films[start : start + _TOGETHER])
    progress("films counted", len(films), len(films))
    rows = tables.read("films", snapshot.work["keyframes"]).to_pylist()
    checked = audit(snapshot, *film_rows(tables, snapshot.work))
    titles = {film.film_id: film.name for film in snapshot.films}
    largest, most = max(sorted(tally.keyframes.items()), key=lambda item: item[1])
    total = sum(tally.keyframes.values())
    by_template = tally.written_by["template"]
    return Census(
        snapshot=snapshot.id,
        split="films" if snapshot.by_films else "halves",
        films=len(films),
        movies=len({film.movie or film.film_id for film in snapshot.films}),
        hours=round(sum(row["seconds"] for row in rows) / 3600, 4),
        keyframes=total,
        shots=len(tally.shots),
        characters=sum(tally.persons),
        faces=len(tally.face_heights),
        faces_rejected=_sorted(tally.faces_rejected),
        people=tally.people,
        sides={
            part: Side(films=checked.films[part], movies=checked.movies[part], keyframes=count)
            for part, count in tally.sides.items()
        },
        audit=checked,
        licences=_sorted(Counter(row["licence"] or "unknown" for row in rows)),
        availability=_sorted(Counter(row["availability"] or "unknown" for row in rows)),
        origins=sum(bool(row["origin"]) for row in rows),
        decades=dict(sorted(Counter(_decade(row["year"]) for row in rows).items())),
        histograms=_histograms(rows, tally),
        written_by=_sorted(tally.written_by),
        made=tuple(_made(tally.backends)),
        rejected=tuple(_rejected(storage, tables)),
        shares={
            "nobody": _share(tally.persons.count(0), total),
            "faceless": _share(tally.faceless, total - tally.persons.count(0)),
            "still": _share(tally.still, total),
            "largest_film": _share(most, total),
            "template": _share(by_template, sum(tally.written_by.values())),
            "same_script": _share(tally.same_script, total),
            "licence_unknown": _share(sum(_is_unknown(row["licence"]) for row in rows), len(rows)),
            "year_unknown": _share(sum(not row["year"] for row in rows), len(rows)),
        },
        largest=titles[largest],
    )


def _histograms(films: Sequence[Row], tally: "_Tally") -> dict[str, Histogram]:
    return {
        "film_minutes": Histogram.of("Length of a film", "minutes", [row["seconds"] / 60 for row in films]),
        "shot_keyframes": Histogram.of("Length of a shot", "keyframes", list(tally.shots.values())),
        "persons": Histogram.of("Persons in a keyframe", "persons found", tally.persons),
        "face_height": Histogram.of("Height of a face", "% of the picture's height", tally.face_heights),
        "sentences": Histogram.of("Sentences in a script", "sentences", tally.sentences),
        "words": Histogram.of("Words in a script", "words", tally.words),
    }


class _Tally:
    """Adds up films."""

    def __init__(self, snapshot: Snapshot) -> None:
        self._work = snapshot.work
        self._films = {film.film_id: film for film in snapshot.films}
        self.keyframes: Counter[str] = Counter()
        self.sides: dict[Part, int] = {"train": 0, "test": 0}
        self.shots: Counter[tuple[str, int]] = Counter()
        self.persons: list[int] = []
        self.face_heights: list[float] = []
        self.faces_rejected: Counter[str] = Counter()  # by reason
        self.sentences: list[int] = []
        self.words: list[int] = []
        self.written_by: Counter[str] = Counter()
        self.backends: Counter[tuple[str, str, str, str]] = Counter()
        self.people = self.still = self.faceless = self.same_script = 0

    def count(self, tables: Tables, film_ids: Sequence[str]) -> None:
        def read(table: str, columns: list[str]) -> Iterator[Row]:
            work = {film_id: self._work[table][film_id] for film_id in film_ids}
            yield from tables.read(table, work, columns).to_pylist()

        used: set[str] = set()
        for row in read("keyframes", ["row_id", "film_id", "second", "shot", "motion"]):
            part = self._films[row["film_id"]].part(row["second"])
            if part is None:
                continue
            self.keyframes[row["film_id"]] += 1
            self.sides[part] += 1
            self.shots[row["film_id"], row["shot"]] += 1
            self.still += row["motion"] < _STILL
            used.add(row["row_id"])
        persons = Counter(row["row_id"] for row in self._made("characters", read, [], used))
        faces, people = Counter[str](), set()
        for row in self._made("faces", read, ["film_id", "y0", "y1", "character", "rejected"], used):
            faces[row["row_id"]] += 1
            self.face_heights.append(100 * (row["y1"] - row["y0"]))
            if row["rejected"]:
                self.faces_rejected[row["rejected"]] += 1
            if row["character"] >= 0:
                people.add((row["film_id"], row["character"]))
        self.people += len(people)
        self.persons += [persons[row_id] for row_id in used]
        self.faceless += sum(row_id not in faces for row_id in persons)
        for _ in self._made("captions", read, [], used):
            pass
        before = ("", "")
        columns = ["film_id", "characters", "scene_elements", "plots", "written_by"]
        for row in self._made("scripts", read, columns, used):
            said = [*row["characters"], *row["scene_elements"], *row["plots"]]
            self.sentences.append(len(said))
            self.words.append(sum(len(sentence.split()) for sentence in said))
            self.written_by[row["written_by"]] += 1
            now = row["film_id"], "\n".join(said)
            self.same_script += now == before
            before = now

    def _made(
        self, table: str, read: Callable[[str, list[str]], Iterator[Row]], columns: list[str], used: set[str]
    ) -> Iterator[Row]:
        for row in read(table, ["row_id", *columns, "backend", "revision", "licence"]):
            if row["row_id"] in used:
                self.backends[table, row["backend"], row["revision"], row["licence"]] += 1
                yield row


def _made(backends: Mapping[tuple[str, str, str, str], int]) -> Iterator[Made]:
    for one in sorted(backends, key=lambda one: BACKENDS.index(one[0])):
        stage, backend, revision, licence = one
        yield Made(stage=stage, backend=backend, revision=revision, licence=licence, rows=backends[one])


def _rejected(storage: Storage, tables: Tables) -> Iterator[Rejected]:
    """Rejects of all runs in the storage, the most frequent reason first; paths are relative to the storage."""
    details: dict[str, list[str]] = defaultdict(list)
    for reject in tables.rejects():
        if reject.stage not in _NOT_CURATION:
            details[reject.reason].append(reject.detail.replace(storage.base.rstrip("/") + "/", ""))
    for reason, said in sorted(details.items(), key=lambda one: (-len(one[1]), one[0])):
        examples = tuple(sorted(said)[:_EXAMPLES])
        yield Rejected(reason=reason, meaning=REASONS.get(reason, ""), count=len(said), examples=examples)


def _share(part: int, whole: int) -> float | None:
    return round(part / whole, 4) if whole else None


def _sorted(counts: Mapping[str, int]) -> dict[str, int]:
    """The most frequent first."""
    return dict(sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def _decade(year: int | None) -> str:
    return f"{year // 10 * 10}s" if year else "unknown"


def _is_unknown(licence: str) -> bool:
    return licence.strip().lower() in ("", "unknown")
