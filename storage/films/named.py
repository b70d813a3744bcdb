"""Each file once, however often it is named, and whose word about it counts."""

import os
from collections import defaultdict
from collections.abc import Iterable

from storage.films.provenance import Named
from storage.remote import address, is_remote, local_path
from storage.tables.rejects import Reject


def each_once(found: Iterable[Named | Reject]) -> tuple[list[Named], list[Reject]]:
    """The files in the order in which they were first named; and the rejects, with what was said of them in vain.

    A row of a manifest counts more than a path, folder or pattern, which say nothing of their films: "also_named". Of
    two rows the earlier counts: "named_twice" quotes both, and in what they disagree.
    """
    named: dict[str, Named] = {}
    rejects: list[Reject] = []
    also: dict[str, set[str]] = defaultdict(set)  # table -> files
    for one in found:
        if isinstance(one, Reject):
            rejects.append(one)
            continue
        place = _place(one.source)
        first = named.setdefault(place, one)
        if one.row and first.row:
            if one.row != first.row:
                rejects.append(_named_twice(one, first))
        elif one.row or first.row:
            named[place] = one if one.row else first
            also[named[place].table].add(place)
    return list(named.values()), rejects + [_also_named(table, len(files)) for table, files in also.items()]


def _named_twice(one: Named, first: Named) -> Reject:
    says = one.said.unlike(first.said) or "the same"
    same = f"row {one.row!r} names {address(one.source)!r}, as row {first.row!r} does"
    detail = f"{same}, and says {says}: the earlier row counts"
    return Reject(source=one.row, reason="named_twice", detail=detail)


def _also_named(table: str, films: int) -> Reject:
    were = "film was" if films == 1 else "films were"
    detail = f"{films} {were} also given by path, folder or pattern: what the rows of {table!r} say of them counts"
    return Reject(source=table, reason="also_named", detail=detail)


def _place(source: str) -> str:
    return source if is_remote(source) else os.path.realpath(local_path(source))  # which minds no links in a ring
