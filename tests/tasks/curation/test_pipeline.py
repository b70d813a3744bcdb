"""The list of the curation's stages fits together, and fits the settings of a run."""

from flows.settings.recipe import Recipe
from storage.fingerprint import fingerprint
from storage.tables.schemas import SCHEMAS
from tasks.curation.pipeline import CURATION


def test_each_stage_reads_what_earlier_ones_made_and_finds_its_settings() -> None:
    there = {"ingest"}
    for stage in CURATION:
        assert there.issuperset(stage.inputs), stage.name
        assert SCHEMAS.keys() >= set(stage.tables), stage.name
        assert fingerprint(stage.identity(*stage.arguments(Recipe())))
        there.add(stage.name)
    assert len(there) == len(CURATION) + 1
