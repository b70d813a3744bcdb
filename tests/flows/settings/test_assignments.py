"""`--set a.b=c` over frozen configs with unions inside."""

from pathlib import Path
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError, model_validator

from flows.settings.assignments import assign_all, fields, in_utf8
from storage.errors import ConfigError
from tasks.curation.ingest import IngestConfig


class Template(BaseModel, frozen=True, extra="forbid"):
    kind: Literal["template"] = "template"


class Model(BaseModel, frozen=True, extra="forbid"):
    kind: Literal["model"] = "model"
    layers: int = Field(4, ge=1)
    name: str = "small"
    note: str | None = None


class Films(BaseModel, frozen=True, extra="forbid"):
    films: tuple[str, ...] = ()
    first: float = 0.0
    last: float = 10.0

    @model_validator(mode="after")
    def _in_order(self) -> "Films":
        if self.first > self.last:
            raise ValueError(f"first {self.first} is after last {self.last}")
        return self


class Whole(BaseModel, frozen=True, extra="forbid"):
    seed: int = 7
    quick: bool = False
    ingest: Films = Films()
    writer: Annotated[Template | Model, Field(discriminator="kind")] = Model()


def test_changes_one_field_and_keeps_the_rest() -> None:
    whole = assign_all(Whole(seed=3), ["writer.layers=2"])
    assert whole == Whole(seed=3, writer=Model(layers=2))


@pytest.mark.parametrize(
    ("assignment", "key", "value"),
    [
        ("seed=9", "seed", 9),
        (" seed = 9 ", "seed", 9),
        ("quick=true", "quick", True),
        ("ingest.last=1e1", "ingest.last", 10.0),
        ("writer.name=12", "writer.name", "12"),
        ("writer.name=a=b", "writer.name", "a=b"),
        ('writer.name="quoted"', "writer.name", "quoted"),
        ("writer.note=null", "writer.note", None),
        ("ingest.films=a film, of two words.mp4", "ingest.films", ["a film, of two words.mp4"]),
        ("ingest.films=7", "ingest.films", ["7"]),
        ('ingest.films=["a.mp4", "b.mp4"]', "ingest.films", ["a.mp4", "b.mp4"]),
    ],
)
def test_values(assignment: str, key: str, value: object) -> None:
    assert fields(assign_all(Whole(), [assignment]))[key] == value


def test_kind_changes_the_backend_and_its_defaults() -> None:
    template = assign_all(Whole(), ["writer.kind=template"])
    assert template.writer == Template()
    again = assign_all(template, ["writer.kind=model", "writer.layers=2", 'writer.kind="model"'])
    assert again.writer == Model(layers=2)


def test_a_whole_section_as_json() -> None:
    assert assign_all(Whole(), ['writer={"kind": "model", "layers": 1}']).writer == Model(layers=1)


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("seed", "--set 'seed' is not of the form key=value"),
        ("=3", "--set '=3' is not of the form key=value"),
        ("sed=3", "no setting 'sed': did you mean 'seed'"),
        ("writer.layer=3", "no setting 'writer.layer': did you mean 'writer.layers'"),
        ("layers=3", "no setting 'layers': did you mean 'writer.layers'"),
        ("seed.x=3", "no setting 'seed.x'"),
        ("wrter=3", "did you mean 'writer'"),
        ("seed=many", "'many' does not fit .*seed: Input should be a valid integer"),
        ("writer.layers=0", "'0' does not fit .*layers: Input should be greater than or equal to 1"),
        ("writer.kind=modle", "'modle' does not fit .*'template', 'model'"),
        ("ingest.first=11", "'11' does not fit .*first 11.0 is after last 10.0"),
    ],
)
def test_what_cannot_be_used_is_quoted(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        assign_all(Whole(), [assignment])


@pytest.mark.parametrize(
    "value", ['{"kind": "model", "kind": "template"}', '[{"a": {"kind": 1, "layers": 2, "kind": 1}}]']
)
def test_json_with_a_doubled_name_is_refused(value: str) -> None:
    with pytest.raises(ConfigError, match=r"'kind' appears twice in .*: join the two"):
        assign_all(Whole(), [f"writer={value}"])


def test_later_assignments_win() -> None:
    assert assign_all(Whole(), ["seed=1", "seed=2"]).seed == 2


def test_configs_stay_frozen() -> None:
    with pytest.raises(ValidationError):
        assign_all(Whole(), ["seed=1"]).seed = 2  # type: ignore[misc]


def test_a_setting_of_another_kind_says_which_kind_is_set() -> None:
    with pytest.raises(ConfigError, match=r"no setting 'writer\.layers'.* \(writer\.kind is 'template'; what another"):
        assign_all(Whole(writer=Template()), ["writer.layers=2"])
    assert assign_all(Whole(writer=Template()), ["writer.kind=model", "writer.layers=2"]) == Whole(
        writer=Model(layers=2)
    )


class Both(BaseModel, frozen=True):
    ingest: IngestConfig = IngestConfig()


@pytest.mark.parametrize("value", ["caf\udce9.mp4", '["caf\udce9.mp4"]', '"caf\udce9.mp4"'])
def test_a_film_whose_name_is_not_utf8_is_set_under_an_escaped_one(value: str) -> None:
    assignment = in_utf8(f"ingest.films={value}")
    assert assignment.isascii()
    for given in (assignment, f"ingest.films={value}"):
        (film,) = assign_all(Both(), [given]).ingest.films
        assert film == (Path.cwd() / "caf\udce9.mp4").as_uri()
    assert in_utf8("ingest.films=é.mp4") == "ingest.films=é.mp4"
