"""The ledger: the only writer of `balance` and `ledger_entry`.

Double entry: a transfer takes an amount from one book and adds it to another, as two entries with
one reference that sum to zero.  Customers' books are `available` and `held`; the system's are
`revenue`, `deposits`, `refunds` and `adjustments` (kept per account, so that no row is hot).
Entries are never changed or deleted; database triggers refuse it.  A reference is booked once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import BigInteger, Date, bindparam, case, insert, or_, select, update
from sqlalchemy.orm import Session

from franking.db import utcnow
from franking.money.models import Balance, LedgerEntry
from franking.money.periods import counted, day_of, latest, month_of
from franking.reasons import CapReached, InsufficientBalance, Invalid, PriceMoved, Taken

Book = Literal["available", "held", "revenue", "deposits", "refunds", "adjustments"]
NO_FLOOR = 2**62  # a balance may go as far below zero as it must

# Built once: on the way of every message, building a statement costs more than executing it.
_books = Balance.__table__.c
_POST = insert(LedgerEntry.__table__)  # type: ignore[arg-type]


def _number(name: str) -> Any:
    return bindparam(name, type_=BigInteger)


_OURS = (
    _books.account_id == bindparam("b_account_id"),
    _books.held + _number("b_held") >= 0,
)
_ENOUGH = _books.available + _number("b_available") >= -_number("b_floor")
_MOVED = {
    "available": _books.available + _number("b_available"),
    "held": _books.held + _number("b_held"),
}
_MOVE = update(Balance.__table__).where(*_OURS, _ENOUGH).values(_MOVED)  # type: ignore[arg-type]
_SPENT = counted(_books.spent, _books.spent_on, "b_day")
_SENT = counted(_books.volume, _books.period, "b_period")
_WITHIN_CAP = or_(_number("b_held") == 0, _SPENT + _number("b_held") <= _number("b_cap"))
_AS_PRICED = _SENT.between(_number("b_least"), _number("b_most"))
_SPEND = (
    update(Balance.__table__)  # type: ignore[arg-type]
    .where(*_OURS, _ENOUGH, _WITHIN_CAP, _AS_PRICED)
    .values(
        _MOVED
        | {
            "volume": _SENT + _number("b_units"),
            "period": latest(_books.period, "b_period"),
            "spent": _SPENT + _number("b_held"),
            "spent_on": latest(_books.spent_on, "b_day"),
        }
    )
)
_UNSPEND = (
    update(Balance.__table__)  # type: ignore[arg-type]
    .where(_books.account_id == bindparam("b_account_id"))
    .values(
        volume=_books.volume
        - case((_books.period == bindparam("b_period", type_=Date), _number("b_units")), else_=0),
        spent=_books.spent
        - case((_books.spent_on == bindparam("b_day", type_=Date), _number("b_amount")), else_=0),
    )
)
_VOLUME = select(_books.volume, _books.period).where(_books.account_id == bindparam("account_id"))
_LOCKED = _VOLUME.with_for_update()
_WHY = select(_books.available, _books.volume, _books.period, _books.spent, _books.spent_on).where(
    _books.account_id == bindparam("account_id")
)


@dataclass(frozen=True)
class Transfer:
    """`amount` micro-units (> 0) from one book of an account to another."""

    account_id: int
    amount: int
    source: Book
    target: Book
    cause: str
    reference: str
    note: str | None = None
    event_id: int | None = None

    def entries(self, at: datetime) -> list[dict[str, object]]:
        shared = {
            "account_id": self.account_id,
            "cause": self.cause,
            "reference": self.reference,
            "note": self.note,
            "event_id": self.event_id,
            "at": at,
        }
        return [
            {**shared, "book": self.source, "amount": -self.amount},
            {**shared, "book": self.target, "amount": self.amount},
        ]


def open_books(session: Session, account_id: int) -> None:
    """Give a new account its balance of zero."""
    session.execute(insert(Balance).values(account_id=account_id, available=0, held=0))


def post(session: Session, transfers: Sequence[Transfer], now: datetime | None = None) -> None:
    """Write the entries of transfers whose balances the caller moves in the same transaction."""
    at = now or utcnow()
    rows = [row for transfer in transfers if transfer.amount for row in transfer.entries(at)]
    if rows:
        session.connection().execute(_POST, rows)


def move(
    session: Session, account_id: int, *, available: int = 0, held: int = 0, floor: int = 0
) -> None:
    """Add to the running balance; raises InsufficientBalance rather than go below `-floor`.

    What is added is never refused, however far below zero the balance is.
    """
    values = {
        "b_account_id": account_id,
        "b_available": available,
        "b_held": held,
        "b_floor": floor if available < 0 else NO_FLOOR,
    }
    if session.connection().execute(_MOVE, values).rowcount != 1:
        raise InsufficientBalance("Insufficient balance")


@dataclass(frozen=True)
class Price:
    """Of one message; it is that at these volumes of the month, in units (None: at any)."""

    account_id: int
    amount: int
    units: int
    volumes: tuple[int, int] | None = None


def spend(session: Session, price: Price, *, floor: int, cap: int | None, now: datetime) -> None:
    """Hold the price of one message, and count it in the month's volume and the day's spending.

    Raises InsufficientBalance, CapReached when the day's spending would exceed `cap`, PriceMoved.
    """
    least, most = price.volumes or (0, NO_FLOOR)
    month, day = month_of(now), day_of(now)
    values = {
        "b_account_id": price.account_id,
        "b_available": -price.amount,
        "b_held": price.amount,
        "b_floor": floor if price.amount else NO_FLOOR,
        "b_units": price.units,
        "b_cap": NO_FLOOR if cap is None else cap,
        "b_least": least,
        "b_most": most,
        **month.values("b_period"),
        **day.values("b_day"),
    }
    if session.connection().execute(_SPEND, values).rowcount == 1:
        return
    row = session.execute(_WHY, {"account_id": price.account_id}).one()
    if not least <= month.so_far(row.volume, row.period) <= most:
        raise PriceMoved
    if row.available - price.amount < -floor:
        raise InsufficientBalance("Insufficient balance")
    if cap is not None and day.so_far(row.spent, row.spent_on) + price.amount > cap:
        raise CapReached("account")
    raise PriceMoved  # somebody has changed it since: there may be money now


def unspend(session: Session, account_id: int, amount: int, units: int, at: datetime) -> None:
    """Take a message that was given up out of the volume and the spending of its time.

    One that was counted in a later period stays in that.
    """
    values = {
        "b_account_id": account_id,
        "b_amount": amount,
        "b_units": units,
        "b_period": at.date().replace(day=1),
        "b_day": at.date(),
    }
    session.connection().execute(_UNSPEND, values)


def volume(session: Session, account_id: int, now: datetime, *, lock: bool = False) -> int:
    """Units of this month; locked, it stays that until the end of the transaction."""
    statement = _LOCKED if lock else _VOLUME
    count, since = session.connection().execute(statement, {"account_id": account_id}).one()
    return month_of(now).so_far(count, since)


def deposit(
    session: Session,
    account_id: int,
    amount: int,
    *,
    reference: str,
    note: str | None = None,
    now: datetime | None = None,
) -> None:
    """Credit `amount` micro-units; the same reference a second time raises Taken."""
    if amount <= 0:
        raise Invalid("a deposit must be more than zero")
    transfer = Transfer(
        account_id, amount, "deposits", "available", "deposit", f"deposit:{reference}", note
    )
    book(session, transfer, now)


def reverse_deposit(
    session: Session,
    account_id: int,
    amount: int,
    *,
    reference: str,
    note: str | None = None,
    now: datetime | None = None,
) -> None:
    """Take a payment back, below zero if it has been spent; the same reference raises Taken."""
    if amount <= 0:
        raise Invalid("a reversal must be more than zero")
    transfer = Transfer(
        account_id, amount, "available", "deposits", "reversal", f"reversal:{reference}", note
    )
    book(session, transfer, now)


def adjust(
    session: Session,
    account_id: int,
    amount: int,
    *,
    reference: str,
    note: str,
    now: datetime | None = None,
) -> None:
    """Correct a balance by hand: add `amount`, or take it when negative, below zero if need be."""
    if amount == 0:
        raise Invalid("an adjustment of nothing")
    books: tuple[Book, Book] = ("adjustments", "available")
    source, target = books if amount > 0 else books[::-1]
    transfer = Transfer(
        account_id, abs(amount), source, target, "adjustment", f"adjustment:{reference}", note
    )
    book(session, transfer, now)


def charge_fee(
    session: Session, account_id: int, amount: int, *, reference: str, note: str | None = None,
    now: datetime | None = None,
) -> None:  # fmt: skip
    """A fee of the plan, below zero if need be; the same reference raises Taken."""
    transfer = Transfer(account_id, amount, "available", "revenue", "fee", f"fee:{reference}", note)
    book(session, transfer, now)


def book(session: Session, transfer: Transfer, now: datetime | None = None) -> None:
    """Move the balance and write the entries of one transfer that no message makes.

    Raises Taken when its reference is booked already, and has then changed nothing.
    """
    # Whoever books the same reference meanwhile waits here, and then finds it.
    session.connection().execute(_LOCKED, {"account_id": transfer.account_id}).one()
    if booked(session, transfer.reference):
        raise Taken(f"{transfer.reference} is booked already")
    delta = {transfer.source: -transfer.amount, transfer.target: transfer.amount}
    available, held = delta.get("available", 0), delta.get("held", 0)
    move(session, transfer.account_id, available=available, held=held, floor=NO_FLOOR)
    post(session, [transfer], now)


def booked(session: Session, reference: str) -> bool:
    """Whether there are entries with this reference, its cause before it: `deposit:manual/7`."""
    query = select(LedgerEntry.id).where(LedgerEntry.reference == reference).limit(1)
    return session.scalar(query) is not None


def balance(session: Session, account_id: int) -> Balance:
    return session.get_one(Balance, account_id)
