"""One account that can pay in euros, and both providers' stand-ins on this machine."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
from sqlalchemy import select

from franking.db import Database
from franking.money import ledger, verification
from franking.money.deposits import deposits, settlement
from franking.money.deposits.btcpay import BtcpayProvider
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import OnlineProvider
from franking.money.deposits.stripe import StripeProvider
from franking.notices.models import Notice
from franking.settings import Settings
from tests import factories
from tests.payments import btcpay_server, settings_for, stripe_server
from tests.payments.btcpay_server import BtcpayServer
from tests.payments.stripe_server import StripeServer

EUR = 1_000_000  # micro-units of one
PATIENCE = (5.0, 15.0)  # seconds
IMPATIENCE = (5.0, 0.2)


@dataclass
class Till:
    """The database with one account, both providers, and short ways to use them."""

    database: Database
    settings: Settings
    stripe: StripeServer
    btcpay: BtcpayServer
    account_id: int = 0
    cards: StripeProvider = field(init=False)
    coins: BtcpayProvider = field(init=False)

    def __post_init__(self) -> None:
        self.cards = StripeProvider(self.settings.stripe, PATIENCE)
        self.coins = BtcpayProvider(self.settings.btcpay, PATIENCE)
        with self.database.transaction() as session:
            self.account_id = factories.account(session).id

    def fail(self, failure: int | str | None) -> None:
        """Both answer everything with this status; "silent": nothing; "down": nobody is there."""
        for server in (self.stripe, self.btcpay):
            server.failure = failure
            if failure == "down":
                server.stop()
        wait = IMPATIENCE if failure == "silent" else PATIENCE
        self.cards = StripeProvider(self.settings.stripe, wait)
        self.coins = BtcpayProvider(self.settings.btcpay, wait)

    def begin(
        self, provider: OnlineProvider, amount: int = 20 * EUR, *, save_card: bool = False
    ) -> str:
        """Our reference of a payment that was begun."""
        return deposits.begin(
            self.database.transaction,
            self.settings,
            provider,
            self.account_id,
            amount,
            actor="anna@example.com",
            save_card=save_card,
        ).reference

    def by_card(self, amount: int = 20 * EUR, *, save_card: bool = False) -> str:
        return self.begin(self.cards, amount, save_card=save_card)

    def tell(self, *events: stripe_server.Json) -> None:
        """Stripe's webhooks arrive; without any, all of them."""
        for event in events or tuple(self.stripe.events):
            body, headers = stripe_server.signed(event)
            told = self.cards.told(body, headers)
            settlement.apply(self.database.transaction, self.cards, told)

    def tell_of_coins(self, *events: btcpay_server.Json) -> None:
        for event in events or tuple(self.btcpay.events):
            body, headers = btcpay_server.signed(event)
            told = self.coins.told(body, headers)
            settlement.apply(self.database.transaction, self.coins, told)

    def deposit(self, reference: str) -> Deposit:
        with self.database.session() as session:
            return deposits.get(session, None, reference)

    def standing(self, reference: str) -> tuple[str, int]:
        """State and what is credited."""
        row = self.deposit(reference)
        return row.state, row.credited

    def available(self) -> int:
        with self.database.session() as session:
            return ledger.balance(session, self.account_id).available

    def sound(self) -> bool:
        with self.database.session() as session:
            return verification.verify(session) == []

    def notices(self) -> list[str]:
        with self.database.session() as session:
            return list(session.scalars(select(Notice.kind).order_by(Notice.id)))


@pytest.fixture
def till(database: Database, settings: Settings) -> Iterator[Till]:
    with StripeServer() as stripe, BtcpayServer() as btcpay:
        own = settings_for(settings, stripe.url, btcpay.url)
        yield Till(database, own, stripe, btcpay)
