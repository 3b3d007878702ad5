"""Reading messages: one, a filtered page of them, a timeline, counts.

Every function takes the account (or a message that was loaded with it): a foreign message is
NotFound.  Pages are keyset pages over (accepted_at, queue_id), so page 1,000 costs as much as
page 1.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, String, and_, cast, func, or_, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account, Credential
from franking.mail.models import Event, Message, MessageAlias, Recipient
from franking.reasons import Invalid, NotFound


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


def search(
    session: Session,
    account: Account,
    wanted: Filter,
    before: str | None = None,
    limit: int = 50,
) -> Page:
    """Newest first.  Raises Invalid for a cursor that is not one of ours."""
    query = _filtered(select(Message).where(Message.account_id == account.id), wanted)
    if before:
        moment, queue_id = _decode(before)
        query = query.where(
            or_(
                Message.accepted_at < moment,
                and_(Message.accepted_at == moment, Message.queue_id < queue_id),
            )
        )
    query = query.order_by(Message.accepted_at.desc(), Message.queue_id.desc()).limit(limit + 1)
    rows = session.scalars(query).all()
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, _encode(rows[-1]) if more else None)


def _filtered(query: Select[Message], wanted: Filter) -> Select[Message]:
    if wanted.status:
        query = query.where(Message.status == wanted.status)
    if wanted.sender:
        query = query.where(func.lower(Message.from_address) == wanted.sender.lower())
    if wanted.credential:
        named = select(Credential.id).where(Credential.username == wanted.credential)
        query = query.where(Message.credential_id.in_(named))
    if wanted.text:
        query = query.where(
            or_(Message.queue_id == wanted.text, Message.message_id.in_(_bracketed(wanted.text)))
        )
    if wanted.since:
        query = query.where(Message.accepted_at >= wanted.since)
    if wanted.until:
        query = query.where(Message.accepted_at < wanted.until)
    if wanted.recipient:
        query = query.where(_has_recipient(wanted.recipient.lower()))
    if wanted.tag:
        query = query.where(cast(Message.tags, String).like(_json_item(wanted.tag), escape="\\"))
    return query


def _bracketed(message_id: str) -> list[str]:
    bare = message_id.strip().removeprefix("<").removesuffix(">")
    return [bare, f"<{bare}>"]


def _has_recipient(address: str) -> ColumnElement[bool]:
    return (
        select(Recipient.queue_id)
        .where(
            Recipient.queue_id == Message.queue_id,
            Recipient.node == Message.node,
            func.lower(Recipient.address) == address,
        )
        .exists()
    )


def _json_item(tag: str) -> str:
    escaped = json.dumps(tag)[1:-1].replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f'%"{escaped}"%'


def counts_since(session: Session, account_id: int, since: datetime) -> dict[str, int]:
    """How many events of each kind since a moment."""
    rows = session.execute(
        select(Event.kind, func.count())
        .where(Event.account_id == account_id, Event.at >= since)
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
    query = select(Event).where(Event.account_id == account.id, Event.kind.in_(kinds))
    if before_id is not None:
        query = query.where(Event.id < before_id)
    return session.scalars(query.order_by(Event.id.desc()).limit(limit)).all()


def refusals(
    session: Session, account: Account, before_id: int | None = None, limit: int = 50
) -> Sequence[Event]:
    return recent_events(session, account, ("rejected",), before_id=before_id, limit=limit)


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
