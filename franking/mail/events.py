"""What happened: the only writer of events after acceptance, and of the states they lead to.

Postfix's log is at least once (after a crash between the remote 250 and the queue update it
delivers and logs again), so a recipient takes one final event and ignores further ones.
Events of queue files that are not ours (Postfix's own bounces) are ignored too.
What is about a whole message is in `franking.mail.queue_actions`, what becomes known by mail in
`franking.mail.late`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from sqlalchemy import insert, update
from sqlalchemy.orm import Session

from franking.mail.bounce_classes import CATEGORIES, Finding, classify
from franking.mail.models import FINAL_KINDS, Event, Message, Recipient
from franking.mail.states import State, load, store

LONGEST_REPLY = 2000  # Postfix cuts its log records there (util/msg_logger.c)
EXPIRED = "4.4.7"  # RFC 3463: delivery time expired
OPERATOR = {"by": "operator"}  # in the detail of what nobody else has done

_INSERT = insert(Event.__table__)  # type: ignore[arg-type]
_NUMBERED = _INSERT.returning(Event.id, Event.queue_id, Event.recipient)
FAILED = frozenset({"bounced", "expired"})


@dataclass(frozen=True)
class Attempt:
    """One delivery attempt for one recipient; `delay` in seconds since acceptance.

    `detail`: agent, relay, tls, delays (before the queue manager, in it, connecting, transmitting)
    and queued (the first two together), in seconds.
    """

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

    @cached_property
    def finding(self) -> Finding | None:
        """Why it failed; None of what did not, and of what an operator has deleted."""
        if self.kind == "expired":
            return Finding(CATEGORIES["expired"]) if self.enhanced_code == EXPIRED else None
        if self.kind in {"bounced", "deferred"}:
            return classify(self.enhanced_code, self.smtp_code, self.reply)
        return None


@dataclass(frozen=True)
class Written:
    """An event that was not there before; `event_id` of ends that are no delivery."""

    attempt: Attempt
    account_id: int
    sender: str
    recipient: str
    finding: Finding | None
    event_id: int | None = None


def record(session: Session, node: str, attempts: Sequence[Attempt]) -> list[Written]:
    """Write the events of these attempts and move recipients and messages."""
    states = load(session, node, {attempt.queue_id for attempt in attempts})
    return _write(session, node, states, attempts)


def record_expired(
    session: Session, node: str, expired: Iterable[tuple[str, datetime]],
    forced: Collection[str] = (),
) -> list[Written]:  # fmt: skip
    """The queue manager gave up; its log line names no recipients, so: all that had no end yet.

    `forced`: the queue IDs of those that an operator has had enough of (postsuper -e).
    """
    states = load(session, node, when := dict(expired))
    text = "delivery time expired"
    return _write(session, node, states, [
        Attempt(queue_id, recipient.address, "expired", when[queue_id], enhanced_code=EXPIRED,
                reply=text, detail=OPERATOR if queue_id in forced else {})
        for queue_id, state in states.items()
        for recipient in state.open
    ])  # fmt: skip


def record_removed(
    session: Session, node: str, removed: Iterable[tuple[str, datetime]]
) -> list[Written]:
    """An operator deleted these queue files: no delivery is tried any more (`leave_hold` first).

    The money stays captured, because Postfix had taken the message (docs/decisions/0003); giving
    it back is for the operator who deleted it.
    """
    states = load(session, node, when := dict(removed))
    text = "removed from the queue by the operator"
    return _write(session, node, states, [
        Attempt(queue_id, recipient.address, "expired", when[queue_id], reply=text,
                detail=OPERATOR)
        for queue_id, state in states.items()
        for recipient in state.open
    ])  # fmt: skip


def record_voided(session: Session, node: str, reasons: Mapping[str, str], at: datetime) -> int:
    """Postfix did not keep these queue files after all: nothing was sent, nothing is charged.

    `franking.mail.transitions.give_up` comes first, then the money.
    """
    states = load(session, node, set(reasons))
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


def _apply(state: State, attempt: Attempt, node: str) -> tuple[dict[str, Any], Written] | None:
    """The event's row and what it says, or None when this recipient has had its end already."""
    recipient = state.recipients.get(attempt.recipient.lower())
    if recipient is None or recipient.final_at is not None:
        return None
    recipient.attempts += 1
    recipient.move(attempt.kind)
    if attempt.kind in FINAL_KINDS:
        recipient.final_at = attempt.at
    finding = attempt.finding
    row = _row(state, attempt, node) | {
        "recipient": recipient.address,
        "attempt": recipient.attempts,
        "category": finding and finding.category.name,
    }
    return row, Written(attempt, state.account_id, state.sender, recipient.address, finding)


def _row(state: State, attempt: Attempt, node: str) -> dict[str, Any]:
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
    session: Session, node: str, states: Mapping[str, State], attempts: Sequence[Attempt]
) -> list[Written]:
    applied = [
        done
        for attempt in attempts
        if (state := states.get(attempt.queue_id)) is not None
        and (done := _apply(state, attempt, node)) is not None
    ]
    if not applied:
        return []
    numbers = _store_rows(session, [row for row, _ in applied])
    store(session, node, states)
    return [
        replace(each, event_id=numbers.get((each.attempt.queue_id, each.recipient)))
        if each.attempt.kind in FAILED
        else each
        for _, each in applied
    ]


def _store_rows(session: Session, rows: list[dict[str, Any]]) -> dict[tuple[str, str], int]:
    """The numbers of the failures among them, of which a recipient has one; others need none."""
    connection = session.connection()
    failed = [row for row in rows if row["kind"] in FAILED]
    if others := [row for row in rows if row["kind"] not in FAILED]:
        connection.execute(_INSERT, others)
    if not failed:
        return {}
    return {(str(row[1]), str(row[2])): row[0] for row in connection.execute(_NUMBERED, failed)}
