"""What a provider says about a payment becomes what is booked.

    webhook ─▶ is it a repeat? ─▶ ask the provider how the payment stands ─▶ book the difference
               (transaction)            (no transaction)                       (transaction)

An answer is applied only to the version of the row that was read before the question.  So it is
never older than the answer before it, and it makes no difference in which order webhooks arrive,
how often, or whether several processes work on them at once; a lost one is made up for by
`refresh`.  A webhook counts as handled (`ProviderEvent`) in the transaction that booked it.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy import ColumnElement, select
from sqlalchemy.orm import Session

from franking import log
from franking.accounts.models import Account
from franking.db import utcnow
from franking.money.deposits import automatic, booking, cards
from franking.money.deposits.models import Deposit, ProviderEvent
from franking.money.deposits.provider import Known, OnlineProvider, ProviderTrouble, Standing, Told

Transaction = Callable[[], AbstractContextManager[Session]]
ATTEMPTS = 5  # others keep changing the row meanwhile


def apply(
    transaction: Transaction, provider: OnlineProvider, told: Told, now: datetime | None = None
) -> Deposit | None:
    """Handle a webhook once; None when it is a repeat, or about nothing of ours.

    Raises ProviderTrouble when the provider cannot be asked: nothing is changed, and the webhook
    is to be sent again.
    """
    if told.about == Known():
        return None
    return _settled(transaction, provider, told.about, told, now or utcnow())


def refresh(
    transaction: Transaction, provider: OnlineProvider, deposit: Deposit, now: datetime
) -> Deposit | None:
    """Ask about a deposit without having been told anything.  Raises ProviderTrouble."""
    return _settled(transaction, provider, Known(deposit.reference), None, now)


def fail(session: Session, deposit: Deposit, reason: str, now: datetime) -> None:
    """Nothing will be paid; `reason` is fit to show to the customer."""
    if deposit.state == "pending":
        _end(session, deposit, "failed", reason, now)
        deposit.version += 1


def expire(session: Session, deposit: Deposit, now: datetime) -> None:
    """It has not been paid for too long; if it is paid all the same, that is credited."""
    if deposit.state == "pending":
        _end(session, deposit, "expired", None, now)
        deposit.version += 1


def _settled(
    transaction: Transaction,
    provider: OnlineProvider,
    known: Known,
    told: Told | None,
    now: datetime,
) -> Deposit | None:
    for _ in range(ATTEMPTS):
        with transaction() as session:
            if _is_repeat(session, provider, told):
                return None
            before = _find(session, provider, known)
            question = _all_that_is_known(known, before)
        standing = provider.look(question)
        if standing is None:
            if before is not None:
                _unknown(provider, question)
            return None
        if before is None:
            if not booking.is_reference(standing.reference):
                return None  # another shop's at the same provider
            if standing.reference == known.reference:
                _unknown(provider, question)
                return None
            known = Known(standing.reference, known.provider_reference, standing.payment_reference)
            continue
        with transaction() as session:
            deposit = booking.locked(session, before.id)
            if deposit.version != before.version:
                continue
            if _is_repeat(session, provider, told):
                return None
            if told is not None:
                session.add(_event(provider, told, deposit, now))
            _book(session, deposit, standing, now)
            return deposit
    raise ProviderTrouble(f"{provider.name}: {known.reference} changes all the time")


def _find(session: Session, provider: OnlineProvider, known: Known) -> Deposit | None:
    """Our reference first: the provider's may not have been stored when we were interrupted."""
    conditions: list[ColumnElement[bool]] = []
    if known.reference:
        conditions.append(Deposit.reference == known.reference)
    if known.provider_reference:
        conditions.append(Deposit.provider_reference == known.provider_reference)
    if known.payment_reference:
        conditions.append(Deposit.payment_reference == known.payment_reference)
    for condition in conditions:
        query = select(Deposit).where(Deposit.provider == provider.name, condition)
        found = session.scalars(query.order_by(Deposit.id).limit(1)).first()
        if found is not None:
            return found
    return None


def _all_that_is_known(known: Known, deposit: Deposit | None) -> Known:
    if deposit is None:
        return known
    return Known(
        deposit.reference,
        deposit.provider_reference or known.provider_reference,
        deposit.payment_reference or known.payment_reference,
    )


def _unknown(provider: OnlineProvider, known: Known) -> None:
    log.deposit_unknown(provider.name, known.reference, known.provider_reference)


def _is_repeat(session: Session, provider: OnlineProvider, told: Told | None) -> bool:
    if told is None:
        return False
    return session.get(ProviderEvent, (provider.name, told.event_id)) is not None


def _event(provider: OnlineProvider, told: Told, deposit: Deposit, now: datetime) -> ProviderEvent:
    return ProviderEvent(
        provider=provider.name,
        event_id=told.event_id,
        kind=told.kind[:64],
        deposit_id=deposit.id,
        received_at=now,
    )


def _book(session: Session, deposit: Deposit, standing: Standing, now: datetime) -> None:
    deposit.checked_at = now
    if deposit.provider_reference not in (None, standing.provider_reference):
        log.deposit_unknown(deposit.provider, deposit.reference, standing.provider_reference)
        return
    deposit.provider_reference = standing.provider_reference
    deposit.payment_reference = standing.payment_reference or deposit.payment_reference
    plan = session.get_one(Account, deposit.account_id).plan
    if not standing.currency == deposit.currency == plan.currency:
        log.deposit_in_wrong_currency(deposit.reference, standing.currency, plan.currency)
        if deposit.state == "pending" and standing.paid:
            _end(session, deposit, "failed", f"paid in {standing.currency}", now)
        deposit.version += 1
        return
    first = deposit.settled_at is None
    deposit.paid, deposit.taken_back = standing.paid, standing.taken_back
    change = booking.book(session, deposit, now=now)
    if change < 0:
        automatic.switch_off(session, deposit)
    if first and change > 0:
        _arrived(session, deposit, standing, now)
    elif deposit.state == "pending" and standing.state != "pending":
        _end(session, deposit, standing.state, standing.reason, now)


def _arrived(session: Session, deposit: Deposit, standing: Standing, now: datetime) -> None:
    deposit.note = None  # why it seemed to have failed
    if deposit.automatic:
        automatic.succeeded(session, deposit)
    elif standing.card is not None:
        cards.save(session, deposit.account_id, standing.card, now)


def _end(session: Session, deposit: Deposit, state: str, reason: str | None, now: datetime) -> None:
    deposit.state = state
    deposit.note = reason[:200] if reason else deposit.note
    deposit.checked_at = now
    if deposit.automatic:
        automatic.failed(session, deposit, reason, now)
