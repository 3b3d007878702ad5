"""Beginning a payment: by card at a stand-in of the provider, and by bank transfer."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from flask.testing import FlaskClient
from sqlalchemy import select

from franking.accounts.models import AuditEntry
from franking.db import Database, utcnow
from franking.money.deposits import cards
from franking.money.deposits.models import Deposit
from franking.money.deposits.provider import Card
from franking.settings import Btcpay, Deposits, Settings, Stripe
from tests.payments import settings_for
from tests.payments.stripe_server import StripeServer
from tests.webpanel.seed import EMAIL, Seed
from tests.webpanel.test_billing import changing, text_of

BANK = "Relay Ltd\nIBAN DE02 1203 0000 0000 2020 51"
NOWHERE = "http://127.0.0.1:9"  # nothing listens there


@pytest.fixture
def stripe() -> Iterator[StripeServer]:
    with StripeServer() as server:
        yield server


@pytest.fixture
def settings(settings: Settings, stripe: StripeServer) -> Settings:
    with_bank = settings.model_copy(update={"deposits": Deposits(bank_transfer=BANK)})
    return settings_for(with_bank, stripe.url, NOWHERE)


def _begun(database: Database, seed: Seed) -> list[Deposit]:
    with database.session() as session:
        query = select(Deposit).where(Deposit.reference != seed.deposit)
        return list(session.scalars(query))


def _pay(client: FlaskClient, **data: str) -> tuple[int, str, str]:
    answer = client.post("/billing/deposits", data={"amount": "25", "provider": "stripe"} | data)
    return answer.status_code, answer.text, answer.location or ""


def test_the_form_has_what_is_set_up(mine: FlaskClient, seed: Seed) -> None:
    page = mine.get("/billing/deposits?amount=50").text
    assert 'value="50.00"' in page
    assert 'data-fill="#amount" data-value="25.00"' in page
    for title in ("Card", "Bitcoin", "Bank transfer"):
        assert title in page
    assert "From 5.00 EUR to 5,000.00 EUR." in page
    assert "about 31,250 messages" in page  # for 25 EUR
    assert seed.deposit in page  # in the list


def test_an_odd_amount_in_the_address(mine: FlaskClient) -> None:
    for amount in ("x", "-1", "1e400"):
        assert mine.get(f"/billing/deposits?amount={amount}").status_code == 200, amount


def test_by_card(mine: FlaskClient, database: Database, seed: Seed, stripe: StripeServer) -> None:
    status, _, location = _pay(mine, amount=" 25,50 ", save_card="y")
    (deposit,) = _begun(database, seed)
    assert (status, location) == (302, f"/payments/{deposit.reference}")
    assert (deposit.amount, deposit.provider, deposit.state) == (25_500_000, "stripe", "pending")
    page = mine.get(location).text
    assert deposit.pay_url is not None
    assert deposit.pay_url in page
    assert 'data-live="5"' in page
    with database.session() as session:
        entry = session.scalars(select(AuditEntry)).one()
        assert (entry.actor, entry.action) == (EMAIL, "deposit.begin")

    stripe.pay(deposit.reference)
    page = mine.get(f"{location}?returned=1").text
    assert "25.50 EUR have been added to your balance" in page
    assert "data-live" not in page
    assert "26.4992 EUR" in mine.get("/billing").text


def test_by_bank_transfer(mine: FlaskClient, database: Database, seed: Seed) -> None:
    _, _, location = _pay(mine, provider="manual")
    page = mine.get(location).text
    (deposit,) = _begun(database, seed)
    assert "IBAN DE02" in page
    assert f'id="reference">{deposit.reference}<' in page


def test_what_cannot_be_paid(mine: FlaskClient, database: Database, seed: Seed) -> None:
    wrong: list[tuple[dict[str, str], str]] = [
        ({"amount": ""}, "Write an amount."),
        ({"amount": "twenty"}, "Write an amount such as 12.50."),
        ({"amount": "1,000"}, "Write an amount such as 12.50."),
        ({"amount": "1"}, "At least 5.00 EUR"),
        ({"amount": "-25"}, "At least 5.00 EUR"),
        ({"amount": "1000000"}, "At most 5,000.00 EUR"),
        ({"amount": "25.005"}, "is-invalid"),
        ({"provider": "cash"}, "Choose how to pay."),
        ({"provider": ""}, "Choose how to pay."),
    ]
    for data, said in wrong:
        status, page, _ = _pay(mine, **data)
        assert status == 400, data
        assert said in page, data
        assert f'value="{data.get("amount", "25")}"' in page  # what was typed
    assert _begun(database, seed) == []


def test_a_provider_that_does_not_answer(
    mine: FlaskClient, database: Database, seed: Seed, stripe: StripeServer
) -> None:
    stripe.failure = 500
    status, page, _ = _pay(mine)
    assert status == 503
    assert "Nothing was charged; try again later" in page
    assert [row.state for row in _begun(database, seed)] == ["failed"]


def test_the_card_that_is_saved_is_named(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with changing(database, seed) as (session, account):
        cards.save(session, account.id, Card("cus_1", "pm_1", "Visa •••• 4242"), utcnow())
    page = text_of(mine.get("/billing/deposits?save_card=1").text)
    assert "it then takes the place of Visa •••• 4242" in page


class TestWithoutProviders:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        none = {"deposits": Deposits(), "stripe": Stripe(), "btcpay": Btcpay()}
        return settings.model_copy(update=none)

    def test_the_operator_is_to_be_asked(self, mine: FlaskClient) -> None:
        assert "Your operator takes no payments in the panel" in mine.get("/billing/deposits").text
        assert _pay(mine)[0] == 400
