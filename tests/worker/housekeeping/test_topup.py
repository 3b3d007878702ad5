"""The duty as the worker runs it: top-up, a lost webhook, no provider at all."""

from __future__ import annotations

from datetime import timedelta

from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.money import ledger
from franking.money.billing.preferences import change
from franking.money.deposits import cards
from franking.money.deposits.provider import Card
from franking.settings import Settings
from tests import factories
from tests.payments import settings_for
from tests.payments.stripe_server import StripeServer
from worker.housekeeping.topup import Topup

EUR = 1_000_000


def test_charged_and_credited_without_a_webhook(database: Database, settings: Settings) -> None:
    with database.transaction() as session:
        account_id = factories.account(session).id
        account = session.get_one(Account, account_id)
        change(session, account, topup_below=5 * EUR, topup_amount=20 * EUR)
        cards.save(session, account_id, Card("cus_1", "pm_card_visa", None), utcnow())
    with StripeServer() as stripe:
        own = settings_for(settings, stripe.url, "")
        Topup(database, own).look()
        assert len(stripe.intents) == 1
        Topup(database, own, lambda: utcnow() + timedelta(minutes=11)).look()
        Topup(database, own, lambda: utcnow() + timedelta(minutes=22)).look()
        assert len(stripe.intents) == 1
    with database.session() as session:
        assert ledger.balance(session, account_id).available == 20 * EUR


def test_without_providers(database: Database, settings: Settings) -> None:
    Topup(database, settings).look()
