"""The base class of all errors of models/; tasks/errors.py shows the whole tree."""


class ModelError(Exception):
    """Base class of errors for users about a model, its weights or its server."""
