"""Prefect flows, the command line and the recipes: the only room that imports prefect."""
