"""Takes a file's entries into an account's list.

Nothing that cannot be used gets lost: each such line is reported.  What is on the list already
stays as it is, so a file may be taken again, after an error or because it has grown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import islice
from typing import Any, BinaryIO

from franking.mail.config import Suppressions
from franking.mail.envelope import objection
from franking.mail.suppression_files import formats, rows
from franking.mail.suppression_files.formats import Entry, Format, LeftOut, Unusable
from franking.mail.suppression_files.rows import Row
from franking.mail.suppressions import normal, the_scope
from franking.reasons import Invalid

BATCH = 500  # entries of one transaction
MOST_FAULTS = 100  # that are told one by one
LONGEST_NOTE = 500  # characters
DAYS = {
    "hard_bounce": "hard_days",
    "soft_bounce": "soft_days",
    "complaint": "complaint_days",
    "unsubscribe": "unsubscribe_days",
}
BY_WILL = {"complaint", "unsubscribe", "manual"}  # what a person wants, not what an address is

Store = Callable[[Sequence[Mapping[str, Any]]], int]


@dataclass(frozen=True)
class Wanted:
    """For whom and when, and which scope complaints, unsubscriptions and entries by hand get where
    the file does not say; bounces are for the whole account."""

    account_id: int
    rules: Suppressions
    now: datetime
    scope: str = "account"
    scope_name: str = ""


@dataclass(frozen=True)
class Fault:
    line: int
    text: str


@dataclass
class Result:
    """`changed`: entries that are new, or last longer now.  `reasons`, `left_out`: how many of
    each."""

    format: str
    entries: int = 0
    changed: int = 0
    reasons: Counter[str] = field(default_factory=Counter)
    left_out: Counter[str] = field(default_factory=Counter)
    faults: list[Fault] = field(default_factory=list)
    unusable: int = 0

    @property
    def read(self) -> int:
        return self.entries + self.unusable + self.left_out.total()


def take(
    stream: BinaryIO,
    wanted: Wanted,
    *,
    store: Store,
    progress: Callable[[Result], None] = lambda _result: None,
) -> Result:
    """`store` writes a batch of rows in a transaction of its own (`suppressions.put`) and returns
    how many that has changed.  Raises Invalid when the file is of no known format."""
    the_scope(wanted.scope, wanted.scope_name)
    with rows.opened(stream) as table:
        found = formats.recognise(table.columns)
        if found is None:
            names = ", ".join(sorted(table.columns)[:20])
            raise Invalid(f"no known list has these columns: {names}")
        result = Result(found.title)
        lines = _usable(table.rows, found, wanted, result)
        while batch := list(islice(lines, BATCH)):
            result.changed += store(batch)
            progress(result)
    return result


def _usable(
    lines: Iterator[Row], of: Format, wanted: Wanted, result: Result
) -> Iterator[Mapping[str, Any]]:
    for line in lines:
        try:
            if line.fault is not None:
                raise Unusable(line.fault)
            row = _row(of.read(line.cells), wanted)
        except LeftOut as why:
            result.left_out[str(why)] += 1
        except KeyError:
            _fault(result, line, "it has too few columns")
        except (Unusable, Invalid) as why:
            _fault(result, line, str(why))
        else:
            result.entries += 1
            result.reasons[row["reason"]] += 1
            yield row


def _fault(result: Result, line: Row, text: str) -> None:
    result.unusable += 1
    if len(result.faults) < MOST_FAULTS:
        result.faults.append(Fault(line.number, text))


def _row(entry: Entry, wanted: Wanted) -> dict[str, Any]:
    now = wanted.now
    if why := objection(entry.address):
        raise Unusable(f"{entry.address[:100]!r}: {why}")
    scope, name = entry.scope, entry.scope_name
    if scope is None:
        by_will = entry.reason in BY_WILL
        scope, name = (wanted.scope, wanted.scope_name) if by_will else ("account", "")
    if entry.expires_at is not None and entry.expires_at <= now:
        raise LeftOut("its time is over")
    days = getattr(wanted.rules, DAYS[entry.reason]) if entry.reason in DAYS else 0
    lasts = entry.expires_at or (now + timedelta(days=days) if days else None)
    return {
        "account_id": wanted.account_id,
        "address": normal(entry.address),
        "scope": scope,
        "scope_name": the_scope(scope, name),
        "reason": entry.reason,
        "note": printable(entry.note),
        "created_at": min(entry.created_at or now, now),
        "expires_at": lasts,
        "event_id": None,
    }


def printable(note: str | None) -> str | None:
    """A remark as it is stored; None for an empty one."""
    if note is None:
        return None
    return "".join(c if c.isprintable() else " " for c in note).strip()[:LONGEST_NOTE] or None
