"""Reservations: money set aside for one queue file, then captured or given back, once.

    nothing ──reserve──▶ reserved ──┬─▶ captured   held → revenue
       │                     ▲      ├─▶ voided     held → available
       │                   fund     └─▶ unknown    stays held; an operator settles it
       └────wait────▶ waiting ──────▶ voided       no money had moved

`reserve` runs in the milter's last transaction; how reservations end is in `settling`.  `waiting`
is a message that was accepted on an empty balance (`on_empty = hold`): `fund` pays for it before
it is released.

The balance is moved by the last statement before the commit, because from there on everybody else
who sends for the account waits.  The price is worked out before, from a volume of the month that
nobody has locked, and the statement that moves the balance checks that it still holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from franking.accounts import spending
from franking.money import ledger
from franking.money.models import Reservation
from franking.money.pricing import Quote, Tariff

_columns = Reservation.__table__.c
_RESERVE = insert(Reservation.__table__)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Bounds:
    """What a message may not exceed; None is no bound.  Micro-units.

    `floor`: how far below zero the balance may go.  `account_cap`: what the account's messages of
    one day (UTC) may cost.  `credential_cap`: the same for a credential, its ID first.
    """

    floor: int = 0
    account_cap: int | None = None
    credential_cap: tuple[int, int] | None = None


MARGIN = 1000  # units that others may use up between our look at the volume and our commit
UNBOUND = Bounds(floor=ledger.NO_FLOOR)


@dataclass(frozen=True)
class Purchase:
    """What the price of one queue file depends on."""

    node: str
    queue_id: str
    account_id: int
    units: int
    tariff: Tariff
    bounds: Bounds = Bounds()


@dataclass(frozen=True)
class Offer:
    """A price, and the volumes of the month (in units) at which it is the price."""

    quote: Quote
    volumes: tuple[int, int] | None = None


def offer(session: Session, purchase: Purchase, now: datetime) -> Offer:
    """What it costs.  The balance is locked for that only where another price is near."""
    tariff, units = purchase.tariff, purchase.units
    if tariff.flat:
        return Offer(tariff.quote(units, 0))
    so_far = ledger.volume(session, purchase.account_id, now)
    least, most = max(0, so_far - MARGIN), so_far + MARGIN
    quote = tariff.quote(units, so_far)
    if tariff.quote(units, least) == quote == tariff.quote(units, most):
        return Offer(quote, (least, most))
    so_far = ledger.volume(session, purchase.account_id, now, lock=True)
    return Offer(tariff.quote(units, so_far), (so_far, so_far))


def reserve(session: Session, purchase: Purchase, offered: Offer, now: datetime) -> None:
    """Set the price aside, as the last act before the commit.

    Raises InsufficientBalance, CapReached, or PriceMoved, after which the caller rolls back;
    IntegrityError for a queue ID seen before.
    """
    amount = offered.quote.amount
    _insert(session, purchase, offered.quote, "reserved", now)
    transfer = _reservation(purchase.node, purchase.queue_id, purchase.account_id, amount)
    ledger.post(session, [transfer], now)
    price = ledger.Price(purchase.account_id, amount, purchase.units, offered.volumes)
    _spend(session, price, purchase.bounds, now)


def wait(session: Session, purchase: Purchase, offered: Offer, now: datetime) -> None:
    """Record what it costs now; `fund` takes the money later."""
    _insert(session, purchase, offered.quote, "waiting", now)


def fund(session: Session, node: str, queue_id: str, bounds: Bounds, now: datetime) -> bool:
    """Take the money for a message that waits for it: waiting → reserved; False if it does not.

    Raises what `reserve` raises.
    """
    row = session.get(Reservation, (queue_id, node), with_for_update=True, populate_existing=True)
    if row is None or row.state != "waiting":
        return False
    row.state, row.reserved_at = "reserved", now
    row.capped_credential_id = bounds.credential_cap and bounds.credential_cap[0]
    session.flush()
    ledger.post(session, [_reservation(node, queue_id, row.account_id, row.amount)], now)
    _spend(session, ledger.Price(row.account_id, row.amount, row.units), bounds, now)
    return True


def _spend(session: Session, price: ledger.Price, bounds: Bounds, now: datetime) -> None:
    ledger.spend(session, price, floor=bounds.floor, cap=bounds.account_cap, now=now)
    if bounds.credential_cap is not None:
        credential_id, most = bounds.credential_cap
        spending.spend(session, credential_id, price.amount, most, now)


def _insert(session: Session, purchase: Purchase, quote: Quote, state: str, now: datetime) -> None:
    first = quote.parts[0]
    counted = purchase.bounds.credential_cap if state == "reserved" else None
    row = {
        "node": purchase.node,
        "queue_id": purchase.queue_id,
        "account_id": purchase.account_id,
        "capped_credential_id": counted and counted[0],
        "amount": quote.amount,
        "units": purchase.units,
        "tier": first.tier,
        "unit_price": first.unit_price,
        "price_list_id": purchase.tariff.price_list_id,
        "parts": None
        if len(quote.parts) == 1
        else [[part.units, part.tier, part.unit_price] for part in quote.parts],
        "state": state,
        "reserved_at": now,
    }
    session.connection().execute(_RESERVE, row)


def _reservation(node: str, queue_id: str, account_id: int, amount: int) -> ledger.Transfer:
    reference = f"reserve:{node}/{queue_id}"
    return ledger.Transfer(account_id, amount, "available", "held", "reservation", reference)


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


def waiting_before(
    session: Session, node: str, moment: datetime, since: datetime | None, limit: int = 1000
) -> Sequence[Reservation]:
    """Of this node, those that wait for money since before `moment`, and not before `since`."""
    query = select(Reservation).where(
        Reservation.state == "waiting",
        Reservation.node == node,
        Reservation.reserved_at < moment,
    )
    if since is not None:
        query = query.where(Reservation.reserved_at >= since)
    return session.scalars(query.order_by(Reservation.reserved_at).limit(limit)).all()


def listed(session: Session, state: str, limit: int = 100) -> Sequence[Reservation]:
    """Those in one state on all nodes, oldest first."""
    query = select(Reservation).where(Reservation.state == state)
    return session.scalars(query.order_by(Reservation.reserved_at).limit(limit)).all()


def of_message(session: Session, node: str, queue_id: str) -> Reservation | None:
    return session.get(Reservation, (queue_id, node))
