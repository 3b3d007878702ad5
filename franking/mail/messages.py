"""Reading messages: one, a filtered page of them, a timeline, counts.

Every function takes the account (or a message that was loaded with it): a foreign message is
NotFound.  Pages are keyset pages over (accepted_at, queue_id), so page 1,000 costs as much as
page 1.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import InstrumentedAttribute, Session

from franking.accounts.models import Account, Credential
from franking.mail.models import (
    EVENT_KINDS,
    Event,
    HeldMessage,
    Message,
    MessageAlias,
    Recipient,
    Suppression,
)
from franking.mail.suppressions import normal
from franking.mail.tags import MessageTag
from franking.reasons import Invalid, NotFound

MOST_NAMED = 2_000  # messages; of more, the next page is soon found among all

_Moment = InstrumentedAttribute[datetime]
_Number = InstrumentedAttribute[str]


@dataclass(frozen=True)
class Filter:
    """What to look for; None means all.  `text` is a queue ID or a Message-ID, whole."""

    status: str | None = None
    recipient: str | None = None
    sender: str | None = None
    tag: str | None = None
    credential: str | None = None
    text: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True)
class Page:
    """`next_cursor` is None on the last page."""

    rows: Sequence[Message]
    next_cursor: str | None


def get(session: Session, account: Account, queue_id: str) -> Message:
    """A queue ID is unique on its node; should two nodes share one, the newer message wins.

    The ID that a repeat with the same idempotency key was answered with leads to the first one.
    """
    first = _first(session, queue_id, MessageAlias.account_id == account.id)
    return _newest(session, first, Message.account_id == account.id)


def several(session: Session, account: Account, queue_ids: Sequence[str]) -> dict[str, Message]:
    """Those of the account's messages that have one of these queue IDs, by it."""
    query = select(Message).where(Message.queue_id.in_(queue_ids), Message.account_id == account.id)
    found = session.scalars(query).all() if queue_ids else []
    return {message.queue_id: message for message in found}


def find(session: Session, queue_id: str) -> Message:
    """For the operator's tools only: a message of whichever account."""
    return _newest(session, _first(session, queue_id))


def _first(session: Session, queue_id: str, *conditions: ColumnElement[bool]) -> str:
    """The first message's ID, when this one was given to a repeat."""
    known = select(MessageAlias.first_queue_id).where(
        MessageAlias.queue_id == queue_id, *conditions
    )
    return session.scalars(known).first() or queue_id


def _newest(session: Session, queue_id: str, *conditions: ColumnElement[bool]) -> Message:
    # Not ordered by the database: SQLite would then go through the account's messages by date.
    found = session.scalars(select(Message).where(Message.queue_id == queue_id, *conditions)).all()
    if not found:
        raise NotFound(f"there is no message {queue_id!r}")
    return max(found, key=lambda message: message.accepted_at)


def recipients(session: Session, message: Message) -> Sequence[Recipient]:
    return session.scalars(
        select(Recipient)
        .where(Recipient.queue_id == message.queue_id, Recipient.node == message.node)
        .order_by(Recipient.address)
    ).all()


def timeline(session: Session, message: Message) -> Sequence[Event]:
    """All events of a message, as they were written: the log's times are cut to whole seconds,
    so by time a delivery could come before its acceptance."""
    return session.scalars(
        select(Event)
        .where(Event.queue_id == message.queue_id, Event.node == message.node)
        .order_by(Event.id)
    ).all()


def suppressing(session: Session, account: Account, events: Sequence[Event]) -> set[int]:
    """The IDs of those events for which somebody is on the suppression list."""
    addresses = {normal(event.recipient) for event in events if event.recipient}
    listed = select(Suppression.event_id).where(
        Suppression.account_id == account.id, Suppression.address.in_(addresses)
    )
    return {number for number in session.scalars(listed) if number is not None}


def waiting(session: Session, message: Message) -> HeldMessage | None:
    """What it waits for in the hold queue; None for what an operator has put there."""
    held = session.get(HeldMessage, (message.queue_id, message.node))
    return held if held is not None and held.released_at is None else None


def search(
    session: Session,
    account: Account,
    wanted: Filter,
    before: str | None = None,
    limit: int = 50,
) -> Page:
    """Newest first.  Raises Invalid for a cursor that is not one of ours."""
    query, moment, number = _filtered(session, account, wanted)
    if before:
        at, queue_id = _decode(before)
        same = and_(moment == at, number < queue_id)
        query = query.where(or_(moment < at, same), moment <= at)  # the last is for the index
    query = query.order_by(moment.desc(), number.desc()).limit(limit + 1)
    rows = session.scalars(query).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, _encode(rows[-1]) if more else None)


def _filtered(
    session: Session, account: Account, wanted: Filter
) -> tuple[Select[Message], _Moment, _Number]:
    """And the columns that it is ordered by: those of the index that leads to what is wanted."""
    query = select(Message).where(Message.account_id == account.id)
    moment, number = Message.accepted_at, Message.queue_id
    if wanted.tag:
        tagged = (MessageTag.account_id == account.id, MessageTag.tag == wanted.tag)
        found = _some(session, select(MessageTag.queue_id).where(*tagged))
        if found is None:
            same = (MessageTag.queue_id == Message.queue_id) & (MessageTag.node == Message.node)
            query = query.join(MessageTag, same).where(*tagged)
            moment, number = MessageTag.accepted_at, MessageTag.queue_id
        else:
            query = query.where(Message.queue_id.in_(found))
    if wanted.status:
        query = query.where(Message.status == wanted.status)
    if wanted.sender:
        query = query.where(func.lower(Message.from_address) == wanted.sender.lower())
    if wanted.credential:
        named = select(Credential.id).where(Credential.username == wanted.credential)
        query = query.where(Message.credential_id == (session.scalar(named) or 0))
    if wanted.text:
        called = Message.message_id.in_(_bracketed(wanted.text))
        found = _some(session, select(Message.queue_id).where(called)) or []
        query = query.where(Message.queue_id.in_([wanted.text, *found]))
    if wanted.since:
        query = query.where(moment >= wanted.since)
    if wanted.until:
        query = query.where(moment < wanted.until)
    if wanted.recipient:
        written_to = func.lower(Recipient.address) == wanted.recipient.lower()
        found = _some(session, select(Recipient.queue_id).where(written_to))
        among = _has(written_to) if found is None else Message.queue_id.in_(found)
        query = query.where(among)
    return query, moment, number


def _some(session: Session, query: Select[str]) -> Sequence[str] | None:
    """Queue IDs; None when they are too many.

    Asked for first: a planner that guesses how many they are would rather read all messages.
    """
    found: Sequence[str] = session.scalars(query.limit(MOST_NAMED + 1)).all()
    return found if len(found) <= MOST_NAMED else None


def _bracketed(message_id: str) -> list[str]:
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    return [bare, f"<{bare}>"]


def _has(written_to: ColumnElement[bool]) -> ColumnElement[bool]:
    return (
        select(Recipient.queue_id)
        .where(Recipient.queue_id == Message.queue_id, Recipient.node == Message.node, written_to)
        .exists()
    )


def counts_since(session: Session, account_id: int, since: datetime) -> dict[str, int]:
    """How many events of each kind since a moment."""
    rows = session.execute(
        select(Event.kind, func.count())
        .where(Event.account_id == account_id, Event.kind.in_(EVENT_KINDS), Event.at >= since)
        .group_by(Event.kind)
    )
    return {row[0]: row[1] for row in rows}


def recent_events(
    session: Session,
    account: Account,
    kinds: Sequence[str],
    *,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[Event]:
    """The account's latest events of these kinds, newest first; `before_id` pages on."""
    found = [
        event
        for kind in kinds  # one after the other: an index has those of one kind in order
        for event in session.scalars(_latest(session, account, kind, before_id).limit(limit))
    ]
    return sorted(found, key=lambda event: (event.at, event.id), reverse=True)[:limit]


def _latest(session: Session, account: Account, kind: str, before_id: int | None) -> Select[Event]:
    query = select(Event).where(Event.account_id == account.id, Event.kind == kind)
    if before_id is not None and (last := session.get(Event, before_id)) is not None:
        same = and_(Event.at == last.at, Event.id < before_id)
        query = query.where(or_(Event.at < last.at, same), Event.at <= last.at)
    return query.order_by(Event.at.desc(), Event.id.desc())


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def _encode(message: Message) -> str:
    micros = (message.accepted_at - _EPOCH) // timedelta(microseconds=1)
    return base64.urlsafe_b64encode(f"{micros}/{message.queue_id}".encode()).decode().rstrip("=")


def _decode(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode()
        micros, _, queue_id = text.partition("/")
        if "\0" in queue_id:  # PostgreSQL takes none
            raise ValueError("NUL in a queue ID")
        return _EPOCH + timedelta(microseconds=int(micros)), queue_id
    except (binascii.Error, ValueError, OverflowError) as error:
        raise Invalid("this page link is not valid; start again from the first page") from error
