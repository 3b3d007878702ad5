"""How long messages and events are kept: as the account's plan says (`retention` of its terms).

On PostgreSQL the plans that keep the longest have no rows deleted: whole months go, when the last
of their days is old enough (`franking.partitions`).  A message that has no end yet stays, and so
does an event that a reader has not come to, for `PATIENCE` longer.  Money stays: reservations and
the ledger are not touched.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Select, delete, literal_column, select, text, true, tuple_
from sqlalchemy.orm import Session

from franking import partitions
from franking.accounts.models import Account
from franking.mail.models import EVENT_KINDS, Event, EventReader, HeldMessage, Message, Recipient
from franking.mail.tags import MessageTag
from franking.money.models import Plan
from franking.money.terms import Retention, terms_of

PATIENCE = timedelta(days=30)
OPEN = ("queued", "held", "deferred")
WITHOUT_QUEUE_ID = ("rejected",)  # in no month

_messages, _events = Message.__table__, Event.__table__
_BELONGING: tuple[Any, ...] = (Recipient.__table__, MessageTag.__table__, HeldMessage.__table__)


@dataclass(frozen=True)
class Kept:
    """What one account has; `by_months`: dropping months is enough for its messages, or events."""

    account_id: int
    terms: Retention
    messages_by_months: bool
    events_by_months: bool


def longest(session: Session) -> Retention:
    """Of each thing, the days of the plan that keeps it the longest."""
    plans = [terms_of(each).retention for each in session.scalars(select(Plan.terms))]
    return Retention(
        messages=max((each.messages for each in plans), default=Retention().messages),
        events=max((each.events for each in plans), default=Retention().events),
    )


def of_accounts(session: Session) -> list[Kept]:
    most = longest(session)
    months = bool(partitions.months(session.connection(), "event"))
    found = session.execute(select(Account.id, Plan.terms).join(Plan).order_by(Account.id))
    return [
        Kept(
            account_id,
            own := terms_of(terms).retention,
            messages_by_months=months and own.messages == most.messages,
            events_by_months=months and own.events == most.events,
        )
        for account_id, terms in found
    ]


def delete_messages(session: Session, kept: Kept, now: datetime, limit: int) -> int:
    """Up to `limit` messages and what belongs to them; returns how many."""
    if kept.messages_by_months:
        return 0
    found = session.execute(
        select(Message.queue_id, Message.node)
        .where(
            Message.account_id == kept.account_id,
            Message.accepted_at < now - timedelta(days=kept.terms.messages),
            Message.status.not_in(OPEN),
        )
        .order_by(Message.accepted_at)
        .limit(limit)
    ).all()
    by_node: dict[str, list[str]] = defaultdict(list)
    for queue_id, node in found:
        by_node[node].append(queue_id)
    for node, queue_ids in by_node.items():
        for table in (*_BELONGING, _messages):
            these = (table.c.queue_id.in_(queue_ids), table.c.node == node)
            session.connection().execute(delete(table).where(*these))
    return len(found)


def delete_events(session: Session, kept: Kept, now: datetime, limit: int) -> int:
    """Up to `limit` events; returns how many."""
    kinds = WITHOUT_QUEUE_ID if kept.events_by_months else EVENT_KINDS
    before = now - timedelta(days=kept.terms.events)
    found = session.scalars(
        select(Event.id)
        .where(
            Event.account_id == kept.account_id,
            Event.kind.in_(kinds),
            Event.at < before,
            _read(session) | (Event.at < before - PATIENCE),
        )
        .limit(limit)
    ).all()
    if found:
        gone = delete(_events).where(_events.c.id.in_(found))  # type: ignore[arg-type]
        session.connection().execute(gone)
    return len(found)


def outdated_months(session: Session, table: str, now: datetime) -> Sequence[date]:
    """Those of this table that no plan keeps any more."""
    most = longest(session)
    days = timedelta(days=most.events if table == "event" else most.messages)
    return [
        month
        for month in partitions.months(session.connection(), table)
        if partitions.end_of(month) < now - days and not _needed(session, table, month, now - days)
    ]


def forget_held(session: Session, month: date) -> None:
    """What `message` says no more: nothing refers to it (migration 0005), so nothing cascades."""
    first, last = partitions.bounds(month)
    of_month = (HeldMessage.queue_id >= first, HeldMessage.queue_id < last)
    session.execute(delete(HeldMessage).where(*of_month))


def _needed(session: Session, table: str, month: date, before: datetime) -> bool:
    if table == "event":
        own = partitions.name(table, month)
        one: Select[Any] = select(literal_column("1")).select_from(text(own))
        unread = one.where(~_read_of(session, own))
        return (
            partitions.end_of(month) >= before - PATIENCE
            and session.execute(unread.limit(1)).first() is not None
        )
    first, last = partitions.bounds(month)
    held = select(HeldMessage.queue_id).where(
        HeldMessage.queue_id >= first,
        HeldMessage.queue_id < last,
        HeldMessage.released_at.is_(None),
    )
    return session.execute(held.limit(1)).first() is not None


def _read(session: Session) -> ColumnElement[bool]:
    """Whether all readers have been there."""
    return _behind(session, Event.xid, Event.id)


def _read_of(session: Session, partition: str) -> ColumnElement[bool]:
    return _behind(session, literal_column(f"{partition}.xid"), literal_column(f"{partition}.id"))


def _behind(session: Session, xid: Any, number: Any) -> ColumnElement[bool]:
    readers = select(EventReader.xid, EventReader.event_id)
    last = session.execute(readers.order_by(EventReader.xid, EventReader.event_id)).first()
    return true() if last is None else tuple_(xid, number) <= tuple_(*last)
