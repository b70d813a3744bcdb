"""The root of the errors that models/ raises; tasks/errors.py draws the whole tree."""


class ModelError(Exception):
    """Parent of all errors that a model, its weights or its server raise for users."""
