"""Payment providers' webhooks, as they arrive at the panel: with CSRF on, without a login."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.exc import OperationalError

from franking.db import Database
from franking.money.deposits import deposits
from franking.money.deposits.models import Deposit
from franking.settings import Settings
from tests.payments import btcpay_server, settings_for, stripe_server
from tests.payments.btcpay_server import BtcpayServer
from tests.payments.stripe_server import StripeServer
from tests.webpanel import seed as seeds
from tests.webpanel.conftest import browser
from webpanel import create_app
from webpanel.payments.webhooks import LARGEST

TEN = 10_000_000


@dataclass
class Shop:
    """The panel with both providers, and payments of the seeded account."""

    app: Flask
    database: Database
    settings: Settings
    account_id: int
    stripe: StripeServer
    btcpay: BtcpayServer

    def begin(self, provider: str) -> str:
        return deposits.begin(
            self.database.transaction,
            self.settings,
            self.app.extensions["franking.providers"][provider],
            self.account_id,
            TEN,
            actor=seeds.EMAIL,
        ).reference

    def deposit(self, reference: str) -> Deposit:
        with self.database.session() as session:
            return deposits.get(session, None, reference)

    def post(self, name: str, body: bytes, headers: dict[str, str]) -> tuple[int, str]:
        answer = self.app.test_client().post(f"/payments/{name}", data=body, headers=headers)
        return answer.status_code, answer.text


@pytest.fixture
def shop(database: Database, seed: seeds.Seed, settings: Settings) -> Iterator[Shop]:
    with StripeServer() as stripe, BtcpayServer() as btcpay:
        own = settings_for(settings, stripe.url, btcpay.url)
        app = create_app(own)
        app.config["PREFERRED_URL_SCHEME"] = "https"
        yield Shop(app, database, own, seed.account_id, stripe, btcpay)
        app.extensions["franking.database"].close()


def test_stripe(shop: Shop) -> None:
    reference = shop.begin("stripe")
    shop.stripe.pay(reference)
    for _ in range(2):
        for happened in shop.stripe.events:
            assert shop.post("stripe", *stripe_server.signed(happened)) == (200, "ok\n")
    assert shop.deposit(reference).credited == TEN


def test_btcpay(shop: Shop) -> None:
    reference = shop.begin("btcpay")
    shop.btcpay.send(shop.btcpay.of(reference), "10")
    shop.btcpay.confirm(shop.btcpay.of(reference))
    for _ in range(2):
        for happened in shop.btcpay.events:
            assert shop.post("btcpay", *btcpay_server.signed(happened)) == (200, "ok\n")
    assert shop.deposit(reference).credited == TEN


def test_wrong_signatures(shop: Shop) -> None:
    shop.stripe.pay(shop.begin("stripe"))
    body, headers = stripe_server.signed(shop.stripe.events[0])
    assert shop.post("stripe", body + b" ", headers)[0] == 400
    assert shop.post("stripe", b"", {})[0] == 400
    assert shop.post("btcpay", body, headers)[0] == 400
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert shop.post("stripe", b"a=b", form)[0] == 400


def test_other_ways_to_ask(shop: Shop) -> None:
    """A person at this address is sent to the login, like at any other."""
    assert shop.app.test_client().get("/payments/stripe").status_code == 302
    assert shop.app.test_client().put("/payments/stripe").status_code == 405


def test_a_body_has_a_limit(shop: Shop) -> None:
    body, headers = stripe_server.signed({"id": "evt_1", "filler": "x" * LARGEST})
    assert shop.post("stripe", body, headers)[0] == 413


def test_trouble_with_the_provider(shop: Shop) -> None:
    reference = shop.begin("stripe")
    shop.stripe.pay(reference)
    shop.stripe.failure = 500
    webhook = stripe_server.signed(shop.stripe.events[-1])
    assert shop.post("stripe", *webhook) == (500, "try again\n")
    shop.stripe.failure = None
    assert shop.post("stripe", *webhook) == (200, "ok\n")
    assert shop.deposit(reference).credited == TEN


def test_trouble_with_the_database(shop: Shop) -> None:
    reference = shop.begin("stripe")
    shop.stripe.pay(reference)
    webhook = stripe_server.signed(shop.stripe.events[-1])
    engine = shop.app.extensions["franking.database"].engine

    def fail(*_: object) -> None:
        raise OperationalError("disk I/O error", None, Exception("disk"))

    event.listen(engine, "before_cursor_execute", fail)
    assert shop.post("stripe", *webhook)[0] == 500
    event.remove(engine, "before_cursor_execute", fail)
    assert shop.post("stripe", *webhook) == (200, "ok\n")
    assert shop.deposit(reference).credited == TEN


def test_the_customer_is_back_before_the_webhook(shop: Shop) -> None:
    shop.app.config["WTF_CSRF_ENABLED"] = False  # to log in
    mine = browser(shop.app, seeds.EMAIL)
    reference = shop.begin("stripe")
    page = mine.get(f"/payments/{reference}")
    assert shop.stripe.of(reference)["url"] in page.text
    assert "Pay 10.00 EUR now" in page.text
    back = mine.get(f"/payments/{reference}?returned=1")
    assert "not confirmed yet" in back.text
    shop.stripe.pay(reference)
    with shop.database.transaction() as session:
        deposits.get(session, None, reference).checked_at = None  # a while ago
    assert "10.00 EUR have been added" in mine.get(f"/payments/{reference}?returned=1").text
    assert shop.deposit(reference).credited == TEN


def test_back_while_the_provider_is_away(shop: Shop) -> None:
    shop.app.config["WTF_CSRF_ENABLED"] = False
    mine = browser(shop.app, seeds.EMAIL)
    reference = shop.begin("btcpay")
    shop.btcpay.failure = 503
    assert "not confirmed yet" in mine.get(f"/payments/{reference}?returned=1").text
    assert shop.deposit(reference).state == "pending"


def test_reloading_does_not_ask_each_time(shop: Shop) -> None:
    shop.app.config["WTF_CSRF_ENABLED"] = False
    mine = browser(shop.app, seeds.EMAIL)
    reference = shop.begin("btcpay")
    before = len(shop.btcpay.requests)
    for _ in range(4):
        mine.get(f"/payments/{reference}?returned=1")
    assert len(shop.btcpay.requests) == before + 1
