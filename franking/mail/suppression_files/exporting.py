"""An account's list as CSV, which `importing` takes back as it was.

Spreadsheets calculate cells that begin like a formula, and an address may: such a cell gets an
apostrophe before it, as does one that has one there already
(https://owasp.org/www-community/attacks/CSV_Injection).
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from franking.mail.suppression_pages import Listed

COLUMNS = ("address", "scope", "reason", "created_at", "expires_at", "note", "message_id")
PAGE = 1000  # entries of one query
_DANGEROUS = ("=", "+", "-", "@", "\t", "\r", "'")

# The entries before one with this ID, at most as many; None: the first.
NextPage = Callable[[int | None, int], Sequence[Listed]]


def lines(page: NextPage) -> Iterator[str]:
    """The file, some lines at a time."""
    yield _written([COLUMNS])
    before = None
    while found := page(before, PAGE):
        yield _written([_cells(each) for each in found])
        before = found[-1].entry.id


def _cells(listed: Listed) -> Sequence[str]:
    entry, event = listed.entry, listed.event
    scope = f"{entry.scope}:{entry.scope_name}" if entry.scope_name else entry.scope
    return (
        _safe(entry.address),
        scope,
        entry.reason,
        _iso(entry.created_at),
        _iso(entry.expires_at),
        _safe(entry.note or ""),
        (event and event.queue_id) or "",
    )


def _safe(text: str) -> str:
    return f"'{text}" if text.startswith(_DANGEROUS) else text


def _iso(moment: datetime | None) -> str:
    return "" if moment is None else moment.isoformat(timespec="seconds")


def _written(cells: Sequence[Sequence[str]]) -> str:
    text = io.StringIO()
    csv.writer(text).writerows(cells)
    return text.getvalue()
