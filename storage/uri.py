"""Checks the URI of a storage root, and converts it to the form that Arrow and Delta read."""

import os
import re
from pathlib import Path
from urllib.parse import parse_qsl, quote

from storage.errors import ConfigError
from storage.guard import KEYS
from storage.printable import is_utf8
from storage.remote import OBJECT_STORES, address, local_path, split

_NOT_FOR_DELTA = set("[]|^%\\\x7f") | set(map(chr, range(32)))
_STAYS = "/!$&'()*+,;=:@~"  # of what may stand in a URI as it is
_DELTA_KEYS = {
    "region": "AWS_REGION",
    "endpoint_override": "AWS_ENDPOINT_URL",
}
_KEYS = {"access_key", "secret_key", "session_token", "access_token"}


def root_uri(uri: str) -> str:
    """A remote URI with escapes where necessary, or the absolute path of a folder.

    Raises:
        ConfigError: for an empty URI, another scheme, keys in it, a file, or a folder that Delta cannot write to.
    """
    scheme, place, options = split(uri)
    if not uri.strip():
        raise ConfigError("the storage is empty: name a folder, file://, s3://, gs:// or az:// with --storage")
    if "://" not in uri or uri.startswith("file:///"):
        return _folder(str(local_path(uri).absolute()))
    if scheme not in OBJECT_STORES or place.startswith("/") or not place:
        raise ConfigError(
            f"unknown storage {address(uri)!r}: name a folder, file://, s3://bucket/.., gs://bucket/.. or "
            "az://container/.. (with AZURE_STORAGE_ACCOUNT_NAME in the environment)"
        )
    bucket = place.partition("/")[0]
    if "@" in bucket or (":" in bucket and "@" in place) or _KEYS & dict(parse_qsl(options)).keys():
        bare = f"{scheme}://{place.rpartition('@')[2]}"
        raise ConfigError(
            f"keys stand in the storage {bare!r}: leave them out and export {KEYS}, which are never shown or kept"
        )
    if options and scheme != "s3":
        raise ConfigError(f"storage {address(uri)!r}: {scheme}:// takes no options ({options!r}): leave them out")
    stray = re.sub("%(?![0-9A-Fa-f]{2})", "%25", place)  # a "%" that escapes stays
    return _in_utf8(f"{scheme}://{quote(stray, f'{_STAYS}%')}" + (f"?{options}" if options else ""))


def escaped(rel: str) -> str:
    """A path below a remote root, escaped as in its URI."""
    return quote(rel, _STAYS)


def delta_options(uri: str) -> dict[str, str]:
    """`storage_options` for the deltalake package, which takes keys from the environment."""
    query = dict(parse_qsl(split(uri)[2]))
    options = {_DELTA_KEYS[key]: value for key, value in query.items() if key in _DELTA_KEYS}
    endpoint = options.get("AWS_ENDPOINT_URL")
    scheme = query.get("scheme", "https")
    if endpoint and "://" not in endpoint:
        options["AWS_ENDPOINT_URL"] = f"{scheme}://{endpoint}"
    if scheme == "http":
        options["AWS_ALLOW_HTTP"] = "true"
    return options


def _folder(path: str) -> str:
    _in_utf8(path)
    if _is_something_else(Path(path)):
        raise ConfigError(f"storage {path!r} is not a folder: name a folder, or a new one")
    if signs := sorted(set(path) & _NOT_FOR_DELTA):
        raise ConfigError(
            f"storage {path!r}: Delta tables cannot stand in a folder with {signs} in its path; rename it, or "
            "name a link to it without them"
        )
    return path


def _in_utf8(uri: str) -> str:
    if not is_utf8(uri):
        raise ConfigError(f"storage {uri!r}: its path is not UTF-8, rename the folder or name another")
    return uri


def _is_something_else(path: Path) -> bool:
    try:
        return os.path.lexists(path) and not path.is_dir()
    except OSError:  # the first write reports what is wrong
        return False
