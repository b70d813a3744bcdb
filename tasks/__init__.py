"""Ray Data and Ray Train jobs, one file a stage: the only room that imports ray."""
