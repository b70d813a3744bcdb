"""The root of all errors outside models/, and those that every room raises; tasks/errors.py draws the whole tree."""


class MovieDreamerError(Exception):
    """Parent of all errors that storage/, tasks/ and flows/ raise for users."""


class StorageError(MovieDreamerError):
    """A storage that cannot be read or written; the message quotes its URI."""


class ConfigError(MovieDreamerError, ValueError):
    """A setting that cannot be used; the message quotes it and names the cure."""


class FilmError(MovieDreamerError, ValueError):
    """A film that cannot be used.

    Args:
        reason: short code that is counted and kept, such as "truncated" (storage.tables.rejects.REASONS has all).
        detail: one sentence for people; it quotes the film.
    """

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail

    def __str__(self) -> str:
        return f"{self.reason}: {self.detail}"
