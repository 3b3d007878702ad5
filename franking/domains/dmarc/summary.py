"""What reports add up to: who sends in a domain's name, how it fares, day by day.

*Aligned* is what passes DMARC: DKIM or SPF has passed in the name of the From domain.  *Own* is
the mail that the customer stands for: this relay's, that of sources they called theirs, and that
of known services they did not call foreign.  The rest may be anybody's, and says nothing about
whether the domain is ready for a stricter policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session

from franking.domains.dmarc import sources
from franking.domains.dmarc.models import DmarcReport, DmarcRow, DmarcSource
from franking.domains.models import Domain

Verdict = Literal["mine", "foreign"]

MOST_SOURCES = 500


@dataclass(frozen=True)
class SourceRow:
    """Messages of one source; `dkim`, `spf`: aligned by that; `aligned`: by one of them or both.

    `first_seen_at`, `last_seen_at`: of the reports that were asked for.
    """

    source: str
    messages: int
    dkim: int
    spf: int
    aligned: int
    verdict: str | None
    first_seen_at: datetime
    last_seen_at: datetime

    @property
    def share(self) -> float:
        """Per cent of its messages that are aligned."""
        return percent(self.aligned, self.messages)

    @property
    def own(self) -> bool:
        if self.verdict is not None:
            return self.verdict == "mine"
        return not sources.is_unknown(self.source)


@dataclass(frozen=True)
class Day:
    """Messages of one day (UTC)."""

    day: date
    own_aligned: int = 0
    own_failed: int = 0
    others: int = 0

    @property
    def own(self) -> int:
        return self.own_aligned + self.own_failed


@dataclass(frozen=True)
class Volume:
    """Own mail; `days`: on how many days there was any."""

    messages: int
    aligned: int
    days: int

    @property
    def share(self) -> float:
        return percent(self.aligned, self.messages)


def percent(part: int, whole: int) -> float:
    return 100 * part / whole if whole else 0.0


def by_source(
    session: Session, domain: Domain, since: datetime, *, limit: int = MOST_SOURCES
) -> list[SourceRow]:
    """The largest first, of reports that begin at `since` or later."""
    messages = func.sum(DmarcRow.messages)
    query = _of(
        select(
            DmarcRow.source,
            messages,
            func.sum(_if(DmarcRow.dkim_aligned)),
            func.sum(_if(DmarcRow.spf_aligned)),
            func.sum(_if(_ALIGNED)),
            DmarcSource.verdict,
            func.min(DmarcReport.begin_at),
            func.max(DmarcReport.end_at),
        ),
        domain,
        since,
    )
    query = query.group_by(DmarcRow.source, DmarcSource.verdict)
    rows = session.execute(query.order_by(messages.desc(), DmarcRow.source).limit(limit))
    return [
        SourceRow(source, int(count), int(dkim), int(spf), int(aligned), verdict, first, last)
        for source, count, dkim, spf, aligned, verdict, first, last in rows
    ]


def daily(session: Session, domain: Domain, since: datetime) -> list[Day]:
    """For a chart; days without mail are left out.  A report belongs to the day of its middle."""
    own = func.sum(_if(_OWN))
    query = _of(
        select(
            DmarcReport.begin_at,
            DmarcReport.end_at,
            func.sum(_if(_OWN & _ALIGNED)),
            own,
            func.sum(DmarcRow.messages),
        ),
        domain,
        since,
    )
    days: dict[date, list[int]] = {}
    for begin_at, end_at, aligned, own_all, everything in session.execute(
        query.group_by(DmarcReport.begin_at, DmarcReport.end_at)
    ):
        counts = days.setdefault((begin_at + (end_at - begin_at) / 2).date(), [0, 0, 0])
        added = (aligned, own_all - aligned, everything - own_all)
        counts[:] = [have + int(more) for have, more in zip(counts, added, strict=True)]
    return [Day(day, *counts) for day, counts in sorted(days.items())]


def volume(days: Sequence[Day]) -> Volume:
    """Of all these days together."""
    return Volume(
        sum(day.own for day in days),
        sum(day.own_aligned for day in days),
        sum(1 for day in days if day.own),
    )


def _of(
    query: Select[*tuple[Any, ...]], domain: Domain, since: datetime
) -> Select[*tuple[Any, ...]]:
    said = (DmarcSource.domain_id == DmarcReport.domain_id) & (
        DmarcSource.source == DmarcRow.source
    )
    return (
        query.select_from(DmarcReport)
        .join(DmarcRow, DmarcRow.report_id == DmarcReport.id)
        .outerjoin(DmarcSource, said)
        .where(DmarcReport.domain_id == domain.id, DmarcReport.begin_at >= since)
    )


def _if(condition: ColumnElement[bool] | Any) -> ColumnElement[int]:
    return case((condition, DmarcRow.messages), else_=0)


_ALIGNED = DmarcRow.dkim_aligned | DmarcRow.spf_aligned
_OWN = (DmarcSource.verdict == "mine") | (
    DmarcSource.verdict.is_(None) & ~DmarcRow.source.startswith(sources.UNKNOWN)
)
