"""From films to a snapshot: the stages of the curation, one file a stage, and what tells of a snapshot."""
