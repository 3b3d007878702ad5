"""Payments that customers begin, and what the operator does about them.

`begin` talks to the provider, which may take seconds, so it is given a way to open transactions
instead of one: the row is there before the provider is asked, and a payment that is interrupted
leaves a pending row, which expires.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.orm import Session

from franking import log
from franking.accounts import audit
from franking.accounts.models import Account
from franking.db import utcnow
from franking.money.amounts import MICRO, format_amount
from franking.money.deposits import booking, cards, settlement
from franking.money.deposits.minor_units import to_minor
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import (
    Ask,
    Declined,
    Provider,
    ProviderTrouble,
    Started,
    Unavailable,
)
from franking.money.deposits.settlement import Transaction
from franking.reasons import Invalid, NotFound
from franking.settings import Deposits as Bounds
from franking.settings import Settings

MANUAL_WAITS = timedelta(days=60)
ONLINE_WAITS = timedelta(days=7)  # a bank's direct debit takes that long
MOST_PENDING = 10  # of an account; each is asked about again and again


def begin(
    transaction: Transaction,
    settings: Settings,
    provider: Provider,
    account_id: int,
    amount: int,
    *,
    actor: str,
    save_card: bool = False,
    now: datetime | None = None,
) -> Deposit:
    """Ask a provider for a payment of `amount` micro-units; the customer then goes to `pay_url`.

    Raises Invalid for an amount that cannot be paid, or when too many payments are pending already,
    Unavailable when the provider refuses or does not answer.
    """
    at = now or utcnow()
    with transaction() as session:
        account = session.get_one(Account, account_id)
        check(amount, account.plan.currency, settings.deposits)
        _check_pending(session, account_id, at)
        deposit = booking.new(account, provider.name, amount, at)
        session.add(deposit)
        saved = cards.card_of(session, account_id)
        audit.record(
            session, account_id, actor, "deposit.begin", reference=deposit.reference,
            provider=provider.name, amount_micros=amount,
        )  # fmt: skip
        ask = Ask(
            reference=deposit.reference,
            amount=amount,
            currency=deposit.currency,
            description=describe(settings, deposit),
            return_url=f"{settings.panel.url}/payments/{deposit.reference}?returned=1",
            save_card=save_card and provider.saves_cards,
            card=cards.as_card(saved) if saved else None,
        )
    try:
        started = provider.start(ask)
    except (ProviderTrouble, Declined) as error:
        log.payment_provider_trouble(provider.name, error)
        with transaction() as session:
            row = booking.locked(session, deposit.id)
            settlement.fail(session, row, "The payment could not be begun.", at)
        raise Unavailable(
            f"{provider.title}: the payment provider does not take payments at present."
            " Nothing was charged; try again later, or pay in another way."
        ) from error
    return _started(transaction, deposit.id, started)


def check(amount: int, currency: str, bounds: Bounds, field: str = "amount") -> None:
    """Raises Invalid for what is too small, too large, or finer than can be paid."""
    least, most = (int(bound * MICRO) for bound in (bounds.smallest, bounds.largest))
    if amount < least:
        raise Invalid.of(field, f"at least {format_amount(least, currency)}")
    if amount > most:
        raise Invalid.of(field, f"at most {format_amount(most, currency)}")
    try:
        to_minor(amount, currency)
    except Invalid as reason:
        raise Invalid.of(field, str(reason)) from reason


def overdue(now: datetime) -> ColumnElement[bool]:
    """Nobody will pay these any more."""
    manual = Deposit.provider == "manual"
    return (manual & (Deposit.created_at < now - MANUAL_WAITS)) | (
        ~manual & (Deposit.created_at < now - ONLINE_WAITS)
    )


def _check_pending(session: Session, account_id: int, now: datetime) -> None:
    """Of those that customers begin; raises Invalid."""
    booking.lock(session, account_id)  # several begun at once
    pending = select(func.count()).where(
        Deposit.account_id == account_id,
        Deposit.state == "pending",
        ~Deposit.automatic,
        ~overdue(now),
    )
    if session.scalars(pending).one() >= MOST_PENDING:
        raise Invalid(
            f"{MOST_PENDING} payments have been begun and not paid yet. Open one of them in the"
            f" list and pay that one, or wait until one expires: {ONLINE_WAITS.days} days after it"
            f" was begun, a bank transfer {MANUAL_WAITS.days} days after."
        )


def describe(settings: Settings, deposit: Deposit) -> str:
    """What stands on the payment page and on receipts."""
    return f"{settings.brand.name} prepaid balance, {deposit.reference}"


def _started(transaction: Transaction, deposit_id: int, started: Started) -> Deposit:
    """A webhook may have come meanwhile: what it found stays."""
    with transaction() as session:
        row = booking.locked(session, deposit_id)
        row.provider_reference = row.provider_reference or started.provider_reference
        row.pay_url = started.pay_url
        return row


def listed(
    session: Session,
    account_id: int | None = None,
    *,
    state: str | None = None,
    before_id: int | None = None,
    limit: int = 50,
) -> Sequence[Deposit]:
    """Newest first, of one account or of all."""
    query = select(Deposit)
    if account_id is not None:
        query = query.where(Deposit.account_id == account_id)
    if state is not None:
        query = query.where(Deposit.state == state)
    if before_id is not None:
        query = query.where(Deposit.id < before_id)
    return session.scalars(query.order_by(Deposit.id.desc()).limit(limit)).all()


def get(session: Session, account: Account | None, reference: str) -> Deposit:
    """Of this account; None: of any, for the operator."""
    query = select(Deposit).where(Deposit.reference == reference)
    if account is not None:
        query = query.where(Deposit.account_id == account.id)
    found = session.scalar(query)
    if found is None:
        raise NotFound(f"there is no deposit {reference}")
    return found


def reverse(
    session: Session,
    deposit: Deposit,
    amount: int | None = None,
    *,
    note: str,
    actor: str,
    now: datetime | None = None,
) -> int:
    """Take back what was credited, or `amount` micro-units of it; returns how much.

    The customer's balance may fall below zero.  Not for Stripe, where the money is sent back and
    the ledger follows by itself.  Raises Invalid.
    """
    row = booking.locked(session, deposit.id)
    if row.provider == "stripe":
        raise Invalid("refund it at Stripe; it is taken back here by itself")
    if not note.strip() or len(note) > 200:
        raise Invalid.of("note", "say why, in at most 200 characters")
    wanted = row.credited if amount is None else amount
    if not 0 < wanted <= row.credited:
        raise Invalid.of(
            "amount", f"{format_amount(row.credited, row.currency)} of it are credited"
        )
    row.reversed += wanted
    booking.book(session, row, now=now or utcnow(), note=note)
    audit.record(
        session, row.account_id, actor, "deposit.reverse", reference=row.reference,
        amount_micros=wanted, note=note,
    )  # fmt: skip
    return wanted
