"""Refunds: what the relay itself failed to deliver is given back, as far as the plan's terms say.

    expired   it came to its end in our queue
    blocked   a server refused the relay's own address (`franking.mail.bounce_classes`)

What a server refused because of the recipient, the sender or the content is never given back, nor
what an operator deleted.  A message with one price gets it back when all recipients that were
written to have ended so.  One that was charged by recipient gets a unit back for each of them, the
last first: it then costs what it would have cost without that recipient, and all of them together
are exactly what was paid.

Each unit is given back once, because the unit's number is in the transfer's reference; so looking
at a message again changes nothing.  Called in the transaction that writes the event, behind it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from sqlalchemy import BigInteger, bindparam, select, update
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.mail.bounce_classes import classify
from franking.mail.events import EXPIRED
from franking.mail.models import Event, Message, Recipient
from franking.money import ledger
from franking.money.models import Balance, LedgerEntry, Plan, Reservation
from franking.money.statements import usage
from franking.money.terms import RefundFor, terms_of
from franking.reasons import Invalid, NotFound

_messages = Message.__table__.c
_THESE = (
    Message.queue_id.in_(bindparam("queue_ids", expanding=True)),
    Message.node == bindparam("node"),
)
_LOCK_MESSAGES = (
    select(Message.queue_id).where(*_THESE).order_by(Message.queue_id).with_for_update()
)
_LOCK_BALANCES = (
    select(Balance.account_id)
    .where(Balance.account_id.in_(select(Message.account_id).where(*_THESE)))
    .order_by(Balance.account_id)
    .with_for_update()
)
_PAID = (
    select(
        Reservation.queue_id, Reservation.account_id, Reservation.amount, Reservation.units,
        Reservation.unit_price, Reservation.parts, Message.refunded, Plan.terms,
    )
    .join(
        Message,
        (Message.queue_id == Reservation.queue_id) & (Message.node == Reservation.node),
    )
    .join(Account, Account.id == Reservation.account_id)
    .join(Plan, Plan.id == Account.plan_id)
    .where(*_THESE, Reservation.state == "captured")
    .order_by(Reservation.queue_id)
)  # fmt: skip
_WRITTEN_TO = select(Recipient.queue_id).where(
    Recipient.queue_id.in_(bindparam("queue_ids", expanding=True)),
    Recipient.node == bindparam("node"),
    Recipient.status != "suppressed",
)
_FAILED = (
    select(
        Event.queue_id, Event.id, Event.kind, Event.enhanced_code, Event.smtp_code, Event.reply,
    )
    .where(
        Event.queue_id.in_(bindparam("queue_ids", expanding=True)),
        Event.node == bindparam("node"),
        Event.kind.in_(("bounced", "expired")),
        Event.attempt > 0,  # what a report says came after a delivery
    )
    .order_by(Event.id)
)  # fmt: skip
_BOOKED = select(LedgerEntry.reference).where(
    LedgerEntry.reference.in_(bindparam("references", expanding=True)),
    LedgerEntry.book == "available",
)
_ADD = (
    update(Message.__table__)  # type: ignore[arg-type]
    .where(_messages.queue_id == bindparam("b_queue_id"), _messages.node == bindparam("b_node"))
    .values(refunded=_messages.refunded + bindparam("b_amount", type_=BigInteger))
)


class Failure(NamedTuple):
    """A recipient's end that is the relay's own doing, by the event that tells of it."""

    event_id: int
    why: RefundFor


class Unit(NamedTuple):
    """One unit of a message that is due; `number` counts from the end, from 1."""

    number: int
    amount: int
    failure: Failure


def why_refundable(
    kind: str, enhanced_code: str | None, smtp_code: int | None, reply: str | None
) -> RefundFor | None:
    """What an end is in a plan's terms; None when it was not the relay's fault."""
    if kind == "expired":  # also said of what an operator has deleted, with no code
        return "expired" if enhanced_code == EXPIRED else None
    if kind == "bounced" and classify(enhanced_code, smtp_code, reply).ours:
        return "blocked"
    return None


def lock(session: Session, node: str, queue_ids: Collection[str]) -> None:
    """Take these messages, and then the balances of their accounts."""
    if queue_ids:
        asked = {"queue_ids": sorted(queue_ids), "node": node}
        session.execute(_LOCK_MESSAGES, asked).all()
        session.execute(_LOCK_BALANCES, asked).all()


def give_back(
    session: Session, node: str, queue_ids: Collection[str], now: datetime
) -> dict[str, int]:
    """Refund what is due of these messages by now: queue ID → micro-units, where it is anything."""
    if not queue_ids:
        return {}
    lock(session, node, queue_ids)
    asked = {"queue_ids": sorted(queue_ids), "node": node}
    paid = session.execute(_PAID, asked).all()
    written_to: defaultdict[str, int] = defaultdict(int)
    for queue_id in session.scalars(_WRITTEN_TO, asked):
        written_to[queue_id] += 1
    failed: defaultdict[str, list[Failure]] = defaultdict(list)
    for event in session.execute(_FAILED, asked):
        if why := why_refundable(event.kind, event.enhanced_code, event.smtp_code, event.reply):
            failed[event.queue_id].append(Failure(event.id, why))
    transfers: list[ledger.Transfer] = []
    back: dict[str, int] = {}
    for row in paid:
        units = due(row, written_to[row.queue_id], failed[row.queue_id])
        made = list(_transfers(row, node, _not_booked(session, row, node, units)))
        if amount := sum(transfer.amount for transfer in made):
            transfers += made
            back[row.queue_id] = amount
    _book(session, node, transfers, back, now)
    return back


def due(row: Any, written_to: int, failures: list[Failure]) -> Iterator[Unit]:
    """The units to give back, whether they have been or not; `row` is one of `_PAID`.

    A failure that the terms leave out has its unit all the same, so that a unit's failure does not
    change with the terms.
    """
    refunds = terms_of(row.terms).refunds
    if row.units != written_to:  # one price for all
        if len(failures) == written_to and all(each.why in refunds for each in failures):
            yield Unit(1, row.amount, failures[-1])
        return
    for number, (price, failure) in enumerate(zip(_from_the_end(row), failures, strict=False), 1):
        if failure.why in refunds:
            yield Unit(number, price, failure)


def _from_the_end(row: Any) -> Iterator[int]:
    """The price of each unit, the last first."""
    for units, _tier, price in reversed(row.parts or [[row.units, 0, row.unit_price]]):
        for _ in range(units):
            yield price


def _reference(node: str, queue_id: str, part: int | str) -> str:
    return f"refund:{node}/{queue_id}/{part}"


def _not_booked(session: Session, row: Any, node: str, wanted: Iterable[Unit]) -> list[Unit]:
    units = {_reference(node, row.queue_id, unit.number): unit for unit in wanted}
    if row.refunded and units:
        for reference in session.scalars(_BOOKED, {"references": list(units)}):
            del units[reference]
    return list(units.values())


def _transfers(row: Any, node: str, units: Iterable[Unit]) -> Iterator[ledger.Transfer]:
    """Never more than was paid: an operator may have given the rest back."""
    left = row.amount - row.refunded
    for unit in units:
        amount = min(unit.amount, left)
        left -= amount
        if amount:
            reference = _reference(node, row.queue_id, unit.number)
            yield _transfer(row.account_id, amount, reference, unit.failure.why, unit.failure)


def _transfer(
    account_id: int, amount: int, reference: str, note: str, failure: Failure | None = None
) -> ledger.Transfer:
    return ledger.Transfer(
        account_id, amount, "refunds", "available", "refund", reference,
        note=note[:200], event_id=failure and failure.event_id,
    )  # fmt: skip


def _book(
    session: Session,
    node: str,
    transfers: list[ledger.Transfer],
    back: Mapping[str, int],
    now: datetime,
) -> None:
    if not transfers:
        return
    accounts: defaultdict[int, int] = defaultdict(int)
    for transfer in transfers:
        accounts[transfer.account_id] += transfer.amount
    for account_id, amount in sorted(accounts.items()):
        ledger.move(session, account_id, available=amount)
    rows = [
        {"b_queue_id": queue_id, "b_node": node, "b_amount": amount}
        for queue_id, amount in sorted(back.items())
    ]
    session.connection().execute(_ADD, rows)
    ledger.post(session, transfers, now)
    usage.refunded(session, node, back, now)


def give_back_rest(session: Session, node: str, queue_id: str, *, note: str, now: datetime) -> int:
    """An operator's goodwill: all that a message still costs; returns how much that was.

    Raises NotFound, or Invalid when there is nothing to give back.
    """
    lock(session, node, [queue_id])
    row = session.execute(_PAID, {"queue_ids": [queue_id], "node": node}).one_or_none()
    if row is None:
        known = session.get(Message, (queue_id, node))
        if known is None:
            raise NotFound(f"there is no message {queue_id!r} on node {node!r}")
        raise Invalid(f"the message {queue_id!r} is not charged; there is nothing to give back")
    left: int = row.amount - row.refunded
    if not left:
        raise Invalid(f"the message {queue_id!r} has cost nothing, or all of it was given back")
    transfer = _transfer(row.account_id, left, _reference(node, queue_id, "rest"), note)
    _book(session, node, [transfer], {queue_id: left}, now)
    return left
