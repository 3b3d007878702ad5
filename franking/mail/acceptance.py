"""The transaction that makes a message ours: the last act of the milter's end of message.

It counts the message in its limits, sets the money aside and writes the message, its recipients
and their `accepted` events, all or nothing.  Whether Postfix then commits its queue file is
settled later, by the worker, from evidence (`franking.money.reservations`).

Three kinds of message are taken, recorded and thrown away by Postfix, and cost nothing: those of
a test credential, those whose recipients are all suppressed, and repeats (`idempotency`).
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Any

from sqlalchemy import bindparam, insert, select
from sqlalchemy.orm import Session

from franking.accounts import limits
from franking.accounts.limits import Counted, Exceeded, Subject
from franking.accounts.models import Account
from franking.mail import holding, idempotency, replies, tags
from franking.mail.authority import Authority
from franking.mail.idempotency import Standing
from franking.mail.models import Event, Message, Recipient
from franking.mail.replies import Reply
from franking.money import reservations
from franking.money.reservations import Purchase
from franking.reasons import AccountSuspended, CapReached, InsufficientBalance, Refused

NO_MONEY = "Insufficient balance"

# Built once: on the way of every message, building a statement costs more than executing it.
_MESSAGE = insert(Message.__table__)  # type: ignore[arg-type]
_RECIPIENT = insert(Recipient.__table__)  # type: ignore[arg-type]
_EVENT = insert(Event.__table__)  # type: ignore[arg-type]
_WELCOME = select(
    Account.__table__.c.status,
    Account.__table__.c.suspended_reason,
    select(Message.__table__.c.node)
    .where(
        Message.__table__.c.queue_id == bindparam("queue_id"),
        Message.__table__.c.node == bindparam("node"),
    )
    .exists(),
).where(Account.__table__.c.id == bindparam("account_id"))


class DuplicateQueueId(Refused):
    """This node has used the queue ID before: the clock went back.  Tempfail, never overwrite."""


class NotAccepted(Refused):
    """`reply` says why."""

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.text)
        self.reply = reply


class Outcome(Enum):
    """What Postfix has to do with the queue file."""

    DELIVER = "deliver"
    HOLD = "hold"
    DISCARD = "discard"


@dataclass(frozen=True)
class Acceptance:
    """Everything that is stored of a message; `recipients` are distinct, case folded.

    `suppressed` are those of them that get nothing, each with why.  `idempotency` is the client's
    key and the digest of the content.
    """

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
    return_path: str | None = None
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, str] = field(default_factory=dict)
    suppressed: Mapping[str, str] = field(default_factory=dict)
    idempotency: tuple[str, str] | None = None
    client_ip: str | None = None
    client_helo: str | None = None
    tls: str | None = None
    auth_method: str | None = None
    signatures: list[dict[str, str]] = field(default_factory=list)

    @property
    def written_to(self) -> int:
        """How many recipients get it."""
        return len(self.recipients) - len(self.suppressed)


def accept(session: Session, message: Acceptance) -> Outcome:
    """Raises AccountSuspended, NotAccepted, DuplicateQueueId or PriceMoved; the caller then rolls
    back, and nothing is written."""
    _still_welcome(session, message)
    if message.idempotency is not None and _is_repeat(session, message, *message.idempotency):
        return Outcome.DISCARD
    counted = _count(session, message)
    if message.authority.mode == "test":
        _store(session, message, "sandboxed", 0)
        return Outcome.DISCARD
    if not message.written_to:
        _store(session, message, "suppressed", 0)
        return Outcome.DISCARD
    who = message.authority
    try:
        # A savepoint, so that what was written for a paid message can be taken back.
        with session.begin_nested() if who.waits_for_money else nullcontext():
            return _take(session, message, counted)
    except InsufficientBalance as empty:
        most = who.terms.hold_messages
        if not (who.waits_for_money and holding.may_wait(session, who.credential_id, most)):
            raise NotAccepted(replies.unpaid(empty, who.terms.on_empty)) from empty
    except CapReached as reached:
        raise NotAccepted(replies.unpaid(reached, who.terms.on_empty)) from reached
    return _take(session, message, counted, paid=False)


def _take(
    session: Session, message: Acceptance, counted: Exceeded | Counted, *, paid: bool = True
) -> Outcome:
    """Write everything, and then move the money: from there to the commit, whoever else sends for
    this account waits.  Without money it is held, and so it is when `counted` is a limit."""
    purchase = _purchase(message)
    offered = reservations.offer(session, purchase, message.now)
    outcome, reason = Outcome.DELIVER, None if paid else NO_MONEY
    if isinstance(counted, Exceeded):
        counted, reason = [], str(counted)
    _store(session, message, "queued", offered.quote.amount, counted)
    if reason is not None:
        _hold(session, message, reason, paid=paid)
        outcome = Outcome.HOLD
    take = reservations.reserve if paid else reservations.wait
    take(session, purchase, offered, message.now)
    return outcome


def _purchase(message: Acceptance) -> Purchase:
    who = message.authority
    return Purchase(
        node=message.node,
        queue_id=message.queue_id,
        account_id=who.account_id,
        units=who.units(message.written_to),
        tariff=who.tariff,
        bounds=who.bounds(),
    )


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


def _is_repeat(session: Session, message: Acceptance, key: str, content: str) -> bool:
    standing = idempotency.claim(
        session,
        account_id=message.authority.account_id,
        mode=message.authority.mode,
        key=key,
        content=content,
        queue_id=message.queue_id,
        node=message.node,
        now=message.now,
    )
    if standing is Standing.CONFLICT:
        raise NotAccepted(replies.idempotency_conflict())
    if standing is Standing.PENDING:
        raise NotAccepted(replies.idempotency_pending())
    return standing is Standing.REPEAT


def _count(session: Session, message: Acceptance) -> Exceeded | Counted:
    """Exceeded is a limit that holds the mail back; others raise NotAccepted."""
    windows = message.authority.rules.counted()
    if not windows or not message.written_to:
        return []
    try:
        return holding.admit(session, windows, _subject(message), message.written_to, message.now)
    except Exceeded as exceeded:
        raise NotAccepted(limits.reply(exceeded)) from exceeded


def _hold(session: Session, message: Acceptance, reason: str, *, paid: bool) -> None:
    holding.hold(
        session,
        node=message.node,
        queue_id=message.queue_id,
        subject=_subject(message),
        reason=reason,
        unpaid=not paid,
        recipients=message.written_to,
        now=message.now,
    )


def _subject(message: Acceptance) -> Subject:
    who = message.authority
    return Subject(who.account_id, who.credential_id, message.client_ip, test=who.mode == "test")


def _store(
    session: Session, message: Acceptance, status: str, cost: int, counted: Counted | None = None
) -> None:
    """The message and its recipients; the suppressed ones have had their end."""
    key = {"queue_id": message.queue_id, "node": message.node}
    connection = session.connection()
    stored = {"cost": cost, "status": status, "counted": counted or None}
    connection.execute(_MESSAGE, _message_row(message) | key | stored)
    recipients, events = [], []
    for address in message.recipients:
        ended = "suppressed" if address in message.suppressed else status
        final = None if ended == "queued" else message.now
        recipients.append(
            {**key, "address": address, "status": ended, "attempts": 0, "final_at": final}
        )
        events.append(_event(message, address, "accepted", None) | key)
        if final is not None:
            why = message.suppressed.get(address)
            events.append(_event(message, address, ended, why) | key)
    connection.execute(_RECIPIENT, recipients)
    tags.store(session, key, message.authority.account_id, message.tags, message.now)
    connection.execute(_EVENT, events)


def _message_row(message: Acceptance) -> dict[str, Any]:
    return {
        "account_id": message.authority.account_id,
        "credential_id": message.authority.credential_id,
        "domain_id": message.domain_id,
        "from_address": message.from_address,
        "envelope_sender": message.envelope_sender,
        "return_path": message.return_path,
        "subject": message.subject[:250],
        "message_id": message.message_id[:250],
        "size": message.size,
        "recipient_count": len(message.recipients),
        "tags": message.tags,
        "metadata": message.metadata,
        "mode": message.authority.mode,
        "client_ip": message.client_ip,
        "client_helo": (message.client_helo or "")[:255] or None,
        "tls": (message.tls or "")[:64] or None,
        "auth_method": message.auth_method,
        "signatures": message.signatures,
        "accepted_at": message.now,
    }


def _event(message: Acceptance, recipient: str, kind: str, reply: str | None) -> dict[str, Any]:
    return {
        "account_id": message.authority.account_id,
        "credential_id": message.authority.credential_id,
        "recipient": recipient,
        "sender": message.from_address,
        "kind": kind,
        "attempt": 0,
        "at": message.now,
        "reply": reply,
        "detail": {},
    }
