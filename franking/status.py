"""How everything after the 250 is doing, as figures: for `franking status` and for Prometheus.

A figure has the name, the help and the type that Prometheus knows it by.  What is counted is
counted up to `MOST`: whoever asks every few seconds must not read a backlog as a whole.
Of the mail log and of the mail that came in, a node knows its own only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Literal

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from franking import partitions
from franking.domains.models import Domain
from franking.mail import reading
from franking.mail.models import EventReader, HeldMessage, LogPosition
from franking.money.models import Reservation
from franking.nodes import blocked, nodes
from franking.nodes.models import Duty, Node, Tally
from franking.notices.models import Notice
from franking.settings import Settings
from franking.webhooks.models import Delivery, Endpoint

MOST = 100_000

_Moment = InstrumentedAttribute[datetime | None] | InstrumentedAttribute[datetime]


@dataclass(frozen=True)
class Figure:
    """`labels` in the order in which they are shown."""

    name: str
    help: str
    value: float
    labels: Mapping[str, str] = field(default_factory=dict)
    type: Literal["gauge", "counter"] = "gauge"


def figures(session: Session, settings: Settings, now: datetime) -> Iterator[Figure]:
    """All of them, each name's together."""
    yield from _nodes(session, now)
    yield from _log(session, settings, now)
    yield from _inbound(settings.inbound.maildir, settings.node, now)
    yield from _readers(session, now)
    yield from _webhooks(session, now)
    yield from _waiting(session, now)
    yield from _duties(session, now)
    for row in blocked.present(session, now):
        yield Figure("address_blocked", "A receiver refuses mail because of this node's address.",
                     row.refusals, {"node": row.node, "receiver": row.receiver})  # fmt: skip
    for tally in session.scalars(select(Tally).order_by(Tally.node, Tally.name)):
        yield Figure("tally", "How often something has happened, ever.", tally.count,
                     {"node": tally.node, "what": tally.name}, "counter")  # fmt: skip


def _nodes(session: Session, now: datetime) -> Iterator[Figure]:
    rows = nodes.all_of(session)
    measures: dict[str, tuple[str, Any]] = {
        "node_queued": ("Mail in Postfix's queue.", lambda row: row.queued),
        "node_queue_oldest_seconds": (
            "How long mail waits that could be delivered.", lambda row: row.oldest_seconds,
        ),
        "node_load": ("Load average per core.", lambda row: row.load),
        "node_refuses": ("1 while it takes no new mail: drained, or too busy.", _refuses),
        "node_silent_seconds": (
            "Since it last said how it is doing.",
            lambda row: row.reported_at and _seconds(row.reported_at, now),
        ),
    }  # fmt: skip
    for name, (text, measure) in measures.items():
        for row in rows:
            value = measure(row)
            if value is not None:
                yield Figure(name, text, value, {"node": row.name})


def _refuses(row: Node) -> int:
    return int(row.state == "draining" or row.overload is not None)


def _log(session: Session, settings: Settings, now: datetime) -> Iterator[Figure]:
    rows = session.scalars(select(LogPosition).order_by(LogPosition.node)).all()
    for row in rows:
        yield Figure("log_read_seconds", "Since something was read in the mail log.",
                     _seconds(row.read_at, now), {"node": row.node})  # fmt: skip
    for row in rows:
        if row.node == settings.node:
            unread = unread_bytes(settings.maillog.path, row.inode, row.offset)
            own = {"node": row.node}
            yield Figure("log_lag_bytes", "Of the mail log that were not read yet.", unread, own)
            yield Figure("log_lag_seconds", "0 when all of the mail log was read.",
                         _seconds(row.read_at, now) if unread else 0, own)  # fmt: skip
    for row in rows:
        gap = row.gap_until is not None and row.gap_until > now - timedelta(days=1)
        yield Figure("log_gap", "1 for a day after a part of the mail log was missing.", gap,
                     {"node": row.node})  # fmt: skip


def unread_bytes(path: Path, inode: int, offset: int) -> int:
    """Behind this position, in the log and in those that were rotated since."""
    sizes = {}
    for file in (path, *path.parent.glob(f"{path.name}.*")):
        try:
            found = file.stat()
        except FileNotFoundError:
            continue
        if file.suffix != ".gz":
            sizes[found.st_ino] = (found.st_mtime_ns, found.st_size)
    if inode not in sizes:
        return sum(size for _, size in sizes.values())
    at, size = sizes.pop(inode)
    return max(0, size - offset) + sum(size for later, size in sizes.values() if later > at)


def _inbound(maildir: Path, node: str, now: datetime) -> Iterator[Figure]:
    """What came in and was not read yet; what could not be read is kept beside it."""
    own = {"node": node}
    waiting = _times(maildir / "new")
    yield Figure(
        "inbound_waiting", "Bounces and reports that were not read yet.", len(waiting), own
    )
    oldest = max(0.0, now.timestamp() - min(waiting)) if waiting else 0
    yield Figure("inbound_oldest_seconds", "How long the oldest of them waits.", oldest, own)
    unreadable = len(_times(maildir / "unreadable"))
    yield Figure("inbound_unreadable", "Reports that could not be read, kept.", unreadable, own)


def _times(directory: Path) -> list[float]:
    found = []
    try:
        for file in directory.iterdir():
            found.append(file.stat().st_mtime)
            if len(found) == MOST:
                break
    except OSError:  # taken meanwhile, not there (yet), or not ours to read
        pass
    return found


def _readers(session: Session, now: datetime) -> Iterator[Figure]:
    names = session.scalars(select(EventReader.name).order_by(EventReader.name)).all()
    behind = {name: reading.behind(session, name) for name in names}
    for name, (count, _) in behind.items():
        yield Figure("events_behind", "Events that this reader has before it.", count,
                     {"reader": name})  # fmt: skip
    for name, (_, oldest) in behind.items():
        yield Figure("events_behind_seconds", "How old the next of them is.",
                     _seconds(oldest, now) if oldest else 0, {"reader": name})  # fmt: skip


def _webhooks(session: Session, now: datetime) -> Iterator[Figure]:
    open_ = (Delivery.delivered_at.is_(None), Delivery.dead_at.is_(None))
    yield Figure("webhooks_waiting", "Webhooks that were not delivered yet.",
                 _count(session, Delivery.id, *open_))  # fmt: skip
    yield Figure("webhooks_overdue_seconds", "How long the one waits that was due first.",
                 _oldest(session, now, Delivery.due_at, *open_))  # fmt: skip
    yield Figure("webhooks_dead", "Webhooks that were given up, and are kept.",
                 _count(session, Delivery.id, Delivery.dead_at.is_not(None)))  # fmt: skip
    yield Figure("endpoints_failing", "Endpoints that take nothing at present.",
                 _count(session, Endpoint.id, Endpoint.failing_since.is_not(None),
                        Endpoint.disabled_at.is_(None)))  # fmt: skip


def _waiting(session: Session, now: datetime) -> Iterator[Figure]:
    held = _count(session, HeldMessage.queue_id, HeldMessage.released_at.is_(None))
    yield Figure("messages_held", "Messages that wait for a limit, or for money.", held)
    for state in ("reserved", "waiting", "unknown"):
        yield Figure("reservations", "Money that is set aside; unknown is for the operator.",
                     _count(session, Reservation.queue_id, Reservation.state == state),
                     {"state": state})  # fmt: skip
    yield Figure("notices_waiting", "Notices that are to be mailed now.",
                 _count(session, Notice.id, Notice.mail_due_at <= now))  # fmt: skip
    for kind, due in (("records", Domain.check_due_at), ("keys", Domain.dkim_due_at)):
        yield Figure("dns_due", "Domains whose DNS has to be looked at now.",
                     _count(session, Domain.id, due <= now), {"look": kind})  # fmt: skip


def _duties(session: Session, now: datetime) -> Iterator[Figure]:
    rows = session.execute(
        select(Duty.name, Duty.due_at).where(Duty.due_at <= now).order_by(Duty.name)
    ).all()
    for name, due_at in rows:
        if "/" not in name:  # one account's month has its own
            yield Figure("duty_overdue_seconds", "What one node does for all, and did not yet.",
                         _seconds(due_at, now), {"duty": name})  # fmt: skip
    months = partitions.months(session.connection(), "event")
    if months:
        ahead = sum(month > partitions.month_of(now) for month in months)
        yield Figure("months_ahead", "Months to come that have partitions.", ahead)


def _count(session: Session, column: Any, *conditions: ColumnElement[bool]) -> int:
    few = select(column).where(*conditions).limit(MOST).subquery()
    return session.scalar(select(func.count()).select_from(few)) or 0


def _oldest(
    session: Session, now: datetime, moment: _Moment, *conditions: ColumnElement[bool]
) -> float:
    found = session.scalar(select(func.min(moment)).where(*conditions))
    return _seconds(found, now) if found else 0


def _seconds(since: datetime, now: datetime) -> float:
    return max(0.0, (now - since).total_seconds())
