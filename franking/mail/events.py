"""What happened: the only writer of events after acceptance, and of the states they lead to.

Postfix's log is at least once (after a crash between the remote 250 and the queue update it
delivers and logs again), so a recipient takes one final event and ignores further ones.
Events of queue files that are not ours (Postfix's own bounces) are ignored too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from franking.mail.models import FINAL_KINDS, Event, Message, Recipient

LONGEST_REPLY = 2000  # Postfix cuts its log records there (util/msg_logger.c)
EXPIRED = "4.4.7"  # RFC 3463: delivery time expired


@dataclass(frozen=True)
class Attempt:
    """One delivery attempt for one recipient; `delay` in seconds since acceptance."""

    queue_id: str
    recipient: str
    kind: str
    at: datetime
    smtp_code: int | None = None
    enhanced_code: str | None = None
    reply: str | None = None
    remote_host: str | None = None
    remote_ip: str | None = None
    delay: float | None = None
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass
class _State:
    """A message's present state, as the batch changes it."""

    account_id: int
    credential_id: int
    sender: str
    status: str
    recipients: dict[str, _RecipientState] = field(default_factory=dict)


@dataclass
class _RecipientState:
    address: str
    status: str
    attempts: int
    final_at: datetime | None
    changed: bool = False


def record(session: Session, node: str, attempts: Sequence[Attempt]) -> int:
    """Write the events of these attempts and move recipients and messages; returns how many."""
    states = _load(session, node, {attempt.queue_id for attempt in attempts})
    return _write(session, node, states, attempts)


def record_expired(session: Session, node: str, expired: Iterable[tuple[str, datetime]]) -> int:
    """The queue manager gave up; its log line names no recipients, so: all that had no end yet."""
    return _end_all(session, node, dict(expired), EXPIRED, "delivery time expired")


def record_removed(session: Session, node: str, removed: Iterable[tuple[str, datetime]]) -> int:
    """An operator deleted these queue files: no delivery is tried any more (`leave_hold` first).

    The money stays captured, because Postfix had taken the message (docs/decisions/0003); giving
    it back is for the operator who deleted it.
    """
    return _end_all(session, node, dict(removed), None, "removed from the queue by the operator")


def _end_all(
    session: Session, node: str, when: Mapping[str, datetime], code: str | None, reply: str
) -> int:
    states = _load(session, node, set(when))
    attempts = [
        Attempt(queue_id, recipient.address, "expired", when[queue_id],
                enhanced_code=code, reply=reply)
        for queue_id, state in states.items()
        for recipient in state.recipients.values()
        if recipient.final_at is None
    ]  # fmt: skip
    return _write(session, node, states, attempts)


def record_voided(session: Session, node: str, reasons: Mapping[str, str], at: datetime) -> int:
    """Postfix did not keep these queue files after all: nothing was sent, nothing is charged.

    `franking.mail.transitions.give_up` comes first, then the money.
    """
    states = _load(session, node, set(reasons))
    rows = []
    for queue_id, state in states.items():
        attempt = Attempt(queue_id, "", "voided", at, reply=reasons[queue_id])
        rows.append(_row(state, attempt, node) | {"recipient": None})
    if rows:
        session.execute(insert(Event), rows)
        _void(session, node, list(states), at)
    return len(rows)


def _void(session: Session, node: str, queue_ids: list[str], at: datetime) -> None:
    connection = session.connection()
    connection.execute(
        update(Message.__table__)  # type: ignore[arg-type]
        .where(Message.node == node, Message.queue_id.in_(queue_ids))
        .values(status="voided", cost=0)
    )
    connection.execute(
        update(Recipient.__table__)  # type: ignore[arg-type]
        .where(Recipient.node == node, Recipient.queue_id.in_(queue_ids))
        .values(status="voided", final_at=at)
    )


def record_refusal(
    session: Session,
    *,
    account_id: int,
    credential_id: int | None,
    node: str,
    smtp_code: int,
    enhanced_code: str,
    text: str,
    now: datetime,
    key: str | None = None,
    sender: str | None = None,
    recipient: str | None = None,
    queue_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Something was refused at the SMTP dialogue.  `key` names the reply in the catalogue.

    The queue ID goes into the detail, not the key: the queue file of a refused message is gone.
    """
    extra = dict(detail or {}) | {"reply_key": key, "queue_id": queue_id}
    session.execute(
        insert(Event).values(
            account_id=account_id,
            credential_id=credential_id,
            node=node,
            queue_id=None,
            recipient=(recipient or "")[:320] or None,
            sender=(sender or "")[:320] or None,
            kind="rejected",
            at=now,
            smtp_code=smtp_code,
            enhanced_code=enhanced_code,
            reply=text[:LONGEST_REPLY],
            detail={name: value for name, value in extra.items() if value is not None},
        )
    )


def _load(session: Session, node: str, queue_ids: set[str]) -> dict[str, _State]:
    """The messages among these queue IDs, with all their recipients: two queries."""
    if not queue_ids:
        return {}
    states = {
        row[0]: _State(*row[1:])
        for row in session.execute(
            select(
                Message.queue_id,
                Message.account_id,
                Message.credential_id,
                Message.from_address,
                Message.status,
            ).where(Message.queue_id.in_(queue_ids), Message.node == node)
        )
    }
    for row in session.execute(
        select(
            Recipient.queue_id,
            Recipient.address,
            Recipient.status,
            Recipient.attempts,
            Recipient.final_at,
        ).where(Recipient.queue_id.in_(states), Recipient.node == node)
    ):
        states[row[0]].recipients[row[1].lower()] = _RecipientState(*row[1:])
    return states


def _apply(state: _State, attempt: Attempt, node: str) -> dict[str, Any] | None:
    """The event's row, or None when this recipient has had its end already."""
    recipient = state.recipients.get(attempt.recipient.lower())
    if recipient is None or recipient.final_at is not None:
        return None
    recipient.attempts += 1
    recipient.status = attempt.kind
    recipient.changed = True
    if attempt.kind in FINAL_KINDS:
        recipient.final_at = attempt.at
    return _row(state, attempt, node) | {
        "recipient": recipient.address,
        "attempt": recipient.attempts,
    }


def _row(state: _State, attempt: Attempt, node: str) -> dict[str, Any]:
    return {
        "account_id": state.account_id,
        "credential_id": state.credential_id,
        "sender": state.sender,
        "node": node,
        "queue_id": attempt.queue_id,
        "kind": attempt.kind,
        "attempt": 0,
        "at": attempt.at,
        "smtp_code": attempt.smtp_code,
        "enhanced_code": attempt.enhanced_code,
        "reply": attempt.reply[:LONGEST_REPLY] if attempt.reply else None,
        "remote_host": attempt.remote_host,
        "remote_ip": attempt.remote_ip,
        "delay": attempt.delay,
        "detail": dict(attempt.detail),
    }


def _write(
    session: Session, node: str, states: Mapping[str, _State], attempts: Sequence[Attempt]
) -> int:
    """Write what the attempts change, and return how many events that made."""
    rows = [
        row
        for attempt in attempts
        if (state := states.get(attempt.queue_id)) is not None
        and (row := _apply(state, attempt, node)) is not None
    ]
    if rows:
        _store(session, node, states, rows)
    return len(rows)


def _store(
    session: Session, node: str, states: Mapping[str, _State], rows: list[dict[str, Any]]
) -> None:
    session.execute(insert(Event), rows)
    connection = session.connection()  # executemany by key, without the ORM's bookkeeping
    connection.execute(_MOVE_RECIPIENT, [
        {"b_queue_id": queue_id, "b_node": node, "b_address": r.address, "status": r.status,
         "attempts": r.attempts, "final_at": r.final_at}
        for queue_id, state in states.items()
        for r in state.recipients.values()
        if r.changed
    ])  # fmt: skip
    moved = [
        {"b_queue_id": queue_id, "b_node": node, "status": summary}
        for queue_id, state in states.items()
        if (summary := summarise(r.status for r in state.recipients.values())) != state.status
    ]
    if moved:
        connection.execute(_MOVE_MESSAGE, moved)


_MOVE_RECIPIENT = (
    update(Recipient.__table__)  # type: ignore[arg-type]
    .where(
        Recipient.queue_id == bindparam("b_queue_id"),
        Recipient.node == bindparam("b_node"),
        Recipient.address == bindparam("b_address"),
    )
    .values(
        status=bindparam("status"), attempts=bindparam("attempts"), final_at=bindparam("final_at")
    )
)

_MOVE_MESSAGE = (
    update(Message.__table__)  # type: ignore[arg-type]
    .where(Message.queue_id == bindparam("b_queue_id"), Message.node == bindparam("b_node"))
    .values(status=bindparam("status"))
)


def summarise(statuses: Iterable[str]) -> str:
    """A message's state from its recipients': what is still open wins, then what all share.

    A suppressed recipient was never written to, so it says nothing about the others.
    """
    kinds = set(statuses)
    kinds = kinds - {"suppressed"} or kinds
    for open_state in ("deferred", "queued", "held"):
        if open_state in kinds:
            return open_state
    return kinds.pop() if len(kinds) == 1 else "partial"
