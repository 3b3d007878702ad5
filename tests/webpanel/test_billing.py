"""Billing's pages: what they say, and that each account sees its own alone."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from franking.accounts.models import Account
from franking.db import Database, utcnow
from franking.money import ledger, pricing
from franking.money.billing import position
from franking.money.billing.forecast import Forecast
from franking.money.models import Plan
from franking.money.pricing import Tariff, Tier
from franking.money.terms import Terms, stored
from franking.notices import notices
from tests.webpanel.seed import HOSTILE, QUEUE_ID, Seed
from webpanel.billing import words

PAGES = (
    "/billing",
    "/billing/ledger",
    "/billing/usage",
    "/billing/usage?by=tag&days=90&show=messages",
    "/billing/deposits",
    "/billing/statements",
    "/billing/settings",
    "/billing/notices",
)


@contextmanager
def changing(database: Database, seed: Seed) -> Iterator[tuple[Session, Account]]:
    with database.transaction() as session:
        yield session, session.get_one(Account, seed.account_id)


def text_of(page: str) -> str:
    """Without tags, on one line."""
    return " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page)).split())


def test_every_page_is_whole(mine: FlaskClient, theirs: FlaskClient) -> None:
    for client, path in itertools.product((mine, theirs), PAGES):
        answer = client.get(path)
        assert answer.status_code == 200, path
        page = answer.text
        assert HOSTILE not in page, path
        assert " style=" not in page, path
        assert page.count("<script") == page.count("<script src="), path
        assert page.count("<th") - page.count("<thead") == page.count("<th scope="), path


def test_nothing_of_another_account(seed: Seed, theirs: FlaskClient) -> None:
    for path in (*PAGES, "/billing/ledger.csv", f"/billing/statements/{utcnow():%Y-%m}.csv"):
        page = theirs.get(path).text
        for foreign in (QUEUE_ID, "Order", "spring", seed.deposit, "gift", "FR-"):
            assert foreign not in page, path


def test_the_overview_says_what_there_is(mine: FlaskClient) -> None:
    page = text_of(mine.get("/billing").text)
    for said in (
        "Available 0.9992 EUR about 1,249 messages left",
        "Held for mail on its way 0.00 EUR",
        "1 message so far the next one: 0.0008 EUR",
        "New mail is refused (554) until you top up",
        "Invoice issued",
        "-0.0008 EUR 0.9992 EUR",  # the latest line, and the balance after it
    ):
        assert said in page, said
    assert "below zero" not in page
    assert "for money" not in page


def test_tiers_and_what_is_coming(mine: FlaskClient, database: Database, seed: Seed) -> None:
    now = utcnow()
    with changing(database, seed) as (session, account):
        terms = Terms(included=3, monthly_fee=4_900_000)
        account.plan.terms = stored(terms)
        tiers = [Tier(0, 1500), Tier(10_000, 900)]
        pricing.set_price(session, account.plan, tiers, starts_at=now + timedelta(1), now=now)
    page = text_of(mine.get("/billing").text)
    for said in (
        "the next one: free",
        "1 of 3 messages included; then 0.0008 EUR each.",
        "the first 3, included now free",
        "4 to 10,003 0.0015 EUR from 10,004 on 0.0009 EUR",
        "What you send before keeps its price.",
        "Monthly fee: 4.90 EUR , next on 1 ",
        "What costs nothing is accepted all the same.",
    ):
        assert said in page, said


def test_below_zero(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with changing(database, seed) as (session, account):
        account.plan.terms = stored(Terms(overdraft=2_000_000, on_empty="defer"))
        ledger.adjust(session, account.id, -2_999_300, reference="x", note="spent")
    page = mine.get("/billing").text
    assert 'text-red" id="available">-2.0001 EUR<' in page
    assert "go down to -2.00 EUR; your next deposit pays this first" in text_of(page)
    assert "answered with 450" in page
    assert "no message left" in page
    assert "does not cover another message. New mail is answered with 450" in text_of(
        mine.get("/").text
    )


@pytest.mark.parametrize(
    ("terms", "said"),
    [
        (Terms(), "refused (554)"),
        (Terms(on_empty="defer"), "450"),
        (Terms(on_empty="hold"), "waits here"),
        (Terms(on_empty="grace", grace=1), "Up to 1 message more"),
        (Terms(on_empty="grace", grace=2000, billing_unit="recipient"), "Up to 2,000 recipients"),
        (Terms(on_empty="grace"), "refused (554)"),
    ],
)
def test_what_an_empty_balance_leads_to(terms: Terms, said: str) -> None:
    place = position.at_volume(Tariff(1, (Tier(0, 800),)), 0)
    assert said in words.on_empty(terms, place)
    assert "costs nothing" not in words.on_empty(terms, place)


@pytest.mark.parametrize(
    ("left", "said"),
    [
        (Forecast(None, None, 5, 0), "Sending costs nothing at present."),
        (Forecast(0, 0, 5, 0), "no message left"),
        (Forecast(1, None, 0, 9), "about 1 message left"),
        (Forecast(1250, 0.4, 5, 9), "about 1,250 messages left, less than a day at"),
        (Forecast(1250, 1.2, 5, 9), "about 1,250 messages left, about 1 day at"),
        (Forecast(1250, 12.6, 5, 9), "about 13 days at"),
        (Forecast(1250, 200, 5, 9), "about 7 months at"),
        (Forecast(1250, 2000, 5, 9), "more than two years at"),
    ],
)
def test_how_long_it_lasts(left: Forecast, said: str) -> None:
    assert words.lasts(left).startswith(said) or said in words.lasts(left)


def test_a_plan_without_prices(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with changing(database, seed) as (session, account):
        account.plan = _without_prices(session)
    assert "no price yet" in mine.get("/billing").text
    assert mine.get("/").status_code == 200


def _without_prices(session: Session) -> Plan:
    plan = Plan(name="unpriced", currency="EUR")
    session.add(plan)
    session.flush()
    return plan


def test_notices_are_paged(mine: FlaskClient, database: Database, seed: Seed) -> None:
    with changing(database, seed) as (session, account):
        for number in range(60):
            detail = {"reason": f"{HOSTILE} {number}", "amount": 5_000_000}
            notices.give(session, account.id, "topup.failed", detail)
    page = mine.get("/billing/notices").text
    assert "Automatic top-up failed" in page
    assert html.escape(HOSTILE) in page
    older = re.search(r'href="([^"]+)" rel="next"', page)
    assert older is not None
    last = mine.get(html.unescape(older[1])).text
    assert "Invoice issued" in last
    assert "Invoice issued" not in page
    assert "Balance low" not in page


def test_a_wrong_page_is_the_first(mine: FlaskClient) -> None:
    for before in ("x", "-1", "0", str(1 << 70)):
        assert "Invoice issued" in mine.get(f"/billing/notices?before={before}").text
        assert mine.get(f"/billing/deposits?before={before}").status_code == 200
