"""What reports add up to: who sends in a domain's name, how it fares, day by day.

*Aligned* is what passes DMARC: DKIM or SPF has passed in the name of the From domain.  *Own* is
the mail that the customer stands for: this relay's, that of sources they called theirs, and, unless
they called it foreign, that of known services and of networks from which SPF was aligned: only the
domain's owner lets a network pass that.  Aligned DKIM is no such sign, for it also comes from
forwarders.  The rest may be anybody's; where it is much, the customer is asked (`unjudged`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from sqlalchemy import ColumnElement, Select, case, func, select
from sqlalchemy.orm import Session, aliased

from franking.domains.dmarc import sources
from franking.domains.dmarc.models import DmarcReport, DmarcRow, DmarcSource
from franking.domains.models import Domain

Verdict = Literal["mine", "foreign"]

MOST_SOURCES = 500
LARGE = 5.0  # per cent, from which on a network is asked about
FEWEST_FAILED = 10  # messages, before it is
MOST_ASKED = 50


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
        return self.spf > 0 or not sources.is_unknown(self.source)

    @property
    def failed(self) -> int:
        return self.messages - self.aligned


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
    query = _sources(domain, since)
    return _rows(session, query.order_by(_MESSAGES.desc(), DmarcRow.source).limit(limit))


def daily(session: Session, domain: Domain, since: datetime) -> list[Day]:
    """For a chart; days without mail are left out.  A report belongs to the day of its middle."""
    is_own = _own(domain, since)
    own = func.sum(_if(is_own))
    query = _of(
        select(
            DmarcReport.begin_at,
            DmarcReport.end_at,
            func.sum(_if(is_own & _ALIGNED)),
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


def unjudged(
    session: Session, domain: Domain, since: datetime, days: Sequence[Day]
) -> list[SourceRow]:
    """Networks that may be the customer's and whose failing mail is much, the largest first;
    `days` are those since then.

    Much is `LARGE` per cent of all mail, so forgers have 20 such networks at most, whatever they
    send, and what is called foreign makes no other one large.  Of a network with aligned mail, a
    rare thing for forgers, it is that of own mail, so that no flood hides it.
    """
    everything = sum(day.own + day.others for day in days)
    own = volume(days).messages
    failed = func.sum(_if(~_ALIGNED))
    aligned = func.sum(_if(_ALIGNED))
    much = (100 * failed >= LARGE * everything) | ((aligned > 0) & (100 * failed >= LARGE * own))
    unsaid = DmarcSource.verdict.is_(None) & DmarcRow.source.startswith(sources.UNKNOWN)
    query = _sources(domain, since).where(unsaid & ~DmarcRow.source.in_(_trusted(domain, since)))
    query = query.having((failed >= FEWEST_FAILED) & much)
    return _rows(session, query.order_by(failed.desc(), DmarcRow.source).limit(MOST_ASKED))


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


def _sources(domain: Domain, since: datetime) -> Select[*tuple[Any, ...]]:
    query = select(
        DmarcRow.source,
        _MESSAGES,
        func.sum(_if(DmarcRow.dkim_aligned)),
        func.sum(_if(DmarcRow.spf_aligned)),
        func.sum(_if(_ALIGNED)),
        DmarcSource.verdict,
        func.min(DmarcReport.begin_at),
        func.max(DmarcReport.end_at),
    )
    return _of(query, domain, since).group_by(DmarcRow.source, DmarcSource.verdict)


def _rows(session: Session, query: Select[*tuple[Any, ...]]) -> list[SourceRow]:
    return [
        SourceRow(source, int(count), int(dkim), int(spf), int(aligned), verdict, first, last)
        for source, count, dkim, spf, aligned, verdict, first, last in session.execute(query)
    ]


def _own(domain: Domain, since: datetime) -> ColumnElement[bool]:
    known = ~DmarcRow.source.startswith(sources.UNKNOWN)
    by_itself = known | DmarcRow.source.in_(_trusted(domain, since))
    return (DmarcSource.verdict == "mine") | (DmarcSource.verdict.is_(None) & by_itself)


def _trusted(domain: Domain, since: datetime) -> Select[str]:
    """Sources from which SPF was aligned."""
    row, report = aliased(DmarcRow), aliased(DmarcReport)
    return (
        select(row.source)
        .join(report, row.report_id == report.id)
        .where(report.domain_id == domain.id, report.begin_at >= since)
        .where(row.spf_aligned, row.messages > 0)
        .distinct()
    )


def _if(condition: ColumnElement[bool] | Any) -> ColumnElement[int]:
    return case((condition, DmarcRow.messages), else_=0)


_ALIGNED = DmarcRow.dkim_aligned | DmarcRow.spf_aligned
_MESSAGES = func.sum(DmarcRow.messages)
