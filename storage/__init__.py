"""Bytes and rows: schemas, tables, media files; imports neither torch nor ray nor prefect."""
