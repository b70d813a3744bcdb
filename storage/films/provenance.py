"""Where a film comes from, and on what terms, as the user says; some of it is also in a film's header."""

from pydantic import BaseModel, Field

UNKNOWN: dict[str, str | int] = {"origin": "", "availability": "", "year": 0, "movie": "", "phash": ""}
"""Columns of the table `films` that storages of earlier versions lack -> what stands there when nobody knows."""


class Provenance(BaseModel, frozen=True, extra="forbid"):
    """Every field is optional: "", or 0 for the year, if unknown.

    Args:
        origin: from where the film was had: an archive, a page, a disc. In manifests the column `source`.
        availability: to whom it is open: "public", "on request", ...
        movie: what is told or shown in several files, such as an IMDb id; they stay on one side of a split.
    """

    title: str = ""
    year: int = Field(default=0, ge=0, le=2200)
    origin: str = ""
    licence: str = ""
    availability: str = ""
    movie: str = ""

    def given(self) -> dict[str, str | int]:
        """What was said, by column of the table `films`."""
        return {name: value for name, value in self.model_dump().items() if value}

    def filled(self, other: "Provenance") -> "Provenance":
        """This, with missing fields taken from another."""
        return Provenance.model_validate(other.given() | self.given())

    def unlike(self, other: "Provenance") -> str:
        """Where this differs from another, with both values, in words; "" if they agree."""
        mine, others = self.model_dump(), other.model_dump()
        fields = [name for name in mine if mine[name] != others[name]]
        return ", ".join(f"{name} {_quoted(mine[name])} instead of {_quoted(others[name])}" for name in fields)


def _quoted(value: object) -> str:
    return repr(value) if value else "nothing"


class Named(BaseModel, frozen=True, extra="forbid"):
    """One file that a user named, by path or URI, with its metadata.

    `row`: of the table that names it, as "<manifest>:<row>"; "" for one that a path, folder or pattern leads to.
    """

    source: str
    said: Provenance = Provenance()
    row: str = ""

    @property
    def table(self) -> str:
        """The manifest, or other table, of the row."""
        return self.row.rpartition(":")[0]
