"""What a decoding process can't do even when a film takes it over, as far as this system offers it (Linux).

Landlock (Linux 5.13; its part about TCP 6.7) and network namespaces need no privileges. Where the kernel or a container
forbids them, decoding goes on without: limits on time and memory and the formats that are read hold everywhere.
"""

import ctypes
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446  # system calls, alike on all machines
_ASK_VERSION, _BELOW_A_PATH = 1, 1
_READ_FILE, _READ_AND_RUN = 1 << 2, 1 << 0 | 1 << 2 | 1 << 3
_FILE_RIGHTS = (0, 13, 14, 15, 15)  # how many there are, by Landlock's version; 16 in later ones
_NO_NEW_PRIVILEGES = 38
_NEW_NETWORK, _NEW_USER = 0x40000000, 0x10000000

_OF_THE_SYSTEM = ("/usr", "/lib", "/lib64", "/etc/ld.so.cache", "/dev/null", "/dev/urandom", "/sys/devices/system/cpu")


class _Rules(ctypes.Structure):
    _fields_ = (("files", ctypes.c_uint64), ("network", ctypes.c_uint64), ("scopes", ctypes.c_uint64))


class _Rule(ctypes.Structure):
    _pack_ = 1
    _fields_ = (("allowed", ctypes.c_uint64), ("place", ctypes.c_int32))


def leave_network() -> bool:
    """Takes this process and its children off every network; says whether the system let it. Needs a single thread."""
    if sys.platform != "linux":
        return False
    flags = _NEW_NETWORK | (_NEW_USER if os.geteuid() else 0)  # root would lose its right to read others' files
    return bool(ctypes.CDLL(None).unshare(flags) == 0)


def read_only(paths: Iterable[Path]) -> bool:
    """Lets this thread, and those that it starts, open nothing but these files for reading, and Python's own.

    What is open already stays open. TCP connections, and signals to other processes, are refused where that is known.

    Returns:
        Whether the system has Landlock.
    """
    if sys.platform != "linux":
        return False
    call = ctypes.CDLL(None).syscall
    version = call(_CREATE_RULESET, None, 0, _ASK_VERSION)
    if version < 1:
        return False
    rights = _FILE_RIGHTS[version] if version < len(_FILE_RIGHTS) else 16
    rules = _Rules((1 << rights) - 1, 3 if version >= 4 else 0, 3 if version >= 6 else 0)
    size = 8 * (1 + (version >= 4) + (version >= 6))
    ruleset = call(_CREATE_RULESET, ctypes.byref(rules), size, 0)
    own = {sys.prefix, sys.base_prefix, *sys.path, *_OF_THE_SYSTEM, str(Path(__file__).parents[2])}
    for path in {*paths, *map(Path, filter(None, own))}:
        with suppress(OSError):  # not there, or closed: it isn't opened later either
            place = os.open(path, os.O_PATH | os.O_CLOEXEC)
            rule = _Rule(_READ_AND_RUN if path.is_dir() else _READ_FILE, place)
            call(_ADD_RULE, ruleset, _BELOW_A_PATH, ctypes.byref(rule), 0)
            os.close(place)
    ctypes.CDLL(None).prctl(_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
    restricted = bool(call(_RESTRICT_SELF, ruleset, 0) == 0)
    os.close(ruleset)
    return restricted
