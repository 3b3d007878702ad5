"""What becomes known of a message after it was delivered: bounces, complaints, unsubscriptions.

The only writer of these events; what they suppress is decided beside them, in the same transaction.
They have attempt 0, so a recipient has one of each kind, however often it is reported: the rows of
the message and of its recipient stay locked until the end of the transaction, and the event is
looked for under that lock.  Of `notified` there may be several, numbered, with different details.

A report about a recipient that has no end yet is early: our own log says first what became of the
delivery (`NotYet`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from franking.accounts.models import Credential
from franking.mail import suppressing
from franking.mail.config import Suppressions
from franking.mail.events import LONGEST_REPLY
from franking.mail.models import Event, Message, Recipient
from franking.mail.states import summarise
from franking.mail.suppressing import Failure
from franking.reasons import Refused

Kind = Literal["bounced", "complained", "unsubscribed", "notified"]
OPEN = frozenset({"queued", "deferred", "held"})


class NotYet(Refused):
    """The recipient's delivery has no end in our log yet; worth trying again for an hour."""


@dataclass(frozen=True)
class Late:
    """`queue_id` is the one of acceptance.  Without `recipient` the message's only one is meant;
    of several none, and then nobody is suppressed.  `category` is one of `bounce_classes`;
    `heuristic`: somebody's words were guessed at, which never suppresses."""

    queue_id: str
    recipient: str | None
    kind: Kind
    at: datetime
    smtp_code: int | None = None
    enhanced_code: str | None = None
    reply: str | None = None
    category: str | None = None
    remote_host: str | None = None
    remote_ip: str | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)
    heuristic: bool = False


def record(
    session: Session, node: str, late: Late, rules: Suppressions, now: datetime
) -> int | None:
    """The event's ID; None when nobody knows the message or the recipient, or it is known already.

    `bounced` is only for a recipient that was delivered.  Raises NotYet.
    """
    message = _locked(session, node, late.queue_id)
    if message is None:
        return None
    recipients = _recipients(session, message)
    recipient = _meant(recipients, late.recipient)
    if recipient is None and (late.recipient is not None or late.kind == "bounced"):
        return None
    if recipient is not None and late.kind == "bounced" and recipient.status in OPEN:
        raise NotYet(f"{late.queue_id}: nothing is known of its delivery yet")
    earlier = _earlier(session, message, recipient, late)
    if dict(late.detail) in earlier if late.kind == "notified" else earlier:
        return None
    if recipient is not None and late.kind == "bounced":
        if recipient.status != "delivered":
            return None
        recipient.status = "bounced"
        message.status = summarise(each.status for each in recipients)
        session.flush()
    event_id = _write(session, message, recipient, late, len(earlier))
    if recipient is not None:
        failures = _failures(session, message, recipient, event_id, late)
        suppressing.consider(session, failures, rules, now)
    return event_id


def _locked(session: Session, node: str, queue_id: str) -> Message | None:
    """With several recipients the message first, so that nobody sums up what changes meanwhile;
    else the recipient's row first, as the log's worker does (`franking.mail.states`)."""
    key = (Message.queue_id == queue_id, Message.node == node)
    query = select(Message).where(*key).execution_options(populate_existing=True)
    message = session.scalar(query)
    if message is None or message.recipient_count < 2:
        return message
    return session.scalar(query.with_for_update(of=Message))


def _recipients(session: Session, message: Message) -> Sequence[Recipient]:
    return session.scalars(
        select(Recipient)
        .where(Recipient.queue_id == message.queue_id, Recipient.node == message.node)
        .order_by(Recipient.address)
        .with_for_update()
        .execution_options(populate_existing=True)
    ).all()


def _meant(recipients: Sequence[Recipient], address: str | None) -> Recipient | None:
    if address is None:
        return recipients[0] if len(recipients) == 1 else None
    wanted = address.lower()
    return next((each for each in recipients if each.address.lower() == wanted), None)


def _earlier(
    session: Session, message: Message, recipient: Recipient | None, late: Late
) -> Sequence[dict[str, Any]]:
    """The details of such events that are there."""
    address = None if recipient is None else recipient.address
    query = select(Event.detail).where(
        Event.queue_id == message.queue_id,
        Event.node == message.node,
        Event.kind == late.kind,
        Event.recipient.is_(None) if address is None else Event.recipient == address,
    )
    if late.kind == "bounced":
        query = query.where(Event.attempt == 0)
    return session.scalars(query).all()


def _write(
    session: Session, message: Message, recipient: Recipient | None, late: Late, number: int
) -> int:
    values = {
        "account_id": message.account_id,
        "credential_id": message.credential_id,
        "sender": message.from_address,
        "node": message.node,
        "queue_id": message.queue_id,
        "recipient": None if recipient is None else recipient.address,
        "kind": late.kind,
        "attempt": number,
        "at": late.at,
        "smtp_code": late.smtp_code,
        "enhanced_code": late.enhanced_code and late.enhanced_code[:12],
        "reply": late.reply and late.reply[:LONGEST_REPLY],
        "remote_host": late.remote_host and late.remote_host[:255],
        "remote_ip": late.remote_ip and late.remote_ip[:45],
        "category": late.category,
        "detail": dict(late.detail),
    }
    return session.scalars(insert(Event).values(**values).returning(Event.id)).one()


def _failures(
    session: Session, message: Message, recipient: Recipient, event_id: int, late: Late
) -> list[Failure]:
    """That somebody was notified says nothing about the address."""
    if late.kind == "notified":
        return []
    stream = select(Credential.stream).where(Credential.id == message.credential_id)
    return [
        Failure(
            account_id=message.account_id,
            address=recipient.address,
            queue_id=message.queue_id,
            node=message.node,
            event_id=event_id,
            kind=late.kind,
            category=late.category,
            stream=session.scalars(stream).one(),
            late=True,
            heuristic=late.heuristic,
        )
    ]
