"""How reservations end: captured, voided or unknown, from evidence or by an operator's verdict.

The worker's transaction begins with `leave` and ends with `book`: from there to the commit,
everybody who sends for one of these accounts waits.  A reservation leaves `reserved` exactly once
(`WHERE state = 'reserved'`), and its entries are posted in the same transaction, so a replayed log
changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import bindparam, update
from sqlalchemy.orm import Session

from franking.accounts import spending
from franking.money import ledger
from franking.money.models import Reservation
from franking.money.statements import usage
from franking.reasons import Invalid, NotFound

Settled = Literal["captured", "voided", "unknown"]

_columns = Reservation.__table__.c
_LEAVE = (
    update(Reservation.__table__)  # type: ignore[arg-type]
    .where(
        _columns.queue_id.in_(bindparam("queue_ids", expanding=True)),
        _columns.node == bindparam("b_node"),
        _columns.state == bindparam("b_from"),
    )
    .values(
        state=bindparam("b_state"),
        evidence=bindparam("b_evidence"),
        settled_at=bindparam("b_settled_at"),
    )
    .returning(
        _columns.queue_id, _columns.account_id, _columns.amount, _columns.units,
        _columns.reserved_at, _columns.capped_credential_id,
    )
)  # fmt: skip


@dataclass(frozen=True)
class Settlement:
    """Reservations that have left `reserved`, by queue ID; their money is still to be booked."""

    node: str
    rows: Mapping[str, Any]
    states: Mapping[str, Settled]

    def now(self, state: Settled) -> list[str]:
        """The queue IDs of those that are in this state now."""
        return [queue_id for queue_id in self.rows if self.states[queue_id] == state]


def leave(
    session: Session, node: str, changes: Mapping[str, tuple[Settled, str]], now: datetime
) -> Settlement:
    """Apply `queue_id → (new state, evidence)` to those that are still open; `book` must follow."""
    moved = _leave(session, node, changes, now, "reserved")
    return Settlement(node, moved, {queue_id: changes[queue_id][0] for queue_id in moved})


def book(session: Session, settlement: Settlement, now: datetime) -> None:
    """Move the money of what was settled, as the last act before the commit."""
    balances: dict[int, tuple[int, int]] = {}
    transfers = []
    for queue_id, row in settlement.rows.items():
        state = settlement.states[queue_id]
        if state == "unknown":
            continue
        back = row.amount if state == "voided" else 0
        available, held = balances.get(row.account_id, (0, 0))
        balances[row.account_id] = (available + back, held - row.amount)
        transfers.append(_settlement(settlement.node, row, state))
    ledger.post(session, transfers, now)
    for account_id, (available, held) in sorted(balances.items()):  # one lock order: no deadlock
        ledger.move(session, account_id, available=available, held=held)
    voided = [settlement.rows[queue_id] for queue_id in settlement.now("voided")]
    for row in sorted(voided, key=lambda row: (row.account_id, row.capped_credential_id or 0)):
        _uncount(session, row)
    usage.record(session, settlement.node, settlement.now("captured"), now)


def settle(
    session: Session, node: str, changes: Mapping[str, tuple[Settled, str]], now: datetime
) -> set[str]:
    """Both at once; returns the queue IDs that were still open."""
    settlement = leave(session, node, changes, now)
    book(session, settlement, now)
    return set(settlement.rows)


def give_up_waiting(
    session: Session, node: str, reasons: Mapping[str, str], now: datetime
) -> set[str]:
    """waiting → voided for these queue IDs, each with why; returns those that did wait."""
    changes: dict[str, tuple[Settled, str]] = {
        queue_id: ("voided", why) for queue_id, why in reasons.items()
    }
    return set(_leave(session, node, changes, now, "waiting"))


def _leave(
    session: Session,
    node: str,
    changes: Mapping[str, tuple[Settled, str]],
    now: datetime,
    source: Literal["reserved", "waiting"],
) -> dict[str, Any]:
    """queue ID → row of those that were in that state; one statement per kind of change."""
    alike: defaultdict[tuple[Settled, str], list[str]] = defaultdict(list)
    for queue_id in sorted(changes):  # one lock order: no deadlock
        alike[changes[queue_id]].append(queue_id)
    moved: dict[str, Any] = {}
    for (state, evidence), queue_ids in sorted(alike.items()):
        values = {
            "queue_ids": queue_ids,
            "b_node": node,
            "b_from": source,
            "b_state": state,
            "b_evidence": evidence[:200],
            "b_settled_at": now,
        }
        for row in session.connection().execute(_LEAVE, values):
            moved[row.queue_id] = row
    return moved


def _uncount(session: Session, row: Any) -> None:
    """Voided: its units and its price count for no volume and no cap."""
    ledger.unspend(session, row.account_id, row.amount, row.units, row.reserved_at)
    if row.capped_credential_id is not None:
        spending.give_back(session, row.capped_credential_id, row.amount, row.reserved_at)


def _settlement(node: str, row: Any, state: str) -> ledger.Transfer:
    name = f"{node}/{row.queue_id}"
    if state == "captured":
        books: tuple[ledger.Book, str, str] = ("revenue", "capture", f"capture:{name}")
    else:
        books = ("available", "void", f"void:{name}")
    return ledger.Transfer(row.account_id, row.amount, "held", *books)


def settle_unknown(
    session: Session, node: str, queue_id: str, state: Literal["captured", "voided"],
    *, note: str, now: datetime,
) -> Reservation:  # fmt: skip
    """An operator's verdict on a reservation that evidence could not settle.

    Raises NotFound, or Invalid when it is not unknown.  The message itself is for the caller,
    before this (`franking.mail.events.record_voided`).
    """
    row = session.get(Reservation, (queue_id, node), with_for_update=True, populate_existing=True)
    if row is None:
        raise NotFound(f"there is no reservation for {queue_id!r} on node {node!r}")
    if row.state != "unknown":
        raise Invalid(f"the reservation for {queue_id!r} is {row.state}, not unknown")
    row.state, row.settled_at, row.evidence = state, now, f"operator: {note}"[:200]
    session.flush()
    book(session, Settlement(node, {queue_id: row}, {queue_id: state}), now)
    return row
