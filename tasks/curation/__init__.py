"""From films to a snapshot: the curation stages, one file per stage, and pages and exports of a snapshot."""
