"""The card of an account that automatic top-up charges.

Kept are references that are of use only with the operator's own key at the provider, never card
data.  A card is saved when the payment for which its owner agreed to that has been made.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from datetime import datetime

from sqlalchemy.orm import Session

from franking import log
from franking.accounts import audit
from franking.money.deposits.models import SavedCard
from franking.money.deposits.provider import Card, CardProvider, Declined, Provider, ProviderTrouble

Transaction = Callable[[], AbstractContextManager[Session]]


def card_of(session: Session, account_id: int) -> SavedCard | None:
    return session.get(SavedCard, account_id)


def as_card(row: SavedCard) -> Card:
    return Card(row.customer_reference, row.method_reference, row.label)


def save(session: Session, account_id: int, card: Card, now: datetime) -> None:
    """Instead of the one before."""
    row = session.get(SavedCard, account_id, with_for_update=True)
    if row is None:
        row = SavedCard(account_id=account_id)
        session.add(row)
    row.customer_reference = card.customer_reference
    row.method_reference = card.method_reference
    row.label = card.label
    row.saved_at = now
    session.flush()


def forget(
    transaction: Transaction, providers: Mapping[str, Provider], account_id: int, *, actor: str
) -> None:
    """Automatic top-up has nothing to charge any more; the provider removes the card, too.

    When the provider does not answer, the card stays there, unused; the log says so.
    """
    with transaction() as session:
        row = session.get(SavedCard, account_id, with_for_update=True)
        if row is None:
            return
        card = as_card(row)
        session.delete(row)
        audit.record(session, account_id, actor, "card.forget", card=card.label)
    for provider in providers.values():
        if isinstance(provider, CardProvider):
            try:
                provider.forget(card)
            except (ProviderTrouble, Declined) as error:
                log.payment_provider_trouble(provider.name, error)
