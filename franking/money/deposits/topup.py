"""Automatic top-up: charges the saved card when less is available than the customer wants.

One attempt is one pending deposit, of which an account has at most one (`uq_deposit_in_flight`),
and whose reference is the idempotency key: what is interrupted is repeated without a second
charge.  Any number of workers may do this.  What the provider's answer to the charge is worth is
that it was taken; the money is credited when a webhook, or a look of our own, says that it came.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import exists, select
from sqlalchemy.orm import Session

from franking import log
from franking.accounts.models import Account
from franking.money.billing.models import BillingSettings
from franking.money.deposits import automatic, booking, cards, settlement
from franking.money.deposits.deposits import check, describe
from franking.money.deposits.minor_units import to_minor
from franking.money.deposits.models import Deposit, SavedCard
from franking.money.deposits.provider import Ask, Card, CardProvider, Declined, ProviderTrouble
from franking.money.deposits.settlement import Transaction
from franking.money.models import Balance
from franking.reasons import Invalid
from franking.settings import Deposits as Bounds
from franking.settings import Settings

STOP_AFTER = automatic.STOP_AFTER
REPEAT_AFTER = timedelta(minutes=1)
KEY_LASTS = timedelta(hours=20)  # Stripe forgets idempotency keys after 24 hours
BATCH = 20

_in_flight = exists().where(
    Deposit.account_id == BillingSettings.account_id,
    Deposit.automatic,
    Deposit.state == "pending",
)
_DUE = (
    select(BillingSettings.account_id)
    .join(Balance, Balance.account_id == BillingSettings.account_id)
    .join(SavedCard, SavedCard.account_id == BillingSettings.account_id)
    .join(Account, Account.id == BillingSettings.account_id)
    .where(
        BillingSettings.topup_amount > 0,
        Balance.available < BillingSettings.topup_below,
        Account.status == "active",
        ~_in_flight,
    )
)


def check_amount(amount: int, currency: str, bounds: Bounds) -> None:
    """Raises Invalid for an amount that could not be charged."""
    check(amount, currency, bounds, field="topup_amount")


def run(
    transaction: Transaction, provider: CardProvider, settings: Settings, now: datetime
) -> None:
    """Charge whatever is due, and repeat what was interrupted."""
    for deposit_id in _interrupted(transaction, now):
        _charge(transaction, provider, settings, deposit_id, now)
    with transaction() as session:
        due = _DUE.where(automatic.may_try(now)).order_by(BillingSettings.topup_last_at)
        accounts = session.scalars(due.limit(BATCH)).all()
    for account_id in accounts:
        begun = _begin(transaction, account_id, now)
        if begun is not None:
            _charge(transaction, provider, settings, begun, now)


def _begin(transaction: Transaction, account_id: int, now: datetime) -> int | None:
    """The pending deposit, when the account is still due under its settings' lock."""
    with transaction() as session:
        own = session.get_one(BillingSettings, account_id, with_for_update=True)
        this = BillingSettings.account_id == account_id
        due = session.scalar(_DUE.where(this, automatic.may_try(now)))
        if due is None or own.topup_amount is None:
            return None
        deposit = booking.new(session.get_one(Account, account_id), "stripe", own.topup_amount, now)
        deposit.automatic = True
        deposit.checked_at = now
        own.topup_last_at = now
        session.add(deposit)
        session.flush()
        try:
            to_minor(deposit.amount, deposit.currency)
        except Invalid as reason:
            settlement.fail(session, deposit, str(reason), now)
            return None
        return deposit.id


def _interrupted(transaction: Transaction, now: datetime) -> Sequence[int]:
    """Attempts to which there was no answer; those too old to repeat are given up."""
    with transaction() as session:
        rows = session.scalars(
            select(Deposit)
            .where(
                Deposit.automatic,
                Deposit.state == "pending",
                Deposit.provider_reference.is_(None),
                Deposit.checked_at < now - REPEAT_AFTER,
            )
            .order_by(Deposit.id)
            .limit(BATCH)
            .with_for_update(skip_locked=True)
        ).all()
        again = []
        for row in rows:
            row.checked_at = now
            if row.created_at < now - KEY_LASTS:
                settlement.fail(session, row, "The payment provider did not answer.", now)
            else:
                again.append(row.id)
        return again


def _charge(
    transaction: Transaction,
    provider: CardProvider,
    settings: Settings,
    deposit_id: int,
    now: datetime,
) -> None:
    with transaction() as session:
        deposit = session.get_one(Deposit, deposit_id)
        card = _card(session, deposit, now)
    if card is None:
        return
    ask = Ask(
        reference=deposit.reference,
        amount=deposit.amount,
        currency=deposit.currency,
        description=describe(settings, deposit),
        return_url=settings.panel.url,
    )
    try:
        reference = provider.charge(ask, card).provider_reference
    except Declined as reason:
        with transaction() as session:
            row = booking.locked(session, deposit_id)
            row.provider_reference = row.provider_reference or reason.provider_reference
            settlement.fail(session, row, str(reason), now)
    except ProviderTrouble as error:  # whether it was charged is not known: asked again, same key
        log.payment_provider_trouble(provider.name, error)
    else:
        with transaction() as session:
            row = booking.locked(session, deposit_id)
            row.provider_reference = row.provider_reference or reference


def _card(session: Session, deposit: Deposit, now: datetime) -> Card | None:
    saved = cards.card_of(session, deposit.account_id)
    if saved is None or saved.method_reference is None:
        row = booking.locked(session, deposit.id)
        settlement.fail(session, row, "There is no saved card.", now)
        return None
    return cards.as_card(saved)
