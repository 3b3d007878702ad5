"""Money that arrives without a provider telling: bank transfers, cash, goodwill.

A customer who is to pay by bank transfer gets our reference for it; the operator credits what the
bank shows.  The bank's own reference is booked once, however often it is typed.
"""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from franking.accounts import audit
from franking.accounts.models import Account
from franking.db import utcnow
from franking.money.deposits import booking
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import Ask, Started
from franking.reasons import Invalid, NotFound, Taken


class ManualProvider:
    name = "manual"
    title = "Bank transfer"
    saves_cards = False

    def start(self, ask: Ask) -> Started:
        """Nothing to prepare: the reference is enough."""
        del ask
        return Started(None, None)


def credit(
    session: Session,
    account: Account,
    amount: int,
    *,
    reference: str,
    actor: str,
    note: str | None = None,
    asked: str | None = None,
    now: datetime | None = None,
) -> Deposit:
    """Credit `amount` micro-units that arrived under the bank's `reference`.

    `asked` names the customer's pending deposit that this pays, whatever its amount was.
    Raises Taken for a reference that was credited before, Invalid, NotFound.
    """
    if amount <= 0:
        raise Invalid.of("amount", "a deposit must be more than zero")
    if not 0 < len(reference) <= 100:
        raise Invalid.of("reference", "at most 100 characters")
    if note is not None and len(note) > 200:
        raise Invalid.of("note", "at most 200 characters")
    booking.lock(session, account.id)  # the same reference typed twice at once
    known = select(Deposit.id).where(
        Deposit.provider == "manual", Deposit.provider_reference == reference
    )
    if session.scalar(known):
        raise Taken(f"{reference} is booked already")
    at = now or utcnow()
    deposit = _pending(session, account, asked) if asked else _unasked(account, amount, at)
    session.add(deposit)
    deposit.provider_reference = reference
    deposit.note = note or deposit.note
    deposit.paid = amount
    deposit.checked_at = at
    session.flush()
    booking.book(session, deposit, now=at, note=note)
    audit.record(
        session, account.id, actor, "money.topup", amount_micros=amount, reference=reference,
        deposit=deposit.reference,
    )  # fmt: skip
    return deposit


def _unasked(account: Account, amount: int, now: datetime) -> Deposit:
    return booking.new(account, "manual", amount, now)


def _pending(session: Session, account: Account, asked: str) -> Deposit:
    found = session.scalar(
        select(Deposit)
        .where(Deposit.reference == asked, Deposit.account_id == account.id)
        .with_for_update()
    )
    if found is None:
        raise NotFound(f"there is no deposit {asked}")
    if found.provider != "manual" or found.paid:
        raise Taken(f"{asked} is paid already, or not by bank transfer")
    return found
