"""Keeps reports: each once, its records with the name of their source, and who the sources are.

Anybody can send a report to an address that stands in the DNS, so what is kept is limited: of a
domain so many records a day, so many unknown networks.  A report that comes again, from another
attempt or after a crash, changes nothing: it is known by domain, receiver and ID.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any, cast

from sqlalchemy import Table, case, func, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from franking.domains.dmarc import sources
from franking.domains.dmarc.models import DmarcReport, DmarcRow, DmarcSource
from franking.domains.dmarc.reports import Report, Row, Unreadable
from franking.domains.dmarc.sources import Own
from franking.domains.models import DkimKey, Domain
from franking.domains.names import within
from franking.domains.records import RelayNames
from franking.reasons import Invalid, NotFound
from franking.tables import UtcDateTime

MOST_REPORTS = 1_000  # of one domain and day
MOST_ROWS = 100_000  # of one domain and day
MOST_UNKNOWN = 1_000  # networks of one domain that are listed by themselves
TOMORROW = timedelta(days=2)  # clocks differ
DAY = timedelta(days=1)
_ROW, _REPORT = cast(Table, DmarcRow.__table__), cast(Table, DmarcReport.__table__)
_SOURCE = cast(Table, DmarcSource.__table__)
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


def domain_of(session: Session, token: str) -> Domain | None:
    """Whose reports are mailed to this local part."""
    known = select(Domain).where(Domain.dmarc_token == token, Domain.removed_at.is_(None))
    return session.scalar(known)


def own_of(session: Session, domain: Domain, relay: RelayNames) -> Own:
    """What the relay's own mail for this domain bears."""
    keys = select(DkimKey.selector).where(DkimKey.domain_id == domain.id)
    senders = (f"{domain.return_path_host}.{domain.name}", relay.bounces)
    return Own(
        domain.name,
        sources.networks_of(relay.spf),
        tuple(filter(None, senders)),
        frozenset(session.scalars(keys)) | frozenset(relay.slots),
    )


def store(session: Session, domain: Domain, report: Report, own: Own, now: datetime) -> bool:
    """`keep`, the sources named on the way: not for large reports, and not for the worker, whose
    transaction everybody waits for."""
    return keep(session, domain, report, sources.named(report.rows, own), now)


def keep(
    session: Session,
    domain: Domain,
    report: Report,
    named: Sequence[tuple[str, Row]],
    now: datetime,
) -> bool:
    """False when it is known already; raises Unreadable when it is not about this domain, or of
    the future, or one too many.

    `named`: its rows with their sources, by `sources.named`.
    """
    if not within(report.domain, [domain.name]):
        raise Unreadable(f"it is about {report.domain}, and was sent as one about {domain.name}")
    if report.end_at > now + TOMORROW:
        raise Unreadable("it is about the future")
    _check_room(session, domain, len(report.rows), now)
    report_id = _introduce(session, domain, report, now)
    if report_id is None:
        return False
    if named:
        session.execute(insert(_ROW), [_values(report_id, name, row) for name, row in named])
    _register(session, domain, report, _volumes(named))
    session.flush()
    return True


def set_verdict(session: Session, domain: Domain, source: str, verdict: str | None) -> DmarcSource:
    """What the customer says about a source: mine, foreign, or None for nothing any more.

    Raises NotFound for a source that no report has named, Invalid for the relay itself.
    """
    if verdict not in ("mine", "foreign", None):
        raise Invalid.of("verdict", f"{verdict!r} is not possible; say mine or foreign")
    if source == sources.RELAY:
        raise Invalid.of("source", "mail through this relay is yours already")
    key = (domain.id, source)
    found = session.get(DmarcSource, key, with_for_update=True)
    if found is None and _list_late(session, domain, source):
        found = session.get(DmarcSource, key, with_for_update=True)
    if found is None:
        raise NotFound(f"no report about {domain.name} has named a source {source!r}")
    found.verdict = verdict
    session.flush()
    return found


def _check_room(session: Session, domain: Domain, rows: int, now: datetime) -> None:
    """Of the last day; a few more than the limit if two workers store at once."""
    recent = (_REPORT.c.domain_id == domain.id) & (_REPORT.c.received_at > now - DAY)
    reports = session.scalar(select(func.count()).select_from(_REPORT).where(recent)) or 0
    joined = _ROW.join(_REPORT, _ROW.c.report_id == _REPORT.c.id)
    stored = session.scalar(select(func.count()).select_from(joined).where(recent)) or 0
    if reports >= MOST_REPORTS or stored + rows > MOST_ROWS:
        raise Unreadable(f"too many reports about {domain.name} have come within a day")


def _introduce(session: Session, domain: Domain, report: Report, now: datetime) -> int | None:
    connection = session.connection()
    added = _INSERTS[connection.dialect.name](_REPORT).on_conflict_do_nothing()
    values = {
        "domain_id": domain.id,
        "org_name": report.org_name,
        "report_id": report.report_id,
        "begin_at": report.begin_at,
        "end_at": report.end_at,
        "policy": report.policy,
        "received_at": now,
    }
    found: int | None = connection.execute(added.returning(_REPORT.c.id), values).scalar()
    return found


def _values(report_id: int, source: str, row: Row) -> dict[str, Any]:
    return {
        "report_id": report_id,
        "source_ip": row.source_ip,
        "messages": row.messages,
        "disposition": row.disposition,
        "dkim_aligned": row.dkim_aligned,
        "spf_aligned": row.spf_aligned,
        "header_from": row.header_from,
        "envelope_from": row.envelope_from,
        "dkim_domains": sorted({each.domain for each in row.dkim if each.passed}),
        "source": source,
    }


def _volumes(named: Iterable[tuple[str, Row]]) -> dict[str, int]:
    volumes: dict[str, int] = {}
    for name, row in named:
        volumes[name] = volumes.get(name, 0) + row.messages
    return volumes


def _register(session: Session, domain: Domain, report: Report, volumes: dict[str, int]) -> None:
    """Count what these sources have sent; the largest of new unknown ones first, while there is
    room for them."""
    known = set(_listed(session, domain, list(volumes)))
    for source in sorted(known):  # an order, so that two workers do not wait for each other
        _count(session, domain, source, volumes[source], report)
    new = sorted(volumes.keys() - known, key=lambda source: -volumes[source])
    unknown = [source for source in new if sources.is_unknown(source)]
    room = MOST_UNKNOWN - _unknown(session, domain) if unknown else 0
    dropped = set(unknown[max(room, 0) :])
    rows = [
        {
            "domain_id": domain.id,
            "source": source,
            "messages": volumes[source],
            "first_seen_at": report.begin_at,
            "last_seen_at": report.end_at,
        }
        for source in new
        if source not in dropped
    ]
    if rows:
        connection = session.connection()
        added = _INSERTS[connection.dialect.name](_SOURCE)
        connection.execute(added.on_conflict_do_nothing(), rows)


def _list_late(session: Session, domain: Domain, source: str) -> bool:
    """A network for which there was no room, but of which the customer now has something to say;
    False if no report has named it."""
    joined = _ROW.join(_REPORT, _ROW.c.report_id == _REPORT.c.id)
    named = (_REPORT.c.domain_id == domain.id) & (_ROW.c.source == source)
    columns = (func.sum(_ROW.c.messages), func.min(_REPORT.c.begin_at), func.max(_REPORT.c.end_at))
    messages, first, last = session.execute(select(*columns).select_from(joined).where(named)).one()
    if first is None:
        return False
    values = {"messages": int(messages), "first_seen_at": first, "last_seen_at": last}
    connection = session.connection()
    added = _INSERTS[connection.dialect.name](_SOURCE).on_conflict_do_nothing()
    connection.execute(added, values | {"domain_id": domain.id, "source": source})
    return True


def _listed(session: Session, domain: Domain, names: Sequence[str]) -> Iterable[str]:
    for n in range(0, len(names), 500):  # SQLite takes so many parameters and not many more
        some = DmarcSource.source.in_(names[n : n + 500])
        yield from session.scalars(
            select(DmarcSource.source).where(DmarcSource.domain_id == domain.id, some)
        )


def _count(session: Session, domain: Domain, source: str, messages: int, report: Report) -> None:
    mine = (_SOURCE.c.domain_id == domain.id) & (_SOURCE.c.source == source)
    first, last = _SOURCE.c.first_seen_at, _SOURCE.c.last_seen_at
    begin, end = (literal(at, UtcDateTime()) for at in (report.begin_at, report.end_at))
    session.connection().execute(
        update(_SOURCE)
        .where(mine)
        .values(
            messages=_SOURCE.c.messages + messages,
            first_seen_at=case((first > begin, begin), else_=first),
            last_seen_at=case((last < end, end), else_=last),
        )
    )


def _unknown(session: Session, domain: Domain) -> int:
    unknown = DmarcSource.source.startswith(sources.UNKNOWN)
    query = select(func.count()).where(DmarcSource.domain_id == domain.id, unknown)
    return session.scalar(query) or 0
