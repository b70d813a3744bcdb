"""Turns what the libraries below raise into a StorageError that quotes the storage and names the cure."""

import errno
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager

from storage.errors import StorageError
from storage.masked import masked

KEYS = (
    "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (gs: GOOGLE_APPLICATION_CREDENTIALS, az: AZURE_STORAGE_ACCOUNT_NAME "
    "and AZURE_STORAGE_ACCOUNT_KEY)"
)
"""Where object stores look for keys."""

_FULL = re.compile(r"no space left|disk quota exceeded|file too large|not enough space", re.IGNORECASE)
_CLOSED = re.compile(r"permission denied|read-only file system|access[ _]?denied|forbidden", re.IGNORECASE)
_NO_KEYS = re.compile(r"http status 40[13]|credential|signature|invalid_?access_?key", re.IGNORECASE)
_FULL_CODES = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_CLOSED_CODES = {errno.EACCES, errno.EPERM, errno.EROFS}


def storage_error(error: Exception, doing: str, url: str) -> StorageError:
    """The StorageError for `error`, met while `doing` (such as "write") at `url`."""
    code, text = getattr(error, "errno", None), masked(str(error))
    if code in _FULL_CODES or _FULL.search(text):
        return StorageError(
            f"cannot {doing} {url!r}: no space left there; free some or name another place with --storage, "
            "then run the same command again: what was finished is kept"
        )
    if "://" in url and (code in _CLOSED_CODES or lacks_keys(error)):
        return StorageError(f"cannot {doing} {url!r}: access denied: export {KEYS} for an account that has access")
    if code in _CLOSED_CODES or _CLOSED.search(text):
        return StorageError(f"cannot {doing} {url!r}: not permitted; make it writable or name another with --storage")
    return StorageError(f"cannot {doing} {url!r}: {' '.join(text.split())[:500]}")


def lacks_keys(error: Exception) -> bool:
    """Whether an object store may have refused for want of keys; some answer 400 when there are none."""
    text = str(error)
    refused = _CLOSED.search(text) or _NO_KEYS.search(text)
    return bool(refused) or ("HTTP status 400" in text and "AWS_ACCESS_KEY_ID" not in os.environ)


@contextmanager
def guarded(doing: str, url: str) -> Iterator[None]:
    """Raises StorageError in place of OSError and the errors of Delta and of object stores inside the block.

    Raises:
        StorageError: quoting `url`.
    """
    from deltalake.exceptions import DeltaError
    from obstore.exceptions import BaseError

    try:
        yield
    except (OSError, DeltaError, BaseError) as error:
        raise storage_error(error, doing, url) from error
