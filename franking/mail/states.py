"""Messages and their recipients as they stand, to be moved by what is known of them now.

`load` reads what a batch is about, the batch changes it in memory, `store` writes what has changed.
A message's state sums up its recipients', and a report that came by mail may change one of them
(`franking.mail.late`) while the log is about another: so messages with several recipients are
locked before these are read, and only those, because others move with their only recipient.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from sqlalchemy import bindparam, select, update
from sqlalchemy.orm import Session

from franking.mail.models import Message, Recipient

_messages, _recipients = Message.__table__.c, Recipient.__table__.c
_MESSAGES = select(
    _messages.queue_id, _messages.account_id, _messages.credential_id, _messages.from_address,
    _messages.status, _messages.recipient_count,
).where(
    _messages.queue_id.in_(bindparam("queue_ids", expanding=True)),
    _messages.node == bindparam("node"),
)  # fmt: skip
_LOCKED = (
    select(_messages.queue_id, _messages.status)
    .where(
        _messages.queue_id.in_(bindparam("queue_ids", expanding=True)),
        _messages.node == bindparam("node"),
    )
    .order_by(_messages.queue_id)
    .with_for_update()
)
_RECIPIENTS = select(
    _recipients.queue_id, _recipients.address, _recipients.status, _recipients.attempts,
    _recipients.final_at,
).where(
    _recipients.queue_id.in_(bindparam("queue_ids", expanding=True)),
    _recipients.node == bindparam("node"),
)  # fmt: skip
_MOVE_RECIPIENT = (
    update(Recipient.__table__)  # type: ignore[arg-type]
    .where(
        _recipients.queue_id == bindparam("b_queue_id"),
        _recipients.node == bindparam("b_node"),
        _recipients.address == bindparam("b_address"),
    )
    .values(
        status=bindparam("status"), attempts=bindparam("attempts"), final_at=bindparam("final_at")
    )
)
_MOVE_MESSAGE = (
    update(Message.__table__)  # type: ignore[arg-type]
    .where(_messages.queue_id == bindparam("b_queue_id"), _messages.node == bindparam("b_node"))
    .values(status=bindparam("status"))
)


@dataclass
class RecipientState:
    address: str
    status: str
    attempts: int
    final_at: datetime | None
    changed: bool = False

    def move(self, status: str) -> None:
        self.status = status
        self.changed = True


@dataclass
class State:
    """A message; `recipients` by address in lower case."""

    account_id: int
    credential_id: int
    sender: str
    status: str
    recipients: dict[str, RecipientState] = field(default_factory=dict)

    @property
    def open(self) -> list[RecipientState]:
        """Those who have had no end yet."""
        return [each for each in self.recipients.values() if each.final_at is None]


def load(session: Session, node: str, queue_ids: Collection[str]) -> dict[str, State]:
    """The messages among these queue IDs, with all their recipients, by queue ID."""
    if not queue_ids:
        return {}
    connection = session.connection()
    asked = {"queue_ids": sorted(queue_ids), "node": node}
    rows = connection.execute(_MESSAGES, asked).all()
    states = {row.queue_id: State(*row[1:5]) for row in rows}
    if several := sorted(row.queue_id for row in rows if row.recipient_count > 1):
        for queue_id, status in connection.execute(_LOCKED, asked | {"queue_ids": several}):
            states[queue_id].status = status
    if states:
        for row in connection.execute(_RECIPIENTS, asked | {"queue_ids": sorted(states)}):
            states[row[0]].recipients[row[1].lower()] = RecipientState(*row[1:])
    return states


def store(session: Session, node: str, states: Mapping[str, State]) -> None:
    connection = session.connection()  # executemany by key, without the ORM's bookkeeping
    recipients = [
        {"b_queue_id": queue_id, "b_node": node, "b_address": each.address, "status": each.status,
         "attempts": each.attempts, "final_at": each.final_at}
        for queue_id, state in states.items()
        for each in state.recipients.values()
        if each.changed
    ]  # fmt: skip
    if recipients:
        connection.execute(_MOVE_RECIPIENT, recipients)
    messages = [
        {"b_queue_id": queue_id, "b_node": node, "status": summary}
        for queue_id, state in states.items()
        if any(each.changed for each in state.recipients.values())
        and (summary := summarise(r.status for r in state.recipients.values())) != state.status
    ]
    if messages:
        connection.execute(_MOVE_MESSAGE, messages)


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
