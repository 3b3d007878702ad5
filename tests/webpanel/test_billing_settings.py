"""Billing's settings: each form, what it refuses, and what the audit trail says."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts.models import AuditEntry
from franking.db import Database, utcnow
from franking.money.billing.models import BillingSettings
from franking.money.billing.preferences import preferences
from franking.money.deposits import cards
from franking.money.deposits.provider import Card
from franking.settings import Settings
from tests.payments import settings_for
from tests.payments.stripe_server import StripeServer
from tests.webpanel.seed import EMAIL, Seed
from tests.webpanel.test_billing import changing, text_of
from tests.webpanel.test_billing_deposits import NOWHERE

PAGE = "/billing/settings"


@pytest.fixture
def stripe() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, stripe: StripeServer) -> Settings:
    return settings_for(settings, stripe.url, NOWHERE)


@pytest.fixture
def card(database: Database, seed: Seed) -> None:
    with changing(database, seed) as (session, account):
        cards.save(session, account.id, Card("cus_1", "pm_1", "Visa •••• 4242"), utcnow())


def _chosen(database: Database, seed: Seed) -> BillingSettings:
    with database.session() as session:
        return preferences(session, seed.account_id)


def _trail(database: Database) -> list[tuple[str, str, dict[str, object]]]:
    with database.session() as session:
        rows = session.scalars(select(AuditEntry).order_by(AuditEntry.id))
        return [(row.actor, row.action, row.detail) for row in rows]


def _saved(client: FlaskClient, path: str, **data: str) -> str:
    answer = client.post(f"{PAGE}{path}", data=data)
    assert answer.status_code == 302, text_of(answer.text)
    assert answer.location.startswith(f"{PAGE}#")
    return client.get(answer.location).text


def test_notices(mine: FlaskClient, database: Database, seed: Seed) -> None:
    page = _saved(mine, "/alerts", low_balance_at="2.5")
    assert 'role="status"' in page
    assert 'value="2.50"' in page
    chosen = _chosen(database, seed)
    assert (chosen.low_balance_at, chosen.alerts_by_mail) == (2_500_000, False)
    assert _trail(database) == [
        (
            EMAIL,
            "billing.set",
            {
                "before": {"low_balance_at": None, "alerts_by_mail": True},
                "after": {"low_balance_at": 2_500_000, "alerts_by_mail": False},
            },
        )
    ]
    _saved(mine, "/alerts", low_balance_at="", alerts_by_mail="y")
    assert (_chosen(database, seed).low_balance_at, len(_trail(database))) == (None, 2)


def test_what_changes_nothing_is_not_noted(mine: FlaskClient, database: Database) -> None:
    _saved(mine, "/alerts", alerts_by_mail="y")
    assert _trail(database) == []


def test_the_cap(mine: FlaskClient, database: Database, seed: Seed) -> None:
    page = _saved(mine, "/cap", daily_cap="0,75")
    assert "Spent today: 0.0008 EUR of 0.75 EUR" in text_of(page)
    assert _chosen(database, seed).daily_cap == 750_000
    _saved(mine, "/cap", daily_cap="0")
    assert _chosen(database, seed).daily_cap == 0  # nothing may be sent, which is not "no cap"


def test_wrong_amounts_are_said_beside_their_field(mine: FlaskClient, database: Database) -> None:
    for path, field in (("/cap", "daily_cap"), ("/alerts", "low_balance_at")):
        for typed in ("-1", "many", "1,000", "0.0000001", "99999999999999999999"):
            answer = mine.post(f"{PAGE}{path}", data={field: typed})
            assert answer.status_code == 400, typed
            assert f'id="{field}-error"' in answer.text, typed
            assert f'value="{typed}"' in answer.text
    assert _trail(database) == []


def test_invoice_details(mine: FlaskClient, database: Database, seed: Seed) -> None:
    _saved(
        mine, "/invoices", invoice_name=" Shop Ltd ", invoice_address="Road 1\r\nHamburg\r\n",
        tax_id="DE1",
    )  # fmt: skip
    chosen = _chosen(database, seed)
    assert (chosen.invoice_name, chosen.invoice_address, chosen.tax_id) == (
        "Shop Ltd", "Road 1\nHamburg", "DE1"
    )  # fmt: skip
    assert _chosen(database, seed).alerts_by_mail is True  # other forms' values stay
    _saved(mine, "/invoices", invoice_name="", invoice_address="", tax_id=" ")
    assert _chosen(database, seed).tax_id is None
    answer = mine.post(f"{PAGE}/invoices", data={"tax_id": "x" * 65})
    assert answer.status_code == 400
    assert 'id="tax_id-error"' in answer.text


def test_top_up_needs_a_card(mine: FlaskClient, database: Database, seed: Seed) -> None:
    assert "Pay and save a card" in mine.get(PAGE).text
    answer = mine.post(f"{PAGE}/topup", data={"topup_below": "5", "topup_amount": "25"})
    assert answer.status_code == 400
    assert _chosen(database, seed).topup_amount is None


@pytest.mark.usefixtures("card")
def test_top_up_on_and_off(mine: FlaskClient, database: Database, seed: Seed) -> None:
    page = _saved(mine, "/topup", topup_below="5", topup_amount="25")
    assert "Automatic top-up on" in text_of(page)
    assert "25.00 EUR when below 5.00 EUR" in text_of(mine.get("/billing").text)
    chosen = _chosen(database, seed)
    assert (chosen.topup_below, chosen.topup_amount) == (5_000_000, 25_000_000)
    page = _saved(mine, "/topup/off")
    assert "Automatic top-up off" in text_of(page)
    assert "Visa •••• 4242" in page
    assert _chosen(database, seed).topup_amount is None


@pytest.mark.usefixtures("card")
def test_top_ups_that_cannot_be(mine: FlaskClient, database: Database, seed: Seed) -> None:
    for below, amount, field in (
        ("", "25", "topup_below"), ("x", "25", "topup_below"), ("-1", "25", "topup_below"),
        ("5", "", "topup_amount"), ("5", "1", "topup_amount"), ("5", "25.001", "topup_amount"),
    ):  # fmt: skip
        data = {"topup_below": below, "topup_amount": amount}
        answer = mine.post(f"{PAGE}/topup", data=data)
        assert answer.status_code == 400, data
        assert f'id="{field}-error"' in answer.text, data
    assert _chosen(database, seed).topup_amount is None


@pytest.mark.usefixtures("card")
def test_a_stopped_top_up_starts_again(mine: FlaskClient, database: Database, seed: Seed) -> None:
    _saved(mine, "/topup", topup_below="5", topup_amount="25")
    with database.transaction() as session:
        session.get_one(BillingSettings, seed.account_id).topup_failures = 3
    assert "stopped after three failures" in mine.get(PAGE).text
    assert "stopped after" not in _saved(mine, "/topup", topup_below="5", topup_amount="25")


@pytest.mark.usefixtures("card")
def test_the_card_is_removed(
    mine: FlaskClient, database: Database, seed: Seed, stripe: StripeServer
) -> None:
    _saved(mine, "/topup", topup_below="5", topup_amount="25")
    page = _saved(mine, "/card/remove")
    assert "4242" not in page
    assert stripe.detached == ["pm_1"]
    assert _chosen(database, seed).topup_amount is None
    assert [action for _, action, _ in _trail(database)] == [
        "billing.set", "card.forget", "billing.set"
    ]  # fmt: skip


@pytest.mark.usefixtures("card")
def test_others_change_only_their_own(theirs: FlaskClient, database: Database, seed: Seed) -> None:
    for path, data in (("/cap", {"daily_cap": "0"}), ("/card/remove", {}), ("/topup/off", {})):
        assert theirs.post(f"{PAGE}{path}", data=data).status_code == 302
    assert _chosen(database, seed).daily_cap is None
    with database.session() as session:
        assert cards.card_of(session, seed.account_id) is not None
