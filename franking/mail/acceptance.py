"""The transaction that makes a message ours: the last act of the milter's end of message.

It sets the money aside and writes the message, its recipients and their `accepted` events, all or
nothing.  Whether Postfix then commits its queue file is settled later, by the worker, from
evidence (`franking.money.reservations`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.mail.authority import Authority
from franking.mail.models import Event, Message, Recipient
from franking.money import reservations
from franking.money.models import Reservation
from franking.reasons import AccountSuspended, Refused

# Built once: on the way of every message, building a statement costs more than executing it.
_MESSAGE = insert(Message.__table__)  # type: ignore[arg-type]
_RECIPIENT = insert(Recipient.__table__)  # type: ignore[arg-type]
_EVENT = insert(Event.__table__)  # type: ignore[arg-type]
_FRESH = {"status": "queued", "attempts": 0}
_used = Reservation.__table__.c
_WELCOME = select(
    Account.__table__.c.status,
    Account.__table__.c.suspended_reason,
    select(_used.node)
    .where(_used.queue_id == bindparam("queue_id"), _used.node == bindparam("node"))
    .exists(),
).where(Account.__table__.c.id == bindparam("account_id"))


class DuplicateQueueId(Refused):
    """This node has used the queue ID before: the clock went back.  Tempfail, never overwrite."""


@dataclass(frozen=True)
class Acceptance:
    """Everything that is stored of a message; `recipients` are distinct, case folded."""

    node: str
    queue_id: str
    authority: Authority
    domain_id: int
    from_address: str
    envelope_sender: str
    recipients: list[str]
    subject: str
    message_id: str
    size: int
    now: datetime
    tags: list[str] = field(default_factory=list)
    client_ip: str | None = None
    client_helo: str | None = None
    tls: str | None = None
    auth_method: str | None = None
    signatures: list[dict[str, str]] = field(default_factory=list)


def accept(session: Session, message: Acceptance) -> None:
    """Raises InsufficientBalance, AccountSuspended or DuplicateQueueId; then nothing is written."""
    _still_welcome(session, message)
    price = message.authority.unit_price
    reservations.reserve(
        session,
        node=message.node,
        queue_id=message.queue_id,
        account_id=message.authority.account_id,
        amount=price,
        unit_price=price,
        price_tier_id=message.authority.price_tier_id,
        now=message.now,
    )
    key = {"queue_id": message.queue_id, "node": message.node}
    connection = session.connection()
    connection.execute(_MESSAGE, _message_row(message) | key | {"cost": price, "status": "queued"})
    connection.execute(_RECIPIENT, [{**key, **_FRESH, "address": a} for a in message.recipients])
    connection.execute(_EVENT, [_accepted(message, a) | key for a in message.recipients])


def _still_welcome(session: Session, message: Acceptance) -> None:
    """Inside the writing transaction, so that a suspension cannot slip in between."""
    values = {
        "account_id": message.authority.account_id,
        "queue_id": message.queue_id,
        "node": message.node,
    }
    row = session.connection().execute(_WELCOME, values).one()
    if row[0] != "active":
        raise AccountSuspended(row[1] or "contact support")
    if row[2]:
        raise DuplicateQueueId(message.queue_id)


def _message_row(message: Acceptance) -> dict[str, object]:
    return {
        "account_id": message.authority.account_id,
        "credential_id": message.authority.credential_id,
        "domain_id": message.domain_id,
        "from_address": message.from_address,
        "envelope_sender": message.envelope_sender,
        "subject": message.subject[:250],
        "message_id": message.message_id[:250],
        "size": message.size,
        "recipient_count": len(message.recipients),
        "tags": message.tags,
        "client_ip": message.client_ip,
        "client_helo": (message.client_helo or "")[:255] or None,
        "tls": (message.tls or "")[:64] or None,
        "auth_method": message.auth_method,
        "signatures": message.signatures,
        "accepted_at": message.now,
    }


def _accepted(message: Acceptance, recipient: str) -> dict[str, object]:
    return {
        "account_id": message.authority.account_id,
        "credential_id": message.authority.credential_id,
        "recipient": recipient,
        "sender": message.from_address,
        "kind": "accepted",
        "attempt": 0,
        "at": message.now,
        "detail": {},
    }
