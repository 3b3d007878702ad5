"""Counts that begin anew with each day or month (UTC), beside the date on which theirs began.

A message that took its time over midnight, or a node whose clock is behind, counts for the period
that has begun: else it would begin the old one again, and the next message the new one.  A date
further ahead than one period was written by a clock that was wrong: it is begun anew.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Date, bindparam, case


@dataclass(frozen=True)
class Period:
    """A day or a month, by its first day; `latest` is the one after it."""

    first: date
    latest: date

    def so_far(self, count: int, since: date | None) -> int:
        """What of a count that began on `since` belongs to this period."""
        return count if since is not None and self.first <= since <= self.latest else 0

    def values(self, name: str) -> dict[str, date]:
        """For the parameters of `counted` and `latest`."""
        return {name: self.first, f"{name}_latest": self.latest}


def day_of(moment: datetime) -> Period:
    return Period(moment.date(), moment.date() + timedelta(1))


def month_of(moment: datetime) -> Period:
    first = moment.date().replace(day=1)
    return Period(first, (first + timedelta(32)).replace(day=1))


def counted(count: Any, since: Any, name: str) -> Any:
    """`Period.so_far` in SQL, of the period that the parameter `name` begins."""
    return case((_belongs(since, name), count), else_=0)


def latest(since: Any, name: str) -> Any:
    """The date to be written beside the new count."""
    return case((_belongs(since, name), since), else_=bindparam(name, type_=Date))


def _belongs(since: Any, name: str) -> Any:
    return since.between(bindparam(name, type_=Date), bindparam(f"{name}_latest", type_=Date))
