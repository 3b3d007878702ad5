"""What a message's page says about its money, and a credential's about its cap."""

from __future__ import annotations

from flask.testing import FlaskClient

from franking.accounts.models import Credential
from franking.accounts.rules import Narrowing, stored
from franking.db import Database, utcnow
from franking.mail import events
from franking.money import ledger, pricing, refunds, settling
from franking.money.pricing import Tier
from franking.money.terms import Terms
from franking.money.terms import stored as stored_terms
from tests.webpanel import seed as seeds
from tests.webpanel.seed import Seed
from tests.webpanel.test_billing import changing, text_of

PARTS = "4bCdEf1234zPaRt"
UNPAID = "4bCdEf1234zUnPd"


def test_parts_and_refunds(mine: FlaskClient, database: Database, seed: Seed) -> None:
    """Two recipients, of whom the second is the first of the next tier; neither was reached."""
    with changing(database, seed) as (session, account):
        now = utcnow()
        account.plan.terms = stored_terms(Terms(billing_unit="recipient"))
        tiers = [Tier(0, 1000), Tier(2, 600)]
        pricing.set_price(session, account.plan, tiers, starts_at=now, now=now)
        seeds.message(session, seed, PARTS, at=now)
        settling.settle(session, "n1", {PARTS: ("captured", "test")}, now)
    before = text_of(mine.get(f"/messages/{PARTS}").text)
    assert "1 × 0.001 EUR (tier 1) + 1 × 0.0006 EUR (tier 2)" in before
    assert "Cost 0.0016 EUR" in before
    assert "Refund" not in before

    with changing(database, seed) as (session, _):
        events.record_expired(session, "n1", [(PARTS, now)])
        assert refunds.give_back(session, "n1", [PARTS], now) == {PARTS: 1600}
    after = text_of(mine.get(f"/messages/{PARTS}").text)
    assert "Cost 0.00 EUR 0.0016 EUR, of it 0.0016 EUR given back" in after
    assert after.count("It could not be delivered in time.") == 2
    lines = mine.get("/billing/ledger?cause=refund").text
    assert lines.count(f'href="/messages/{PARTS}"') == 2
    assert "0.0016 EUR given back" in text_of(mine.get("/billing/usage").text)


def test_included_messages(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with changing(database, seed) as (session, account):
        account.plan.terms = stored_terms(Terms(included=100))
        session.flush()
        seeds.message(session, seed, PARTS)
    page = text_of(mine.get(f"/messages/{PARTS}").text)
    assert "Price included in the plan" in page


def test_one_that_waits_for_money(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with changing(database, seed) as (session, account):
        account.plan.terms = stored_terms(Terms(on_empty="hold"))
        ledger.adjust(session, account.id, -999_200, reference="x", note="spent")
        seeds.message(session, seed, UNPAID)
    page = text_of(mine.get(f"/messages/{UNPAID}").text)
    assert "It waits for money: 0.0008 EUR." in page
    assert "not charged yet" in page
    assert "nothing is charged until the balance covers it" in page
    assert "balance covers the price" not in page
    for path in ("/", "/billing"):
        found = text_of(mine.get(path).text)
        assert "1 message" in found
        assert "for money: 0.0008 EUR in all" in found
    assert "waits for money" not in text_of(mine.get(f"/messages/{seeds.QUEUE_ID}").text)


def test_a_credentials_cap(mine: FlaskClient, database: Database, seed: Seed) -> None:
    username = seed.credential.credential.username
    assert "Spent today" not in mine.get(f"/credentials/{username}").text
    with database.transaction() as session:
        row = session.query(Credential).filter_by(username=username).one()
        row.rules = stored(Narrowing(daily_spend=2_000))
        row.spent, row.spent_on = 1_600, utcnow().date()
    page = mine.get(f"/credentials/{username}").text
    assert "Spent today (UTC) 0.0016 EUR of 0.002 EUR" in text_of(page)
    assert 'value="0.002"' in page
