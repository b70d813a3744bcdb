"""What an evaluation found, as one JSON file that people share and compare."""

import shlex
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field, FiniteFloat, ValidationError

from models.metrics.figure import Figure
from storage.errors import ConfigError

FORMAT: Literal[1] = 1


class Model(BaseModel, frozen=True, extra="forbid"):
    """A network that took part.

    Args:
        id: hub id, file name or backend.
        revision: commit or hash of its weights.
        licence: of its weights.
    """

    id: str
    revision: str
    licence: str


class Report(BaseModel, frozen=True, extra="forbid"):
    """One evaluation of one system.

    Args:
        format: version of this layout.
        name: the system, or whatever else a column of a table is called.
        moment: when it began.
        seconds: how long it took.
        commit: of the code, or its version where it is no checkout; "-dirty" where files were changed.
        command: that was run.
        models: what a network is for -> the network.
        seeds: of what was drawn at random, in generation or measurement.
        n: pictures that were looked at.
        figures: metric -> value, interval and n, or the reason why there is none.
        samples: metric -> sample -> value. A sample is named "story/keyframe", "story/character" or the like, or
            "story" where it is a whole one, so that the same samples of two reports can be paired.
        notes: which stories are left out of some figures, and why.
    """

    format: Literal[1] = FORMAT
    name: str
    moment: AwareDatetime
    seconds: float = Field(ge=0, allow_inf_nan=False)
    commit: str
    command: str
    models: dict[str, Model] = Field(default_factory=dict)
    seeds: tuple[int, ...] = ()
    n: int = Field(ge=0)
    figures: dict[str, Figure]
    samples: dict[str, dict[str, FiniteFloat]] = Field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def text(self) -> str:
        """Its JSON."""
        return self.model_dump_json(indent=1) + "\n"


def made(
    name: str,
    began: datetime,
    n: int,
    figures: Mapping[str, Figure],
    samples: Mapping[str, Mapping[str, float]],
    models: Mapping[str, Model],
    seeds: Iterable[int] = (),
    notes: Iterable[str] = (),
) -> Report:
    """The report of what ends now; commit and command are those of this process.

    Args:
        began: `datetime.now(UTC)` when it began.
    """
    return Report(
        name=name,
        moment=began,
        seconds=round((datetime.now(UTC) - began).total_seconds(), 3),
        commit=commit(),
        command=shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        models=dict(models),
        seeds=tuple(seeds),
        n=n,
        figures=dict(figures),
        samples={metric: dict(values) for metric, values in samples.items()},
        notes=tuple(notes),
    )


def parse(data: bytes | str, where: str) -> Report:
    """A report's JSON.

    Raises:
        ConfigError: quoting `where` and what is wrong.
    """
    try:
        return Report.model_validate_json(data)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise ConfigError(f"{where!r} is no report of format {FORMAT}: {place}: {first['msg']}") from error


def read(path: Path) -> Report:
    """The report in a file.

    Raises:
        ConfigError: when it can't be read or is none.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{str(path)!r} can't be read: {error.strerror}") from error
    return parse(data, str(path))


def commit() -> str:
    """The commit of the code that runs, or its version where it is no checkout."""
    here = Path(__file__).parent
    try:
        found = subprocess.run(
            ["git", "-C", str(here), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        try:
            return version("moviedreamer")
        except PackageNotFoundError:
            return "unknown"
    return found.stdout.strip()
