"""Reservations: money set aside for one queue file, then captured or given back, once.

    nothing ──reserve──▶ reserved ──┬─▶ captured   held → revenue
                                    ├─▶ voided     held → available
                                    └─▶ unknown    stays held; an operator settles it

`reserve` runs in the milter's last transaction, `settle` in the worker's.  A reservation leaves
`reserved` exactly once (`WHERE state = 'reserved'`), and its entries are posted in the same
transaction, so a replayed log changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from sqlalchemy import bindparam, insert, select, update
from sqlalchemy.orm import Session

from franking.money import ledger
from franking.money.models import Reservation

Settled = Literal["captured", "voided", "unknown"]

_columns = Reservation.__table__.c
_RESERVE = insert(Reservation.__table__)  # type: ignore[arg-type]
_LEAVE_RESERVED = (
    update(Reservation.__table__)  # type: ignore[arg-type]
    .where(
        _columns.queue_id.in_(bindparam("queue_ids", expanding=True)),
        _columns.node == bindparam("b_node"),
        _columns.state == "reserved",
    )
    .values(
        state=bindparam("b_state"),
        evidence=bindparam("b_evidence"),
        settled_at=bindparam("b_settled_at"),
    )
    .returning(_columns.queue_id, _columns.account_id, _columns.amount)
)


def reserve(
    session: Session,
    *,
    node: str,
    queue_id: str,
    account_id: int,
    amount: int,
    unit_price: int,
    price_tier_id: int,
    now: datetime,
) -> None:
    """Set `amount` aside; raises InsufficientBalance, or IntegrityError for a queue ID seen before.

    The caller must have inserted nothing yet that it would want to keep when this raises.
    """
    ledger.move(session, account_id, available=-amount, held=amount)
    row = {
        "node": node,
        "queue_id": queue_id,
        "account_id": account_id,
        "amount": amount,
        "unit_price": unit_price,
        "price_tier_id": price_tier_id,
        "state": "reserved",
        "reserved_at": now,
    }
    session.connection().execute(_RESERVE, row)
    reference = f"reserve:{node}/{queue_id}"
    transfer = ledger.Transfer(account_id, amount, "available", "held", "reservation", reference)
    ledger.post(session, [transfer], now)


def settle(
    session: Session, node: str, changes: Mapping[str, tuple[Settled, str]], now: datetime
) -> set[str]:
    """Apply `queue_id → (new state, evidence)`; returns the queue IDs that were still open."""
    moved = _leave_reserved(session, node, changes, now)
    transfers: list[ledger.Transfer] = []
    balances: dict[int, tuple[int, int]] = {}
    for queue_id, (account_id, amount) in moved.items():
        state = changes[queue_id][0]
        if state == "unknown":
            continue
        back = amount if state == "voided" else 0
        available, held = balances.get(account_id, (0, 0))
        balances[account_id] = (available + back, held - amount)
        transfers.append(_settlement(node, queue_id, account_id, amount, state))
    for account_id, (available, held) in sorted(balances.items()):  # one lock order: no deadlock
        ledger.move(session, account_id, available=available, held=held)
    ledger.post(session, transfers, now)
    return set(moved)


def _leave_reserved(
    session: Session, node: str, changes: Mapping[str, tuple[Settled, str]], now: datetime
) -> dict[str, tuple[int, int]]:
    """queue ID → (account, amount) of those that were open; one statement per kind of change."""
    alike: defaultdict[tuple[Settled, str], list[str]] = defaultdict(list)
    for queue_id in sorted(changes):  # one lock order: no deadlock
        alike[changes[queue_id]].append(queue_id)
    moved: dict[str, tuple[int, int]] = {}
    for (state, evidence), queue_ids in sorted(alike.items()):
        values = {
            "queue_ids": queue_ids,
            "b_node": node,
            "b_state": state,
            "b_evidence": evidence[:200],
            "b_settled_at": now,
        }
        for row in session.connection().execute(_LEAVE_RESERVED, values):
            moved[row.queue_id] = (row.account_id, row.amount)
    return moved


def _settlement(
    node: str, queue_id: str, account_id: int, amount: int, state: str
) -> ledger.Transfer:
    if state == "captured":
        return ledger.Transfer(
            account_id, amount, "held", "revenue", "capture", f"capture:{node}/{queue_id}"
        )
    return ledger.Transfer(
        account_id, amount, "held", "available", "void", f"void:{node}/{queue_id}"
    )


def open_before(
    session: Session, node: str, moment: datetime, limit: int = 1000
) -> Sequence[Reservation]:
    """Reservations of this node still open that were made before `moment`, oldest first."""
    return session.scalars(
        select(Reservation)
        .where(
            Reservation.state == "reserved",
            Reservation.node == node,
            Reservation.reserved_at < moment,
        )
        .order_by(Reservation.reserved_at)
        .limit(limit)
    ).all()


def of_message(session: Session, node: str, queue_id: str) -> Reservation | None:
    return session.get(Reservation, (queue_id, node))
