"""Which header fields Postfix has to delete, in the form that libmilter wants.

A field is named by (name, index); the index counts the fields of that name, whatever their case,
from 1.  Every deletion moves the later ones up, so the highest index comes first.  Fields are only
ever removed by name, all of a name at once, so two removals can be done one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from milterd.verdict import Deletions, Headers


def without(
    headers: Sequence[tuple[bytes, bytes]], unwanted: Callable[[bytes], bool]
) -> tuple[Deletions, Headers]:
    """(what to delete, what remains); `unwanted` is asked with each name in lower case."""
    counts: dict[bytes, int] = {}
    spelling: dict[bytes, str] = {}
    remaining: Headers = []
    for name, value in headers:
        key = name.lower()
        if key not in counts and not unwanted(key):
            remaining.append((name, value))
            continue
        counts[key] = counts.get(key, 0) + 1
        spelling.setdefault(key, name.decode("utf-8", "replace"))
    deletions = [
        (spelling[key], index) for key, count in counts.items() for index in range(count, 0, -1)
    ]
    return deletions, remaining
