"""Torch modules and model backends; imports neither ray nor prefect nor storage."""
