"""A whole message changes its state before delivery begins: put on hold, released, given up.

One event for the message, not one per recipient: nothing has been said to any of them yet.  Each
function moves only messages that are in the state it leaves, so whoever comes second (the log or
housekeeping) changes nothing.

Whoever writes more than one of these takes them in this order, so that no two transactions wait
for each other: `held_message`, `reservation`, `rate_counter`, `domain` (a new message keeps its
key; who changes several takes them by ID, and then `zone_entry` by name), the message itself,
`soft_failure` and then `suppression` (several by their keys), `balance`, `credential` (what it has
spent; several by ID), the daily totals.  The balance is late because it is the one row that all who
send for an account want: who holds it should have nothing left to do but to commit.
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Any

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from franking.accounts import limits
from franking.mail.models import Event, HeldMessage, Message, Recipient
from franking.money.models import Reservation

_messages, _recipients, _held = Message.__table__, Recipient.__table__, HeldMessage.__table__


def _moving(table: Any) -> Any:
    """UPDATE the status of these queue IDs' rows, of those that have the status `b_source`."""
    return (
        update(table)
        .where(
            table.c.queue_id.in_(bindparam("b_queue_ids", expanding=True)),
            table.c.node == bindparam("b_node"),
            table.c.status == bindparam("b_source"),
        )
        .values(status=bindparam("b_target"))
    )


_MOVE_MESSAGES = _moving(_messages).returning(
    _messages.c.queue_id, _messages.c.account_id, _messages.c.credential_id,
    _messages.c.from_address.label("sender"),
)  # fmt: skip
_MOVE_RECIPIENTS = _moving(_recipients)
_LEAVE_HOLD = (
    update(_held)  # type: ignore[arg-type]
    .where(
        _held.c.queue_id.in_(bindparam("b_queue_ids", expanding=True)),
        _held.c.node == bindparam("b_node"),
        _held.c.released_at.is_(None),
    )
    .values(released_at=bindparam("b_released_at"))
)
_LOCK_HELD = (
    select(HeldMessage.queue_id)
    .where(
        HeldMessage.queue_id.in_(bindparam("queue_ids", expanding=True)),
        HeldMessage.node == bindparam("node"),
    )
    .order_by(HeldMessage.queue_id)
    .with_for_update()
)
_OPEN = (
    select(Reservation.queue_id)
    .where(
        Reservation.queue_id.in_(bindparam("queue_ids", expanding=True)),
        Reservation.node == bindparam("node"),
        Reservation.state.in_(bindparam("states", expanding=True)),
    )
    .order_by(Reservation.queue_id)
    .with_for_update()
)
_COUNTED = select(Message.counted).where(
    Message.queue_id.in_(bindparam("queue_ids", expanding=True)),
    Message.node == bindparam("node"),
    Message.counted.is_not(None),
)
_STATES = {"held": ("queued", "held"), "released": ("held", "queued")}
_EVENT = insert(Event.__table__)  # type: ignore[arg-type]


def record_held(session: Session, node: str, queue_id: str, reason: str, at: datetime) -> None:
    """A message that was just stored as queued waits in the hold queue."""
    _move(session, node, [queue_id], _event("held", at, reason))


def record_released(
    session: Session, node: str, queue_ids: Collection[str], at: datetime
) -> set[str]:
    """These have left the hold queue; returns those that were still held."""
    leave_hold(session, node, queue_ids, at)
    return go_on(session, node, queue_ids, at)


def go_on(session: Session, node: str, queue_ids: Collection[str], at: datetime) -> set[str]:
    """The second half of `record_released`, for who has to lock other rows in between."""
    return _move(session, node, queue_ids, _event("released", at, None))


def leave_hold(session: Session, node: str, queue_ids: Collection[str], at: datetime) -> None:
    """Nothing is left to be released of these, whatever became of them."""
    if not queue_ids:
        return
    values = {"b_queue_ids": sorted(queue_ids), "b_node": node, "b_released_at": at}
    session.connection().execute(_LEAVE_HOLD, values)


def give_up(
    session: Session, node: str, queue_ids: Collection[str], at: datetime,
    states: Collection[str] = ("reserved", "waiting"),
) -> None:  # fmt: skip
    """Before these are voided: they wait no longer, and are not counted any more.

    Only those whose reservation is in one of these states, and stays locked until it is settled:
    so nothing is given back twice.
    """
    if not queue_ids:
        return
    values = {"queue_ids": sorted(queue_ids), "node": node}
    session.execute(_LOCK_HELD, values)  # the lock order
    still_open = session.scalars(_OPEN, values | {"states": sorted(states)}).all()
    leave_hold(session, node, still_open, at)
    # Only now: a grant that was under way has stored what it counted before it let go of its row.
    counted = session.scalars(_COUNTED, values | {"queue_ids": still_open})
    limits.give_back(session, counted)


def _event(kind: str, at: datetime, reply: str | None) -> dict[str, Any]:
    return {"kind": kind, "at": at, "reply": reply, "attempt": 0, "detail": {}}


def _move(
    session: Session, node: str, queue_ids: Collection[str], event: dict[str, Any]
) -> set[str]:
    source, target = _STATES[event["kind"]]
    values = {"b_node": node, "b_source": source, "b_target": target}
    connection = session.connection()
    moving = values | {"b_queue_ids": sorted(queue_ids)}
    rows = connection.execute(_MOVE_MESSAGES, moving).mappings().all()
    moved = {str(row["queue_id"]) for row in rows}
    if moved:
        connection.execute(_MOVE_RECIPIENTS, values | {"b_queue_ids": sorted(moved)})
        connection.execute(_EVENT, [{**row, **event, "node": node} for row in rows])
    return moved
